"""Bounding boxes of the frames of a video, in the host's format, and cropping to them.

A file `<video_stem>_bbox.csv`, which `litpose create_bbox` writes and `litpose predict --bbox_dir`
reads, has one row per frame, in the order of the frames. Its columns are an index, then x, y, h
and w: the left and upper edge and the size of the frame's box in px.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from beast_lp.errors import BeastError
from beast_lp.runs.readable import check_readable
from beast_lp.video.containers import LONGEST_SIDE

COLUMNS = ('x', 'y', 'h', 'w')
# in place of a folder of boxes: they are to be found, and written to this folder of the output
AUTO, BOXES_DIR = 'auto', 'boxes'
# boxes of labelled frames beside those of videos, as the host calls the file
LABELS_FILE = 'bbox.csv'


class Box(NamedTuple):
    """A box in px of the whole frame, which may reach beyond the frame."""

    x: int
    y: int
    h: int
    w: int


class Boxes:
    """The boxes of one video.

    Attributes:
        path: file that the boxes were read from.
    """

    def __init__(self, path: Path) -> None:
        """Read a file.

        Args:
            path: CSV file with one row per frame.

        Raises:
            BeastError: if the file is missing or not of the host's format, or a box is empty or
                holds something other than numbers.
        """
        # imported here because pandas takes a second to import and few runs have boxes
        import pandas as pd

        self.path = path
        check_readable(path)
        try:
            # as in the host, the order of the rows counts, not their index
            table = pd.read_csv(path, index_col=0)
        except (OSError, ValueError) as error:
            raise BeastError(
                f'the bounding boxes {path} cannot be read ({error}); write them with '
                '`litpose create_bbox`, or go without bounding boxes'
            ) from error
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise BeastError(
                f'the bounding boxes {path} lack the column {missing[0]}; the columns must be '
                f'{", ".join(COLUMNS)}, as `litpose create_bbox` writes them'
            )
        rows = table[list(COLUMNS)].apply(pd.to_numeric, errors='coerce').to_numpy(np.float64)
        # fractions of a pixel are cut off, as in the host
        sizes = np.trunc(rows[:, 2:])
        possible = ((sizes >= 1) & (sizes <= LONGEST_SIDE)).all(1)
        bad = np.flatnonzero(~np.isfinite(rows).all(1) | ~possible)
        if len(rows) == 0 or len(bad):
            what = f'no usable box in row {bad[0]}' if len(bad) else 'no rows'
            raise BeastError(
                f'the bounding boxes {path} have {what}; every frame of the video needs one, of '
                f'1 to {LONGEST_SIDE} px a side, so carry the last known box forward'
            )
        self._rows = rows.astype(np.int64)

    def __getitem__(self, ordinal: int) -> Box:
        """Return the box of a frame.

        Args:
            ordinal: index of the frame.

        Raises:
            BeastError: if the file has no row for it.
        """
        if ordinal >= len(self._rows):
            raise BeastError(
                f'the bounding boxes {self.path} have {len(self._rows)} rows, but the video has '
                'more frames; there must be one row per frame, without gaps'
            )
        return Box(*self._rows[ordinal].tolist())

    @property
    def size(self) -> tuple[int, int]:
        """Median (height, width) in px, the size to which `litpose crop` scales all crops."""
        height, width = np.median(self._rows[:, 2:], axis=0)
        return round(float(height)), round(float(width))


def boxes_file(directory: Path, video: Path) -> Path:
    """Return the path at which the host looks for the boxes of a video.

    Args:
        directory: folder of the files of boxes.
        video: video file.

    Examples:
        >>> boxes_file(Path('boxes'), Path('videos/mouse.mp4')).name
        'mouse_bbox.csv'
    """
    return directory / f'{video.stem}_bbox.csv'


def boxes_folder(bbox_dir: str | None, output_dir: Path) -> Path | None:
    """Return the folder of the boxes that frames are cropped to.

    Args:
        bbox_dir: value of the setting: a folder, `auto`, or None for whole frames.
        output_dir: directory of the run, where boxes of `auto` lie.

    Examples:
        >>> boxes_folder('auto', Path('my_backbone')).as_posix(), boxes_folder(None, Path('a'))
        ('my_backbone/boxes', None)
    """
    if bbox_dir == AUTO:
        return output_dir / BOXES_DIR
    return Path(bbox_dir) if bbox_dir else None


def crop(frame: UInt8[np.ndarray, 'h w ...'], box: Box) -> UInt8[np.ndarray, 'y x ...']:
    """Cut a box out of a frame; pixels outside the frame are black, as in `litpose crop`.

    Args:
        frame: (H, W) or (H, W, channels).
        box: region to cut out.

    Returns:
        (box.h, box.w) or (box.h, box.w, channels), a view of the frame where the box lies within
        it, else a new array.

    Examples:
        >>> crop(np.array([[1, 2], [3, 4]], np.uint8), Box(x=1, y=0, h=2, w=2))
        array([[2, 0],
               [4, 0]], dtype=uint8)
    """
    height, width = frame.shape[:2]
    top, bottom = max(0, box.y), min(height, box.y + box.h)
    left, right = max(0, box.x), min(width, box.x + box.w)
    if (bottom - top, right - left) == (box.h, box.w):
        return frame[top:bottom, left:right]
    result = np.zeros((box.h, box.w, *frame.shape[2:]), frame.dtype)
    if bottom > top and right > left:
        result[top - box.y : bottom - box.y, left - box.x : right - box.x] = frame[
            top:bottom, left:right
        ]
    return result
