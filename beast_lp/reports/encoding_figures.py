"""Scores of the encoding report: pure functions from arrays and tables to matplotlib figures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from beast_lp.reports.style import (
    BLUE,
    GREY,
    LIGHT,
    PALETTE,
    SMALL,
    VERMILION,
    label_axes,
    new_figure,
)

_MAX_REGIONS = 20
_MAX_DIFFERENCES = 30
_CONTROL_LABELS = {'shift': 'circular shifts', 'permutation': 'permutations'}


def score_scatter(
    x: Float[np.ndarray, ' neurons'],
    y: Float[np.ndarray, ' neurons'],
    x_name: str,
    y_name: str,
    unit: str,
) -> Figure:
    """Draw the neurons' scores with one source against those with another.

    Args:
        x: scores with one source; neurons with a NaN in either are left out.
        y: scores with the other source.
        x_name: name of the first source.
        y_name: name of the other source.
        unit: unit of the scores.

    Returns:
        A square plot with the line of equal scores; the title counts the neurons above it.
    """
    figure = new_figure(4.6, 4.6)
    axes = figure.subplots()
    both = np.isfinite(x) & np.isfinite(y)
    axes.scatter(x[both], y[both], s=14, color=BLUE, alpha=0.7, lw=0)
    low, high = _limits(np.concatenate([x[both], y[both]]))
    axes.plot([low, high], [low, high], color=GREY, lw=1, ls='--')
    axes.set(xlim=(low, high), ylim=(low, high), aspect='equal')
    axes.axhline(0, color=LIGHT, lw=0.8, zorder=0)
    axes.axvline(0, color=LIGHT, lw=0.8, zorder=0)
    above = int((y[both] > x[both]).sum())
    label_axes(
        axes,
        f'{x_name} ({unit})',
        f'{y_name} ({unit})',
        f'{above} of {both.sum()} neurons are predicted better by {y_name}',
    )
    return figure


def comparison_bars(table: pd.DataFrame, unit: str) -> Figure:
    """Draw each score, and what it adds to slow drift beside the 95 % bands of its controls.

    Args:
        table: result of `encoding.tables.comparison_table`; each pair of columns `NAME_low` and
            `NAME_high` is the band of a control.
        unit: unit of the scores.

    Returns:
        A figure with one row per source and encoder, and two columns: scores with their standard
        errors over neurons, and what is added.
    """
    rows = len(table)
    figure = new_figure(9.5, 1.1 + 0.34 * rows)
    left, right = figure.subplots(1, 2, sharey=True)
    at = np.arange(rows)[::-1]
    drift = table['drift'].to_numpy(dtype=float)
    left.plot(drift, at, '|', color=VERMILION, markersize=13, mew=2, label='slow drift alone')
    left.errorbar(
        table['score'].to_numpy(dtype=float),
        at,
        xerr=table['sem_neurons'].to_numpy(dtype=float),
        fmt='o',
        color=BLUE,
        label='features alone, SEM over neurons',
    )
    colours = (GREY, *PALETTE[1:])
    names = control_names(table)
    for number, name in enumerate(names):
        low, high = (table[f'{name}_{end}'].to_numpy(dtype=float) for end in ('low', 'high'))
        right.hlines(
            at + 0.32 * (number - (len(names) - 1) / 2),
            low,
            high,
            color=colours[number % len(colours)],
            lw=4,
            alpha=0.7,
            label=f'{_CONTROL_LABELS.get(name, name)}, 95 %',
        )
    added = table['over_drift'].to_numpy(dtype=float)
    right.plot(added, at, 'o', color=BLUE, label='added to slow drift')
    left.set_yticks(
        at,
        [
            f'{source} · {encoder}'
            for source, encoder in zip(table['source'], table['encoder'], strict=True)
        ],
    )
    for axes, title in ((left, 'score'), (right, 'added to slow drift')):
        axes.axvline(0, color=LIGHT, lw=0.8, zorder=0)
        label_axes(axes, unit, title=title)
    handles, labels = (
        one + other
        for one, other in zip(
            left.get_legend_handles_labels(), right.get_legend_handles_labels(), strict=True
        )
    )
    figure.legend(
        handles, labels, fontsize=SMALL, frameon=False, loc='outside lower center', ncols=2
    )
    return figure


def difference_bars(table: pd.DataFrame, unit: str) -> Figure:
    """Draw the paired differences between sources with their 95 % intervals.

    Args:
        table: result of `encoding.tables.difference_table`; the first 30 rows are drawn.
        unit: unit of the scores.
    """
    table = table.head(_MAX_DIFFERENCES)
    figure = new_figure(8.5, 0.9 + 0.3 * len(table))
    axes = figure.subplots()
    at = np.arange(len(table))[::-1]
    low, high = (table[name].to_numpy(dtype=float) for name in ('low', 'high'))
    axes.hlines(at, low, high, color=GREY, lw=2)
    axes.plot(table['difference'].to_numpy(dtype=float), at, 'o', color=BLUE)
    axes.axvline(0, color=LIGHT, lw=0.8, zorder=0)
    axes.set_yticks(
        at,
        [
            f'{row["source"]} - {row["other"]} · {row["encoder"]}'
            for row in table.to_dict('records')
        ],
    )
    label_axes(axes, f'difference ({unit})')
    return figure


def control_names(table: pd.DataFrame) -> list[str]:
    """Return the controls whose bands a comparison holds as `NAME_low` and `NAME_high`."""
    return [str(name)[: -len('_low')] for name in table if str(name).endswith('_low')]


def region_distribution(
    scores: Sequence[Float[np.ndarray, ' neurons']],
    names: Sequence[str],
    unit: str,
) -> Figure:
    """Draw the neurons' scores, one box and cloud of points per region.

    Args:
        scores: one array per region; the 20 regions with the most neurons are drawn.
        names: one per region.
        unit: unit of the scores.
    """
    order = sorted(range(len(names)), key=lambda i: -len(scores[i]))[:_MAX_REGIONS]
    figure = new_figure(1.6 + 0.7 * len(order), 3.6)
    axes = figure.subplots()
    finite = [scores[i][np.isfinite(scores[i])] for i in order]
    axes.boxplot(
        finite,
        positions=range(len(order)),
        widths=0.6,
        showfliers=False,
        medianprops={'color': VERMILION},
    )
    for position, values in enumerate(finite):
        spread = np.linspace(-0.22, 0.22, len(values)) if len(values) > 1 else np.zeros(1)
        # the horizontal position follows the order of the neurons and says nothing
        axes.plot(position + spread[: len(values)], values, '.', color=BLUE, ms=3, alpha=0.6)
    axes.axhline(0, color=LIGHT, lw=0.8, zorder=0)
    axes.set_xticks(
        range(len(order)), [f'{names[i] or "unknown"}\n({len(scores[i])})' for i in order]
    )
    axes.set_xlim(-0.6, len(order) - 0.4)
    label_axes(axes, '', unit)
    return figure


def _limits(values: Float[np.ndarray, ' values']) -> tuple[float, float]:
    if not len(values):
        return -1.0, 1.0
    low, high = float(values.min()), float(values.max())
    edge = 0.05 * (high - low) or 0.1
    return low - edge, high + edge
