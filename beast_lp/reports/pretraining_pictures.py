"""Pictures in rows, with captions: pure functions from arrays to matplotlib figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.reports.style import (
    BLUE,
    DPI,
    SMALL,
    TEXT,
    VERMILION,
    check_counts,
    shorten,
    shorten_apart,
)

# px of the longer side of a picture on a contact sheet, and on a sheet of thumbnails
SHEET_SIDE = 180
_THUMBNAIL = 90
# thumbnails of a video, px between two of them, and inches for its name
_THUMBNAILS, _BETWEEN, _NAME = 8, 4, 2.0
# inches
_MARGIN = 0.08
_GAP = 0.06
_LINE = 0.19


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
    cell = _cell_size(images.shape[1], images.shape[2], longest=SHEET_SIDE / DPI)
    grid = _Grid(columns, [_caption_height(captions)] * rows, cell)
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        axes = grid.add(*divmod(index, columns))
        axes.imshow(image)
        _write_title(axes, caption, cell[0])
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
    grid = _Grid(1, [0.0] * len(rows), (width / DPI, height / DPI), left=_NAME)
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
    picks = np.linspace(0, len(images) - 1, min(_THUMBNAILS, len(images))).round().astype(int)
    scale = min(1.0, _THUMBNAIL / max(images.shape[1:3]))
    height, width = (max(1, round(scale * side)) for side in images.shape[1:3])
    row = np.full((height, len(picks) * (width + _BETWEEN) - _BETWEEN, 3), 255, np.uint8)
    for number, pick in enumerate(picks):
        small = Image.fromarray(images[pick]).resize((width, height), Image.Resampling.BOX)
        start = number * (width + _BETWEEN)
        row[:, start : start + width] = np.asarray(small)
    return row


def reconstructions(
    originals: Float[np.ndarray, 'n 3 height width'],
    masked: Float[np.ndarray, 'n 3 height width'],
    reconstructed: Float[np.ndarray, 'n 3 height width'],
) -> Figure:
    """Show originals, masked inputs and reconstructions, one example in each row.

    Args:
        originals: RGB pictures in [0, 1], at least one.
        masked: the same pictures with the hidden patches blanked.
        reconstructed: the same pictures with the model's patches filled in; values outside [0, 1]
            are clipped, and pixels that are not finite are red.

    Returns:
        A figure with three axes in a row: original, masked input, reconstruction.

    Raises:
        ValueError: if there is no example, or the three do not have the same shape.
    """
    check_counts(originals=originals, masked=masked, reconstructed=reconstructed)
    if not originals.shape == masked.shape == reconstructed.shape:
        raise ValueError(
            f'shapes differ: {originals.shape}, {masked.shape}, {reconstructed.shape}'
        )
    columns = {'original': originals, 'masked input': masked, 'reconstruction': reconstructed}
    return _side_by_side(columns, longest=2.0, size=TEXT)


def reconstructions_over_epochs(
    originals: Float[np.ndarray, 'n 3 height width'],
    masked: Float[np.ndarray, 'n 3 height width'],
    snapshots: Mapping[int, UInt8[np.ndarray, 'n 3 height width']],
) -> Figure:
    """Show reconstructions of the same frames over the epochs, one frame in each row.

    Args:
        originals: RGB pictures in [0, 1], at least one.
        masked: the same pictures with the hidden patches blanked.
        snapshots: epochs trained → reconstructions of the same pictures, 0 to 255.

    Returns:
        A figure with the original, the masked input and one column for each snapshot.

    Raises:
        ValueError: if there is no example or no snapshot, or shapes differ.
    """
    check_counts(originals=originals, masked=masked)
    columns = {'original': originals, 'masked input': masked}
    for epoch, pictures in sorted(snapshots.items()):
        columns[f'epoch {epoch}'] = pictures / 255
    shapes = {pictures.shape for pictures in columns.values()}
    if not snapshots or len(shapes) != 1:
        raise ValueError(f'expected snapshots of the shape of the originals: {sorted(shapes)}')
    return _side_by_side(columns, longest=1.1, size=SMALL)


def retrieval_examples(
    anchors: Float[np.ndarray, 'n 3 height width'],
    nearest: Float[np.ndarray, 'n 3 height width'],
    correct: Bool[np.ndarray, ' n'],
    captions: Sequence[str],
) -> Figure:
    """Show anchors above the pictures whose embeddings are nearest to theirs.

    Args:
        anchors: RGB pictures in [0, 1], at least one.
        nearest: the picture with the most similar embedding, one for each anchor.
        correct: whether that picture is the anchor's own positive, one for each anchor.
        captions: one for each anchor, of one or more lines.

    Returns:
        A figure with two axes for each anchor, eight anchors in a row. The lower picture's frame
        and the word under it say whether it is the positive.

    Raises:
        ValueError: if there is no anchor or the lengths differ.
    """
    check_counts(anchors=anchors, nearest=nearest, correct=correct, captions=captions)
    columns = min(8, len(anchors))
    blocks = -(-len(anchors) // columns)
    cell = _cell_size(*anchors.shape[2:], longest=1.5)
    # each block: captions, the anchors, the nearest pictures, a line for the verdicts
    height = _caption_height(captions)
    above = [height, 0.0] + [height + _LINE + 0.06, 0.0] * (blocks - 1)
    grid = _Grid(columns, above, cell, left=0.25, below=_LINE + 0.04)
    for index, caption in enumerate(captions):
        block, column = divmod(index, columns)
        upper, lower = grid.add(2 * block, column), grid.add(2 * block + 1, column)
        upper.imshow(_displayable(anchors[index]))
        lower.imshow(_displayable(nearest[index]))
        _write_title(upper, caption, cell[0])
        colour, verdict = (BLUE, 'positive') if correct[index] else (VERMILION, 'other frame')
        lower.spines[:].set(visible=True, color=colour, linewidth=2.5)
        lower.set_xlabel(verdict, fontsize=SMALL, color=colour, fontweight='bold', labelpad=3)
        if column == 0:
            upper.set_ylabel('anchor', fontsize=TEXT)
            lower.set_ylabel('nearest', fontsize=TEXT)
    return grid.figure


def _side_by_side(
    columns: Mapping[str, Float[np.ndarray, 'n 3 height width']],
    longest: float,
    size: float,
) -> Figure:
    """Lay out pictures of the same frames, one titled column per kind and one row per frame."""
    first = next(iter(columns.values()))
    cell = _cell_size(*first.shape[2:], longest=longest)
    grid = _Grid(len(columns), [_LINE + 0.06] + [0.0] * (len(first) - 1), cell)
    for column, (title, pictures) in enumerate(columns.items()):
        for row, picture in enumerate(pictures):
            axes = grid.add(row, column)
            axes.imshow(_displayable(picture))
            if row == 0:
                _write_title(axes, title, cell[0], size=size)
    return grid.figure


@dataclass
class _Grid:
    """A figure of equal cells, laid out in inches to keep the margins the same for any number."""

    columns: int
    # free space above each row, inches
    above: list[float]
    # inches, (width, height)
    cell: tuple[float, float]
    left: float = 0.0
    below: float = 0.0
    figure: Figure = field(init=False)

    def __post_init__(self) -> None:
        self.figure = Figure(figsize=self._size(), dpi=DPI)

    def _size(self) -> tuple[float, float]:
        width = 2 * _MARGIN + self.left + self.columns * (self.cell[0] + _GAP) - _GAP
        rows = len(self.above)
        height = 2 * _MARGIN + sum(self.above) + self.below + rows * (self.cell[1] + _GAP) - _GAP
        return width, height

    def add(self, row: int, column: int) -> Axes:
        """Add the bare axes of one cell."""
        width, height = self._size()
        x = _MARGIN + self.left + column * (self.cell[0] + _GAP)
        top = _MARGIN + sum(self.above[: row + 1]) + row * (self.cell[1] + _GAP)
        y = height - top - self.cell[1]
        axes = self.figure.add_axes(
            (x / width, y / height, self.cell[0] / width, self.cell[1] / height)
        )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return axes


def _caption_height(captions: Sequence[str]) -> float:
    """Return the inches above a row of pictures that the longest caption needs."""
    return _LINE + 0.125 * max(caption.count('\n') for caption in captions)


def _cell_size(height: int, width: int, longest: float) -> tuple[float, float]:
    """Return (width, height) in inches of a picture whose longer side is `longest` inches."""
    scale = longest / max(height, width)
    return width * scale, height * scale


def _displayable(
    picture: Float[np.ndarray, '3 height width'],
) -> Float[np.ndarray, 'height width 3']:
    """Move the channels last for imshow, and turn pixels that are not finite red."""
    pixels = np.moveaxis(picture, 0, -1)
    broken = ~np.isfinite(pixels).all(axis=-1, keepdims=True)
    return np.where(broken, (1.0, 0.0, 0.0), np.clip(np.nan_to_num(pixels), 0, 1))


def _write_title(axes: Axes, text: str, width: float, size: float = SMALL) -> None:
    """Put a caption above a picture, each line shortened to the picture's width (inches)."""
    # slightly less than the width, to keep neighbours apart
    lines = [shorten(line, 0.97 * width, size) for line in text.split('\n')]
    axes.set_title('\n'.join(lines), fontsize=size, pad=3)
