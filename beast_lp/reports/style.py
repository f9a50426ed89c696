"""What all figures share: colours, sizes of letters, the look of axes, texts that fit.

Only `matplotlib.figure.Figure` is used, never pyplot: no window system and no global state. The
colours are those of Okabe and Ito, "Color Universal Design" (2008), which colour-blind readers
tell apart; what a colour says is always said a second time, by a line style, a marker or a word.
"""

import os
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

BLUE = '#0072B2'
VERMILION = '#D55E00'
GREY = '#6B6B6B'
LIGHT = '#C8C8C8'
# Okabe-Ito without yellow, which is lost on white, and with a darker sky blue
PALETTE = (BLUE, '#E69F00', '#009E73', '#CC79A7', '#3FA0D9', VERMILION)
# where more must be told apart, brown and purple too
LONG_PALETTE = (*PALETTE, '#8C6D31', '#6B4C9A')

# as files are saved: hinting changes the width of letters with the resolution
DPI = 120
SMALL = 7.5
TEXT = 9.0


def label_axes(axes: Axes, x: str, y: str, title: str) -> None:
    """Name the axes, and give the plot the look that all share."""
    for text in (
        axes.set_xlabel(x, fontsize=TEXT),
        axes.set_ylabel(y, fontsize=TEXT),
        axes.set_title(title, loc='left', fontsize=TEXT),
    ):
        keep_verbatim(text)
    style_axes(axes)


def style_axes(axes: Axes) -> None:
    """Give a plot the look that all share."""
    axes.spines[['top', 'right']].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    axes.grid(color=LIGHT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)


def keep_verbatim(text: Text) -> None:
    """Keep a file name with two dollar signs from being read as a formula."""
    text.set_parse_math(False)


def shorten(text: str, width: float, size: float) -> str:
    """Replace the middle of a text by an ellipsis until it fits into `width` inches.

    Control characters and what cannot be encoded (undecodable bytes of a file name) are written
    as escapes, since a font has no glyph for them.
    """
    text = text.encode('utf-8', 'backslashreplace').decode()
    text = re.sub(r'[\x00-\x1f\x7f]', lambda match: repr(match[0])[1:-1], text)
    font = FontProperties(size=size)
    renderer = RendererAgg(1, 1, DPI)

    def inches(candidate: str) -> float:
        return renderer.get_text_width_height_descent(candidate, font, ismath=False)[0] / DPI

    shortened, kept = text, len(text)
    while kept > 2 and inches(shortened) > width:
        kept -= 1
        shortened = f'{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}'
    return shortened


def shorten_apart(texts: Sequence[str], width: float, size: float) -> list[str]:
    """Shorten different texts to `width` inches, and keep what tells them apart if possible.

    Names of sessions often begin and end alike and differ in the middle, which `shorten` drops.
    """
    shortened = [shorten(text, width, size) for text in texts]
    if len(set(shortened)) == len(shortened):
        return shortened
    start = len(os.path.commonprefix(list(texts)))
    rests = [text[start:] for text in texts]
    end = len(os.path.commonprefix([rest[::-1] for rest in rests]))
    middles = [f'…{rest[: len(rest) - end]}…' for rest in rests]
    return [shorten(middle, width, size) for middle in middles]


def short_numbers() -> FuncFormatter:
    """Write ticks with four digits at most, without an offset."""
    return FuncFormatter(lambda value, _: f'{value:.4g}')


def check_counts(**columns: Sequence[str] | Shaped[np.ndarray, '...']) -> None:
    """Make sure that there is something to draw, and as much of each.

    Raises:
        ValueError: if there is nothing, or the lengths differ.
    """
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ValueError(f'expected the same number of items, at least one, in each: {counts}')
