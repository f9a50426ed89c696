"""Curves of the pretraining report: pure functions from tables to matplotlib figures."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from beast_lp.reports.style import (
    BLUE,
    DPI,
    GREY,
    SMALL,
    TEXT,
    VERMILION,
    short_numbers,
    style_axes,
)

# one point per epoch is marked up to here; beyond, markers merge into a thick line
_MARKED_POINTS = 40


def training_curves(metrics: pd.DataFrame) -> Figure:
    """Draw losses, retrieval, learning rate and throughput as small multiples.

    Args:
        metrics: one row for each logged point. Columns, each of which may be absent or NaN: epoch,
            step, train_loss, train_reconstruction, train_contrastive, val_loss,
            val_reconstruction, val_contrastive, val_retrieval and val_retrieval_chance (shares,
            0 to 1), learning_rate, images_per_second, data_wait_share (0 to 1).

    Returns:
        A figure with six panels, and a seventh axes on the right of the throughput panel if
        `data_wait_share` was recorded. The abscissa is the epoch where there is no more than one
        row for each, else the step, else the row number. A loss that spans more than a factor of
        20 is drawn on a logarithmic scale, and its label says so.
    """
    figure = Figure(figsize=(10.5, 5.6), dpi=DPI, layout='constrained')
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # pyright: ignore
    panels: list[Axes] = list(figure.subplots(2, 3).flat)
    x = _abscissa(metrics)
    losses = {
        'Total loss': ('loss', 'loss'),
        'Reconstruction': ('reconstruction', 'mean squared error'),
        'Contrastive': ('contrastive', 'InfoNCE (nats)'),
    }
    for axes, (title, (name, label)) in zip(panels, losses.items(), strict=False):
        drawn = [
            _draw(axes, metrics, x, f'train_{name}', 'training', BLUE, 'o-'),
            _draw(axes, metrics, x, f'val_{name}', 'validation', VERMILION, 's--'),
        ]
        _finish_panel(axes, title, _scale_loss(axes, label, np.concatenate(drawn)), x)
    _draw_retrieval(panels[3], metrics, x)
    _draw(panels[4], metrics, x, 'learning_rate', 'learning rate', BLUE, 'o-')
    panels[4].yaxis.set_major_formatter(short_numbers())
    _finish_panel(panels[4], 'Learning rate', 'learning rate', x)
    _draw_throughput(panels[5], metrics, x)
    return figure


def probe_curve(metrics: pd.DataFrame) -> Figure:
    """Draw the error of the probe over training, with what it must be compared to.

    Args:
        metrics: one row per epoch with `probe_px`, `probe_constant_px` and `probe_start_px` (NaN
            where it was not measured).

    Returns:
        A figure of one panel, in pixels of the original images.
    """
    figure = Figure(figsize=(6.0, 3.4), dpi=DPI, layout='constrained')
    axes = figure.subplots()
    measured = metrics.dropna(subset=['probe_px'])
    x = _abscissa(measured)
    _draw(axes, measured, x, 'probe_px', 'frozen features, ridge regression', BLUE, 'o-')
    for column, label, colour, style in (
        ('probe_start_px', 'with the initial weights', VERMILION, '--'),
        ('probe_constant_px', 'constant prediction', GREY, ':'),
    ):
        values = _numbers(measured, column)
        if np.isfinite(values).any():
            axes.axhline(float(np.nanmean(values)), color=colour, linestyle=style, label=label)
    axes.set_ylim(bottom=0)
    _finish_panel(axes, 'Keypoints from frozen features', 'mean error (px)', x)
    return figure


def tuning_panels(table: pd.DataFrame) -> Figure:
    """Draw what the short runs with different contrastive weights came to.

    Args:
        table: one row per run with `contrastive_weight`, `probe_px`,
            `val_cls_retrieval`, `val_reconstruction` (NaN where not measured) and `chosen`.

    Returns:
        A figure with one panel for each measure; the chosen run has a ring.
    """
    panels = {
        'probe_px': 'probe: mean error (px)',
        'val_cls_retrieval': 'positives found (share)',
        'val_reconstruction': 'reconstruction (MSE)',
    }
    figure = Figure(figsize=(10.5, 3.0), dpi=DPI, layout='constrained')
    # weights span orders of magnitude and may be 0, so they stand side by side as names
    table = table.sort_values('contrastive_weight').reset_index(drop=True)
    places = np.arange(len(table), dtype=np.float64)
    for axes, (column, label) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        values = _numbers(table, column)
        if np.isfinite(values).any():
            axes.plot(places, values, 'o-', color=BLUE, markersize=4)
            chosen = table['chosen'].to_numpy(bool)
            axes.plot(
                places[chosen],
                values[chosen],
                'o',
                color=VERMILION,
                markersize=11,
                fillstyle='none',
                label='chosen',
            )
            axes.set_xticks(places, [f'{w:g}' for w in table['contrastive_weight']])
            axes.legend(fontsize=SMALL, frameon=False)
            axes.set_xlabel('contrastive weight (lambda)', fontsize=TEXT)
            axes.set_ylabel(label, fontsize=TEXT)
            style_axes(axes)
        else:
            _finish_panel(axes, '', label, _Abscissa(places, 'contrastive weight (lambda)'))
    return figure


@dataclass(frozen=True)
class _Abscissa:
    values: Float[np.ndarray, ' rows']
    label: str


def _abscissa(metrics: pd.DataFrame) -> _Abscissa:
    """Choose the column that orders the rows; see `training_curves`."""
    for column in ('epoch', 'step'):
        if column in metrics:
            values = _numbers(metrics, column)
            if np.isfinite(values).all() and len(np.unique(values)) == len(values):
                return _Abscissa(values, column)
    return _Abscissa(np.arange(len(metrics), dtype=np.float64), 'row of the table')


def _numbers(metrics: pd.DataFrame, column: str) -> Float[np.ndarray, ' rows']:
    """Return a column as numbers, NaN where it or a value is absent."""
    if column not in metrics:
        return np.full(len(metrics), np.nan)
    return np.asarray(metrics[column].astype('float64'))


def _draw(
    axes: Axes,
    metrics: pd.DataFrame,
    x: _Abscissa,
    column: str,
    label: str,
    colour: str,
    style: str,
) -> Float[np.ndarray, ' points']:
    """Draw the finite values of a column and return them; say how many are infinite."""
    y = _numbers(metrics, column)
    finite = np.isfinite(y)
    infinite = int(np.isinf(y).sum())
    if infinite:
        label = f'{label} ({infinite} infinite, not drawn)'
    if finite.any() or infinite:
        few = finite.sum() <= _MARKED_POINTS
        axes.plot(
            x.values[finite],
            y[finite],
            style if few else style[1:],
            color=colour,
            label=label,
            markersize=3.5,
            linewidth=1.5,
        )
    return y[finite]


def _scale_loss(axes: Axes, label: str, values: Float[np.ndarray, ' points']) -> str:
    """Choose a loss panel's scale and return its label."""
    if len(values) and values.min() > 0 and values.max() / values.min() > 20:
        axes.set_yscale('log')
        return f'{label} (log scale)'
    axes.ticklabel_format(axis='y', useOffset=False)
    return label


