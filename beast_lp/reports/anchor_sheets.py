"""Pictures of the anchors of videos: pure functions from arrays to matplotlib figures."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.reports.picture_grid import PictureGrid, caption_height, cell_size, write_title
from beast_lp.reports.style import DPI, SMALL, check_counts, shorten_apart
from beast_lp.video.shares import spread_over

# px of the longer side of a picture on a contact sheet, and on a sheet of thumbnails
SHEET_SIDE = 180
_THUMBNAIL = 90
# thumbnails of a video, px between two of them, and inches for its name
_THUMBNAILS, _BETWEEN, _NAME = 8, 4, 2.0


def contact_sheet(
    images: UInt8[np.ndarray, 'n height width 3'], captions: Sequence[str], columns: int = 8
) -> Figure:
    """Lay out the anchors of one video as small pictures with captions.

    Args:
        images: RGB pictures, at least one; their aspect ratio is kept.
        captions: one for each picture, of one or more lines; a line that is wider than the picture
            is shortened in the middle.
        columns: pictures in a row.

    Returns:
        A figure with one axes for each picture.

    Raises:
        ValueError: if there is no picture, or not one caption for each.
    """
    check_counts(images=images, captions=captions)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    cell = cell_size(images.shape[1], images.shape[2], longest=SHEET_SIDE / DPI)
    grid = PictureGrid(columns, [caption_height(captions)] * rows, cell)
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        axes = grid.add(*divmod(index, columns))
        axes.imshow(image)
        write_title(axes, caption, cell[0])
    return grid.figure


def thumbnail_sheet(
    videos: Sequence[UInt8[np.ndarray, 'n height width 3']], names: Sequence[str]
) -> Figure:
    """Lay out a few small pictures of each video, one video in a row behind its name.

    Args:
        videos: RGB pictures of each video, at least one; each video has an aspect ratio of its
            own.
        names: one for each video, shortened in the middle where they do not fit.

    Returns:
        A figure with one axes for each video, light enough for the page of a hundred.

    Raises:
        ValueError: if there is no video, or not one name for each.
    """
    check_counts(videos=names, pictures=[str(len(images)) for images in videos])
    rows = [_thumbnails(images) for images in videos]
    height, width = (max(row.shape[axis] for row in rows) for axis in (0, 1))
    grid = PictureGrid(1, [0.0] * len(rows), (width / DPI, height / DPI), left=_NAME)
    for index, (row, name) in enumerate(
        zip(rows, shorten_apart(names, 0.96 * _NAME, SMALL), strict=True)
    ):
        canvas = np.full((height, width, 3), 255, np.uint8)
        canvas[: row.shape[0], : row.shape[1]] = row
        axes = grid.add(index, 0)
        axes.imshow(canvas)
        place = (-0.06 * DPI / width, 1 - row.shape[0] / height / 2)
        options = {'ha': 'right', 'va': 'center', 'fontsize': SMALL}
        axes.text(*place, name, transform=axes.transAxes, **options)
    return grid.figure


def _thumbnails(
    images: UInt8[np.ndarray, 'n height width 3'],
) -> UInt8[np.ndarray, 'small_height row_width 3']:
    """Join a few pictures, evenly spread over all, into one row."""
    picks = spread_over(len(images), _THUMBNAILS)
    scale = min(1.0, _THUMBNAIL / max(images.shape[1:3]))
    height, width = (max(1, round(scale * side)) for side in images.shape[1:3])
    row = np.full((height, len(picks) * (width + _BETWEEN) - _BETWEEN, 3), 255, np.uint8)
    for number, pick in enumerate(picks):
        small = Image.fromarray(images[pick]).resize((width, height), Image.Resampling.BOX)
        start = number * (width + _BETWEEN)
        row[:, start : start + width] = np.asarray(small)
    return row
