"""A sheet that shows the boxes around the animal: frames of every video, and labelled frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from beast_lp.reports.picture_grid import LINE, PictureGrid, cell_size
from beast_lp.reports.style import SMALL, TEXT
from beast_lp.video.boxes import Box

# inches, longer side of a picture
_LONGEST = 1.6
# seen on fur and on dark arenas alike
_BOX, _KEYPOINT = '#FF6A00', '#FFFFFF'


@dataclass(frozen=True)
class BoxedRow:
    """Frames of one camera with their boxes.

    Attributes:
        title: what they are.
        pictures: grey or RGB, all of one size.
        captions: text above each.
        boxes: box of each in px of the whole frames.
        width: width of the whole frames in px; the pictures may be smaller.
        points: keypoints of each in px of the whole frames; None for none.
    """

    title: str
    pictures: Sequence[UInt8[np.ndarray, 'height width ...']]
    captions: Sequence[str]
    boxes: Sequence[Box]
    width: int
    points: Float[np.ndarray, 'frames keypoints 2'] | None = None


def box_sheet(rows: Sequence[BoxedRow]) -> Figure:
    """Draw frames with their boxes and, where there are some, their labelled keypoints.

    Args:
        rows: one or more, each with one picture or more.
    """
    columns = max(len(row.pictures) for row in rows)
    sizes = [row.pictures[0].shape for row in rows]
    cells = [cell_size(shape[0], shape[1], _LONGEST) for shape in sizes]
    cell = max(width for width, _ in cells), max(height for _, height in cells)
    grid = PictureGrid(columns, [2.4 * LINE] * len(rows), cell)
    for number, row in enumerate(rows):
        for column, picture in enumerate(row.pictures):
            axes = grid.add(number, column)
            axes.imshow(picture, cmap='gray', vmin=0, vmax=255)
            scale = picture.shape[1] / row.width
            box = row.boxes[column]
            # the middle of the first pixel is at 0
            corner = box.x * scale - 0.5, box.y * scale - 0.5
            axes.add_patch(
                Rectangle(corner, box.w * scale, box.h * scale, fill=False, ec=_BOX, lw=1.2)
            )
            if row.points is not None:
                x, y = (row.points[column].T + 0.5) * scale - 0.5
                axes.plot(x, y, 'o', color=_KEYPOINT, mec='black', mew=0.5, ms=3)
            axes.set_title(row.captions[column], fontsize=SMALL, pad=3)
            if column == 0:
                # above the captions
                axes.annotate(
                    row.title,
                    (0, 1),
                    (0, 15),
                    xycoords='axes fraction',
                    textcoords='offset points',
                    fontsize=TEXT,
                )
    return grid.figure
