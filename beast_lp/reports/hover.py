"""Values of curves that show up under the pointer, without a script.

A curve is drawn as a picture. Over it lie invisible strips, one for each place on the abscissa
and as high as the panel, and a browser shows the title of the strip that the pointer is in.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter, ScalarFormatter

from beast_lp.reports.style import three_digits

# strips of a panel: more are too narrow to point at, and a strip takes about 150 bytes
MAX_STRIPS = 60


class Strip(NamedTuple):
    """A place on the abscissa of a panel; whole px from the upper left corner of the figure."""

    x: int
    y: int
    width: int
    height: int
    text: str


def hover_strips(figure: Figure) -> list[Strip]:
    """Return the values of the named lines of a figure, by where they are drawn.

    Args:
        figure: figure that has been drawn, so that its panels are where they stay.

    Returns:
        The strips of each panel from left to right. Panels without a named line have none, and
        neither have those whose abscissa holds names.
    """
    panels: dict[tuple[int, ...], list[Axes]] = {}
    for axes in figure.axes:
        # a second ordinate on the right is a panel of its own, at the same place
        place = tuple(round(edge) for edge in axes.get_window_extent().extents)
        panels.setdefault(place, []).append(axes)
    height = round(figure.bbox.height)
    return [
        strip for place, parts in panels.items() for strip in _panel_strips(parts, place, height)
    ]


def _panel_strips(parts: Sequence[Axes], place: tuple[int, ...], height: int) -> list[Strip]:
    first = parts[0]
    if not isinstance(first.xaxis.get_major_formatter(), ScalarFormatter):
        return []
    values = [(axes, line, _points(axes, line)) for axes in parts for line in axes.lines]
    found = sorted({x for _, _, points in values for x in points})
    if not found:
        return []
    if len(found) > MAX_STRIPS:
        picks = np.linspace(0, len(found) - 1, MAX_STRIPS).round().astype(int)
        found = [found[pick] for pick in picks]
    left, bottom, right, top = place
    centres = first.transData.transform([(x, first.get_ylim()[0]) for x in found])[:, 0]
    edges = [left, *(centres[1:] + centres[:-1]) / 2, right]
    strips = []
    for number, x in enumerate(found):
        begin, end = (round(min(max(edge, left), right)) for edge in edges[number : number + 2])
        lines = [
            f'{line.get_label()}: {_value(axes, points[x] if x in points else _level(axes, line))}'
            for axes, line, points in values
            if x in points or np.isfinite(_level(axes, line))
        ]
        head = f'{first.get_xlabel()} {three_digits(x)}'.strip()
        title = first.get_title('left')
        text = '\n'.join([f'{title}, {head}' if title else head, *lines])
        strips.append(Strip(begin, height - top, end - begin, top - bottom, text))
    return strips


def _points(axes: Axes, line: Line2D) -> dict[float, float]:
    """Return the ordinates of a named line by its abscissae; none for straight lines across."""
    if str(line.get_label()).startswith('_') or line.get_transform() != axes.transData:
        return {}
    x, y = (np.asarray(line.get_data()[axis], dtype=np.float64) for axis in (0, 1))
    finite = np.isfinite(x) & np.isfinite(y)
    return dict(zip(x[finite].tolist(), y[finite].tolist(), strict=True))


def _level(axes: Axes, line: Line2D) -> float:
    """Return the height of a named horizontal line, NaN for any other."""
    if str(line.get_label()).startswith('_') or line.get_transform() == axes.transData:
        return float('nan')
    heights = np.unique(np.asarray(line.get_ydata(), dtype=np.float64))
    return float(heights[0]) if len(heights) == 1 else float('nan')


def _value(axes: Axes, value: float) -> str:
    if isinstance(axes.yaxis.get_major_formatter(), PercentFormatter):
        return f'{three_digits(100 * value)} %'
    return three_digits(value)
