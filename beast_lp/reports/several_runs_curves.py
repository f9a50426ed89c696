"""Curves of several pretraining runs over each other.

Adding a new curve: enter its column in `_PANELS`; it is drawn where a run has it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from beast_lp.pretraining.floors import FLOORS
from beast_lp.reports.pretraining_verdict import last_values
from beast_lp.reports.style import (
    GREY,
    LONG_PALETTE,
    SMALL,
    add_legend,
    label_axes,
    new_figure,
    short_ticks,
)

_STYLES = ('-', '--', '-.', ':')
_COLUMNS = 3
# where the ordinate of an explained share begins: the first epochs from random weights are far
# below
_LEAST_SHARE = -1.0
# levels of runs that are equal but for rounding
_SAME = 1e-3


class _Panel(NamedTuple):
    """A panel: its title, label, whether it shows shares, and levels that all runs have.

    `levels` are columns that do not change, by their words.
    """

    title: str
    label: str
    is_share: bool = False
    levels: Mapping[str, str] = {}


# column of metrics.csv -> its panel
_PANELS: Mapping[str, _Panel] = {
    'probe_px': _Panel(
        'Keypoints from frozen features',
        'mean error (px)',
        levels={f'probe_{name}_px': FLOORS[name] for name in ('pixels', 'random')},
    ),
    'val_background_explained': _Panel("Explained beyond each video's median", '%', True),
    'val_explained': _Panel('Explained beyond the mean picture', '%', True),
    'val_reconstruction': _Panel('Reconstruction, held out', 'mean squared error'),
    'train_reconstruction': _Panel('Reconstruction, training', 'mean squared error'),
    'val_contrastive': _Panel(
        'Contrastive, held out', 'InfoNCE (nats)', levels={'val_contrastive_chance': 'chance'}
    ),
    'learning_rate': _Panel('Learning rate', 'learning rate'),
}


def overlaid_curves(metrics: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the curves of runs over each other, one panel for each quantity.

    Args:
        metrics: name of the run → one row per epoch; columns as in `metrics.csv`.

    Returns:
        A figure with three panels in a row over the optimiser steps, or over the epochs where a
        run did not record its steps. A level that the runs share, such as chance, is grey.
    """
    tables = list(metrics.values())
    shown = [name for name in _PANELS if any(name in t and t[name].notna().any() for t in tables)]
    rows = max(1, -(-len(shown) // _COLUMNS))
    figure = new_figure(10.5, 2.8 * rows + 0.3)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # pyright: ignore
    panels = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    x = 'step' if all('step' in table for table in tables) else 'epoch'
    handles: list[Line2D] = []
    for axes, column in zip(panels, shown, strict=False):
        lines = _draw_panel(axes, metrics, column, x)
        handles = lines if len(lines) > len(handles) else handles
    for unused in panels[len(shown) :]:
        unused.remove()
    if handles:
        names = [str(line.get_label()) for line in handles]
        columns = min(4, len(names))
        add_legend(figure, handles, names, loc='outside upper left', ncols=columns)
    return figure


def _draw_panel(
    axes: Axes, metrics: Mapping[str, pd.DataFrame], column: str, x: str
) -> list[Line2D]:
    """Draw one quantity of all runs, and return the lines of the runs that have it."""
    panel = _PANELS[column]
    lines: list[Line2D] = []
    for number, (name, table) in enumerate(metrics.items()):
        if column not in table:
            continue
        values = table.loc[np.isfinite(table[column].astype('float64'))]
        if values.empty:
            continue
        options = {
            'color': LONG_PALETTE[number % len(LONG_PALETTE)],
            'ls': _STYLES[number % len(_STYLES)],
            'lw': 1.5,
            # a line of one point would not show
            'marker': 'o' if len(values) == 1 else '',
        }
        # epochs are counted from 1
        places = values[x] + (x == 'epoch')
        lines += axes.plot(places, values[column], label=name, **options)
    for number, (level, words) in enumerate(panel.levels.items()):
        found = [last_values(table, level) for table in metrics.values()]
        _draw_level(axes, [value[0] for value in found if value], words, ('--', ':')[number % 2])
    if panel.is_share:
        axes.set_ylim(max(_LEAST_SHARE, axes.get_ylim()[0]), 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        _draw_level(axes, [0.0], 'no model', ':')
    else:
        axes.yaxis.set_major_formatter(short_ticks())
    label_axes(axes, x, panel.label, panel.title)
    return lines


def _draw_level(axes: Axes, values: Sequence[float], words: str, style: str) -> None:
    """Draw what the runs have in common as one grey line, and name it there."""
    if not values or max(values) - min(values) > _SAME * abs(values[0]):
        return
    axes.axhline(values[0], color=GREY, ls=style, lw=1.2, label=words)
    place = {'xycoords': ('axes fraction', 'data'), 'ha': 'right', 'va': 'bottom'}
    axes.annotate(words, (1, values[0]), fontsize=SMALL, color=GREY, **place)
