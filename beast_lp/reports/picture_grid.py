"""Figures of equal pictures in rows, with captions, laid out in inches."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beast_lp.reports.style import DPI, SMALL, shorten

# inches: of a line of text, around a figure, and between pictures
LINE = 0.19
_MARGIN = 0.08
_GAP = 0.06


@dataclass
class PictureGrid:
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
        """Make the empty figure."""
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


def caption_height(captions: Sequence[str]) -> float:
    """Return the inches above a row of pictures that the longest caption needs."""
    return LINE + 0.125 * max(caption.count('\n') for caption in captions)


def cell_size(height: int, width: int, longest: float) -> tuple[float, float]:
    """Return (width, height) in inches of a picture whose longer side is `longest` inches."""
    scale = longest / max(height, width)
    return width * scale, height * scale


def displayable(
    picture: Float[np.ndarray, '3 height width'],
) -> Float[np.ndarray, 'height width 3']:
    """Move the channels last for imshow, and turn pixels that are not finite red."""
    pixels = np.moveaxis(picture, 0, -1)
    broken = ~np.isfinite(pixels).all(axis=-1, keepdims=True)
    return np.where(broken, (1.0, 0.0, 0.0), np.clip(np.nan_to_num(pixels), 0, 1))


def write_title(axes: Axes, text: str, width: float, size: float = SMALL) -> None:
    """Put a caption above a picture, each line shortened to the picture's width (inches)."""
    # slightly less than the width, to keep neighbours apart
    lines = [shorten(line, 0.97 * width, size) for line in text.split('\n')]
    axes.set_title('\n'.join(lines), fontsize=size, pad=3)
