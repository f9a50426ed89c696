"""Activity in the encoding report: what was recorded beside what was predicted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beast_lp.encoding.samples import slices
from beast_lp.reports.style import GREY, SMALL, TEXT, VERMILION, label_axes, new_figure


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
