"""Colours, letter sizes and the look of axes that all figures share, and texts that fit.

Only `matplotlib.figure.Figure` is used, never pyplot: no window system and no global state. The
colours are those of Okabe and Ito, "Color Universal Design" (2008), which colour-blind readers
tell apart; a line style, a marker or a word repeats whatever a colour says.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

BLUE = '#0072B2'
VERMILION = '#D55E00'
GREY = '#6B6B6B'
LIGHT = '#C8C8C8'
# Okabe-Ito without yellow, which is lost on white, and with a darker sky blue
PALETTE = (BLUE, '#E69F00', '#009E73', '#CC79A7', '#3FA0D9', VERMILION)
# brown and purple for figures that tell more groups apart
LONG_PALETTE = (*PALETTE, '#8C6D31', '#6B4C9A')

# the resolution of saved files: hinting makes the width of letters depend on it
DPI = 120
# points
SMALL = 7.5
TEXT = 9.0


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, which lays out its axes by itself."""
    return Figure(figsize=(width, height), dpi=DPI, layout='constrained')


def label_axes(axes: Axes, x: str = '', y: str = '', title: str = '') -> None:
    """Name the axes, and give the plot the common look."""
    axes.set_xlabel(x, fontsize=TEXT)
    axes.set_ylabel(y, fontsize=TEXT)
    axes.set_title(title, loc='left', fontsize=TEXT)
    axes.spines[['top', 'right']].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    axes.grid(color=LIGHT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)


def add_legend(
    parent: Axes | Figure, handles: Sequence[Artist], names: Sequence[str], **options: Any
) -> None:
    """Add a legend without a frame.

    Matplotlib leaves out names that begin with an underscore, which files and classes may do, so
    the names are set after the legend is made.

    Args:
        parent: where the legend goes.
        handles: one artist per name, which shows the colour and the marker.
        names: texts, shown as they are.
        options: passed to matplotlib's `legend`.
    """
    legend = parent.legend(handles, [' '] * len(handles), fontsize=SMALL, frameon=False, **options)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)


def disable_formulas(figure: Figure) -> None:
    r"""Make matplotlib draw every text of a figure as it stands.

    A name of a file, a neuron or a class may hold two dollar signs, which matplotlib reads as a
    formula: it draws `$a$` in italics and refuses to draw `$\frac$`. No figure here holds a
    formula that is meant as one.
    """
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # type: ignore[attr-defined]


def shorten(text: str, width: float, size: float) -> str:
    """Replace the middle of a text by an ellipsis until it fits into `width` inches.

    Control characters and undecodable bytes of a file name, for which a font has no glyph, are
    written as escapes.

    Args:
        text: one line.
        width: inches.
        size: points, of the letters.
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
    """Shorten different texts to `width` inches, and keep them different if possible.

    Names of sessions often begin and end alike and differ in the middle, which `shorten` drops.

    Args:
        texts: one line each.
        width: inches.
        size: points, of the letters.
    """
    shortened = [shorten(text, width, size) for text in texts]
    if len(set(shortened)) == len(shortened):
        return shortened
    start = len(os.path.commonprefix(list(texts)))
    rests = [text[start:] for text in texts]
    end = len(os.path.commonprefix([rest[::-1] for rest in rests]))
    middles = [f'…{rest[: len(rest) - end]}…' for rest in rests]
    return [shorten(middle, width, size) for middle in middles]


def short_paths(paths: Sequence[str]) -> list[str]:
    """Leave out the folders that all paths share.

    Examples:
        >>> short_paths(['/data/mouse/day1/left.mp4', '/data/mouse/day2/left.mp4'])
        ['day1/left.mp4', 'day2/left.mp4']
        >>> short_paths(['/data/mouse/left.mp4'])
        ['left.mp4']
    """
    parts = [path.split('/') for path in paths]
    shared = len(os.path.commonprefix([names[:-1] for names in parts]))
    return ['/'.join(names[shared:]) for names in parts]


def three_digits(value: float) -> str:
    """Write a number with at most three significant digits; whole numbers keep all of theirs.

    Examples:
        >>> [three_digits(value) for value in (0.12963, 15.476, 1234.5, 120000.0, -0.0)]
        ['0.13', '15.5', '1234', '120000', '0']
    """
    whole = np.isfinite(value) and (abs(value) >= 100 or float(value).is_integer())
    # adding 0 drops the sign of -0.0
    return f'{value + 0.0:.0f}' if whole else f'{value:.3g}'


def short_ticks() -> FuncFormatter:
    """Write ticks with at most four digits, without an offset."""
    return FuncFormatter(lambda value, _: f'{value:.4g}'.replace('-', '\N{MINUS SIGN}'))


def check_counts(**columns: Sequence[str] | Shaped[np.ndarray, '...']) -> None:
    """Check that there is something to draw, and equally many of each.

    Raises:
        ValueError: if there is nothing, or the lengths differ.
    """
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ValueError(f'expected the same number of items, at least one, in each: {counts}')
