"""Figures of the encoding report: pure functions from arrays and tables to matplotlib figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beast_lp.encoding.samples import slices
from beast_lp.reports.style import (
    BLUE,
    GREY,
    LIGHT,
    PALETTE,
    SMALL,
    TEXT,
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


def trial_series(
    recorded: Float[np.ndarray, 'trials neurons'],
    predicted: Float[np.ndarray, 'trials neurons'],
    titles: Sequence[str],
    unit: str,
) -> Figure:
    """Draw a few neurons' activity in trials of one bin over the number of the trial.

    Args:
        recorded: smoothed counts or traces, at most six neurons.
        predicted: the same activity as the model predicts it.
        titles: one per neuron.
        unit: unit of the activity.
    """
    figure, panels = _over_one_another(
        (np.arange(1, len(recorded) + 1), recorded, predicted),
        titles,
        'trial',
        {'marker': '.', 'ls': '', 'ms': 3, 'label': 'recorded'},
        {'lw': 1.1},
        margin=0.8,
    )
    panels[0].set_ylabel(unit, fontsize=TEXT)
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


def rasters(
    recorded: Float[np.ndarray, 'bins neurons'],
    predicted: Float[np.ndarray, 'bins neurons'],
    bin_width: float,
) -> Figure:
    """Draw recorded activity above predicted activity of the same bins, one row per neuron.

    Args:
        recorded: smoothed counts or traces, neurons in the order to draw.
        predicted: the same activity as the model predicts it.
        bin_width: seconds.

    Returns:
        Two pictures in one grey scale; each neuron is z-scored by its recorded activity.
    """
    mean, deviation = recorded.mean(axis=0), recorded.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1)
    height = min(3.2, 0.8 + 0.035 * recorded.shape[1])
    figure = new_figure(9.5, 2 * height + 0.5)
    panels = figure.subplots(2, 1, sharex=True)
    extent = (0, len(recorded) * bin_width, recorded.shape[1], 0)
    for axes, values, title in zip(
        panels, (recorded, predicted), ('recorded (smoothed)', 'predicted'), strict=True
    ):
        axes.imshow(
            ((values - mean) / deviation).T,
            aspect='auto',
            cmap='Greys',
            vmin=-0.5,
            vmax=2.5,
            extent=extent,
            interpolation='nearest',
        )
        label_axes(axes, '', 'neuron', title)
        axes.grid(False)
    panels[1].set_xlabel('seconds, gaps left out', fontsize=TEXT)
    return figure


def traces(
    recorded: Float[np.ndarray, 'bins neurons'],
    predicted: Float[np.ndarray, 'bins neurons'],
    titles: Sequence[str],
    bin_width: float,
) -> Figure:
    """Draw a few neurons' recorded and predicted activity over one another.

    Args:
        recorded: smoothed counts or traces, at most six neurons.
        predicted: the same activity as the model predicts it.
        titles: one per neuron.
        bin_width: seconds.
    """
    figure, _ = _over_one_another(
        (np.arange(len(recorded)) * bin_width, recorded, predicted),
        titles,
        'seconds, gaps left out',
        {'lw': 0.9, 'label': 'recorded (smoothed)'},
        {'lw': 1.3},
        margin=0.6,
    )
    return figure


def _over_one_another(
    series: tuple[np.ndarray, np.ndarray, np.ndarray],
    titles: Sequence[str],
    along: str,
    recorded_style: dict[str, Any],
    predicted_style: dict[str, Any],
    margin: float,
) -> tuple[Figure, Sequence[Axes]]:
    """Draw recorded and predicted activity of a few neurons, a panel each.

    Args:
        series: positions along the horizontal axis, then recorded and predicted activity there,
            (positions, neurons).
        titles: one per neuron.
        along: label of the horizontal axis.
        recorded_style: options of the line of what was recorded.
        predicted_style: options of the line of what was predicted.
        margin: inches beside the panels.
    """
    x, recorded, predicted = series
    figure = new_figure(9.5, margin + 1.15 * len(titles))
    panels = figure.subplots(len(titles), 1, sharex=True, squeeze=False)[:, 0]
    for neuron, axes in enumerate(panels):
        axes.plot(x, recorded[:, neuron], color=GREY, **recorded_style)
        axes.plot(x, predicted[:, neuron], color=VERMILION, label='predicted', **predicted_style)
        label_axes(axes, '', '', titles[neuron])
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc='outside upper right', ncols=2, fontsize=SMALL, frameon=False
    )
    panels[-1].set_xlabel(along, fontsize=TEXT)
    return figure, list(panels)


def psths(
    recorded: Float[np.ndarray, 'trials time neurons'],
    predicted: Float[np.ndarray, 'trials time neurons'],
    titles: Sequence[str],
    time: Float[np.ndarray, ' time'],
    unit: str,
) -> Figure:
    """Draw, per neuron, the single trials and the mean over them, recorded against predicted.

    Args:
        recorded: activity in the test trials, at most six neurons.
        predicted: the same activity as the model predicts it.
        titles: one per neuron.
        time: centres of the bins, seconds since the trial began.
        unit: unit of the activity.

    Returns:
        One column per neuron: a raster of the recorded trials, one of the predicted ones, and both
        means with their standard errors over trials.
    """
    trials, _, count = recorded.shape
    figure = new_figure(1.0 + 1.75 * count, 5.4)
    panels = figure.subplots(3, count, sharex=True, squeeze=False)
    half = (time[1] - time[0]) / 2 if len(time) > 1 else 0.5
    extent = (time[0] - half, time[-1] + half, trials, 0)
    for neuron in range(count):
        own, model = recorded[..., neuron], predicted[..., neuron]
        top = np.quantile(own, 0.99) or own.max() or 1.0
        for axes, values in zip(panels[:2, neuron], (own, model), strict=True):
            axes.imshow(
                values,
                aspect='auto',
                cmap='Greys',
                vmin=0,
                vmax=top,
                extent=extent,
                interpolation='nearest',
            )
            label_axes(axes)
            axes.grid(False)
        panels[0, neuron].set_title(titles[neuron], fontsize=SMALL)
        axes = panels[2, neuron]
        for values, colour, label in (
            (own, GREY, 'recorded'),
            (model, VERMILION, 'predicted'),
        ):
            mean = values.mean(axis=0)
            error = values.std(axis=0, ddof=1) / np.sqrt(trials) if trials > 1 else 0 * mean
            axes.fill_between(time, mean - error, mean + error, color=colour, alpha=0.25, lw=0)
            axes.plot(time, mean, color=colour, lw=1.3, label=f'{label}, SEM')
        label_axes(axes, 's into the trial')
    for row, text in enumerate(('recorded trials', 'predicted trials', unit)):
        panels[row, 0].set_ylabel(text, fontsize=TEXT)
    panels[2, 0].legend(fontsize=SMALL, frameon=False)
    return figure


def longest_stretch(run: Int[np.ndarray, ' bins'], limit: int) -> slice:
    """Return the longest run, or its first `limit` bins."""
    longest = max(slices(run), key=lambda stretch: stretch.stop - stretch.start)
    return slice(longest.start, min(longest.stop, longest.start + limit))


def _limits(values: Float[np.ndarray, ' values']) -> tuple[float, float]:
    if not len(values):
        return -1.0, 1.0
    low, high = float(values.min()), float(values.max())
    edge = 0.05 * (high - low) or 0.1
    return low - edge, high + edge