def _draw_retrieval(axes: Axes, metrics: pd.DataFrame, x: _Abscissa) -> None:
    _draw(axes, metrics, x, 'val_retrieval', 'validation', VERMILION, 's--')
    chance = _numbers(metrics, 'val_retrieval_chance')
    levels = np.unique(chance[np.isfinite(chance)])
    if len(levels) == 1:
        axes.axhline(levels[0], color=GREY, linestyle=':', linewidth=1.5, label='chance')
    elif len(levels):
        _draw(axes, metrics, x, 'val_retrieval_chance', 'chance', GREY, '.:')
    if axes.lines:
        axes.set_ylim(0, max(0.05, min(1.03, axes.get_ylim()[1])))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _finish_panel(axes, 'Retrieval of the positive', 'positives found (%)', x)


def _draw_throughput(axes: Axes, metrics: pd.DataFrame, x: _Abscissa) -> None:
    _draw(axes, metrics, x, 'images_per_second', 'throughput', BLUE, 'o-')
    if len(axes.lines):
        axes.set_ylim(bottom=0)
    _finish_panel(axes, 'Throughput', 'images per second', x)
    if not np.isfinite(_numbers(metrics, 'data_wait_share')).any():
        return
    waiting = axes.twinx()
    _draw(waiting, metrics, x, 'data_wait_share', 'waiting for data', VERMILION, 's--')
    waiting.set_ylim(0, 1.03)
    waiting.yaxis.set_major_formatter(PercentFormatter(1.0))
    waiting.set_ylabel('time waiting for data (%)', fontsize=TEXT, color=VERMILION)
    waiting.tick_params(labelsize=SMALL, labelcolor=VERMILION)
    waiting.spines['top'].set_visible(False)
    axes.yaxis.label.set_color(BLUE)
    axes.tick_params(axis='y', labelcolor=BLUE)


def _finish_panel(axes: Axes, title: str, label: str, x: _Abscissa) -> None:
    """Give a panel its texts and, if nothing was drawn, say so."""
    axes.set_title(title, loc='left', fontsize=TEXT + 1)
    axes.set_xlabel(x.label, fontsize=TEXT)
    axes.set_ylabel(label, fontsize=TEXT)
    style_axes(axes)
    if not axes.lines:
        axes.set(xticks=[], yticks=[])
        axes.text(
            0.5,
            0.5,
            'not recorded',
            transform=axes.transAxes,
            ha='center',
            va='center',
            fontsize=TEXT,
            color=GREY,
        )
        return
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    # the same stretch in every panel, whatever was recorded when
    first, last = x.values.min(), x.values.max()
    edge = 0.05 * (last - first) or 0.5
    axes.set_xlim(first - edge, last + edge)
    if len(axes.lines) > 1 or 'infinite' in str(axes.lines[0].get_label()):
        axes.legend(fontsize=SMALL, frameon=False)
