"""Curves of the pretraining report: pure functions from tables to matplotlib figures.

Adding a new curve: log `train_NAME` or `val_NAME`; `training_curves` gives every such name a
panel, and `tuning_panels` every `val_NAME`. `_PANELS` holds titles and units that a name does not
tell. A quantity of another kind gets a function that draws its panel, and an entry of `_OTHERS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator, PercentFormatter

from beast_lp.pretraining.floors import FLOORS
from beast_lp.reports.style import (
    BLUE,
    GREY,
    PALETTE,
    SMALL,
    TEXT,
    VERMILION,
    label_axes,
    new_figure,
    short_ticks,
)

# one point per epoch is marked up to this many; beyond, markers merge into a thick line
_MARKED_POINTS = 40
_COLUMNS = 3
# name of a loss -> title of its panel and label of its ordinate
_PANELS = {
    'loss': ('Total loss', 'loss'),
    'reconstruction': ('Reconstruction', 'mean squared error'),
    'contrastive': ('Contrastive', 'InfoNCE (nats)'),
}
# column of an explained share -> its words
_EXPLAINED = {
    'val_explained': 'beyond the mean picture',
    'val_background_explained': "beyond each video's median",
}
# column of the probe -> label and colour of its level
_LEVELS = {
    'probe_start_px': ('this run, before training', VERMILION),
    **{
        f'probe_{name}_px': (words, colour)
        for (name, words), colour in zip(FLOORS.items(), (GREY, *PALETTE[2:]), strict=False)
    },
}
# points: length of the dashes of a level; every second level has them in the gaps of the others,
# so that two equal ones are both seen
_DASH = 4.0
# labels of the ordinates for the short runs that choose the contrastive weight
_TUNING_LABELS = {
    'probe_px': 'probe: mean error (px)',
    'val_cls_retrieval': 'positives found (share)',
    'val_reconstruction': 'reconstruction (MSE)',
}


def training_curves(metrics: pd.DataFrame) -> Figure:
    """Draw losses, explained shares, retrieval, learning rate and throughput as small multiples.

    Args:
        metrics: one row for each logged point. Every pair of columns `train_NAME` and `val_NAME`,
            either of which may be absent, gets a panel, with `val_NAME_chance` where there is one;
            so do `learning_rate` and `images_per_second` where they exist. Columns that end in
            `explained` are shares up to 1, drawn in one panel. Columns that end in `retrieval` are
            shares, 0 to 1, drawn in one panel with `val_retrieval_chance`. `data_wait_share`, 0 to
            1, is drawn on the right of the throughput panel.

    Returns:
        A figure with three panels in a row. The abscissa is the epoch where there is no more than
        one row for each, else the step, else the row number. A loss that spans more than a factor
        of 20 is drawn on a logarithmic scale, and its label says so.
    """
    losses, retrievals = _measures(metrics)
    draws: list[_Draw] = [partial(_draw_loss, name=name) for name in losses]
    if any(name in metrics for name in _EXPLAINED):
        draws.append(_draw_explained)
    if retrievals:
        draws.append(partial(_draw_retrieval, names=retrievals))
    draws += [draw for column, draw in _OTHERS.items() if column in metrics]
    rows = max(1, -(-len(draws) // _COLUMNS))
    figure = new_figure(10.5, 2.8 * rows)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # pyright: ignore
    panels = iter(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    x = _abscissa(metrics)
    for draw in draws:
        draw(next(panels), metrics, x)
    for unused in panels:
        unused.remove()
    return figure


def probe_curve(metrics: pd.DataFrame) -> Figure:
    """Draw the probe's error over training, beside the errors that it has to beat.

    Args:
        metrics: one row per epoch with `probe_px` (NaN where it was not measured), and any of
            `probe_z_px`, `probe_start_px` and `probe_<floor>_px`.

    Returns:
        A figure of one panel, in pixels of the original images.
    """
    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    measured = metrics.dropna(subset=['probe_px'])
    x = _abscissa(measured)
    _draw(axes, measured, x, 'probe_px', 'this run', BLUE, 'o-')
    if 'probe_z_px' in measured:
        words = 'the same, each feature scaled by itself'
        _draw(axes, measured, x, 'probe_z_px', words, BLUE, '.:')
    random_start = _level(measured, 'probe_start_px') == _level(measured, 'probe_random_px')
    for number, (column, (label, colour)) in enumerate(_LEVELS.items()):
        level = _level(measured, column)
        # one line is enough where the initial weights are random
        if np.isfinite(level) and not (random_start and column == 'probe_start_px'):
            style = (number % 2 * _DASH, (_DASH, _DASH))
            axes.axhline(level, color=colour, linestyle=style, linewidth=1.4, label=label)
    axes.set_ylim(bottom=0)
    _finish_panel(axes, 'Keypoints from frozen features', 'mean error (px)', x)
    return figure


def tuning_panels(table: pd.DataFrame) -> Figure:
    """Draw the measures of the short runs with different contrastive weights.

    Args:
        table: one row per run with `contrastive_weight`, `chosen`, and the measures: `probe_px`
            and columns whose names begin with `val_` (NaN where not measured).

    Returns:
        A figure with one panel for each measure: a dot per run, a line through the means of the
        weights, and a ring around the mean of the chosen one.
    """
    measures = [name for name in table if name == 'probe_px' or str(name).startswith('val_')]
    figure = new_figure(3.5 * len(measures), 3.0)
    # weights span orders of magnitude and may be 0, so they stand side by side as names
    weights, place = np.unique(table['contrastive_weight'].to_numpy(), return_inverse=True)
    chosen = np.unique(place[table['chosen'].to_numpy(bool)])
    x = _Abscissa(place.astype(np.float64), 'contrastive weight (lambda)')
    for axes, column in zip(
        figure.subplots(1, len(measures), squeeze=False)[0], measures, strict=True
    ):
        values = _numbers(table, column)
        if np.isfinite(values).any():
            means = np.array([values[place == number].mean() for number in range(len(weights))])
            axes.plot(np.arange(len(weights)), means, '-', color=BLUE)
            axes.plot(place, values, 'o', color=BLUE, markersize=4)
            ring = {'color': VERMILION, 'markersize': 11, 'fillstyle': 'none'}
            axes.plot(chosen, means[chosen], 'o', label='chosen', **ring)
        _finish_panel(axes, '', _TUNING_LABELS.get(str(column), str(column)), x)
        if axes.lines:
            axes.set_xticks(range(len(weights)), [f'{weight:g}' for weight in weights])
    return figure


@dataclass(frozen=True)
class _Abscissa:
    values: Float[np.ndarray, ' rows']
    label: str


_Draw = Callable[[Axes, pd.DataFrame, _Abscissa], None]


def _measures(metrics: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the names of losses, and the columns of retrieval, in the order of the table."""
    columns = [str(name) for name in metrics]
    retrievals = [name for name in columns if name.endswith('retrieval')]
    losses = {
        name.partition('_')[2]: None
        for name in columns
        if name.startswith(('train_', 'val_'))
        and not name.endswith(('retrieval', '_chance', 'explained'))
    }
    return list(losses), retrievals


def _abscissa(metrics: pd.DataFrame) -> _Abscissa:
    """Choose the column that orders the rows; see `training_curves`."""
    for column in ('epoch', 'step'):
        if column in metrics:
            values = _numbers(metrics, column)
            if np.isfinite(values).all() and len(np.unique(values)) == len(values):
                # counted from 1, as the sentences of the report and its snapshots do
                return _Abscissa(values + (column == 'epoch'), column)
    return _Abscissa(np.arange(len(metrics), dtype=np.float64), 'row of the table')


def _level(metrics: pd.DataFrame, column: str) -> float:
    """Return the value of a column that does not change, NaN where it is absent."""
    values = _numbers(metrics, column)
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else float('nan')


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
    """Draw the finite values of a column and return them; name the number of infinite ones."""
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


def _draw_loss(axes: Axes, metrics: pd.DataFrame, x: _Abscissa, name: str) -> None:
    drawn = np.concatenate(
        [
            _draw(axes, metrics, x, f'train_{name}', 'training', BLUE, 'o-'),
            _draw(axes, metrics, x, f'val_{name}', 'validation', VERMILION, 's--'),
        ]
    )
    if f'val_{name}_chance' in metrics:
        _draw(axes, metrics, x, f'val_{name}_chance', 'chance', GREY, '.:')
    title, label = _PANELS.get(name, (name.replace('_', ' ').capitalize(), name))
    if len(drawn) and drawn.min() > 0 and drawn.max() / drawn.min() > 20:
        axes.set_yscale('log')
        axes.yaxis.set_major_formatter(_LogTicks())
        axes.yaxis.set_minor_formatter(_LogTicks())
        label = f'{label} (log scale)'
    else:
        axes.ticklabel_format(axis='y', useOffset=False)
    _finish_panel(axes, title, label, x)


def _draw_explained(axes: Axes, metrics: pd.DataFrame, x: _Abscissa) -> None:
    for colour, (column, words) in zip((VERMILION, *PALETTE), _EXPLAINED.items(), strict=False):
        _draw(axes, metrics, x, column, words, colour, 's--')
    if axes.lines:
        axes.axhline(0, color=GREY, linestyle=':', linewidth=1.5, label='that picture alone')
        # the first epochs of a run from random weights are far below
        axes.set_ylim(max(-1.0, axes.get_ylim()[0]), 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _finish_panel(axes, 'Explained in held-out frames', 'explained (%)', x)


class _LogTicks(LogFormatter):
    """Ticks of a logarithmic axis as plain numbers: the default writes them as formulas."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f'{x:.3g}' if super().__call__(x, pos) else ''


def _draw_retrieval(axes: Axes, metrics: pd.DataFrame, x: _Abscissa, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        part, _, measure = name.removesuffix('_retrieval').partition('_')
        label = {'train': 'training', 'val': 'validation'}.get(part, part)
        by = {'cls': 'CLS', 'pixel': 'grey pixels'}.get(measure, measure.upper())
        label = f'{label}, by {by}' if measure else label
        colour = (VERMILION, *PALETTE)[number % len(PALETTE)]
        _draw(axes, metrics, x, name, label, colour, 's--')
    chance = _numbers(metrics, 'val_retrieval_chance')
    levels = np.unique(chance[np.isfinite(chance)])
    if len(levels) == 1:
        axes.axhline(levels[0], color=GREY, linestyle=':', linewidth=1.5, label='chance')
    elif len(levels):
        _draw(axes, metrics, x, 'val_retrieval_chance', 'chance', GREY, '.:')
    if axes.lines:
        axes.set_ylim(0, max(0.05, min(1.03, axes.get_ylim()[1])))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _finish_panel(axes, 'Retrieval by the visible patches', 'positives found (%)', x)


def _draw_learning_rate(axes: Axes, metrics: pd.DataFrame, x: _Abscissa) -> None:
    _draw(axes, metrics, x, 'learning_rate', 'learning rate', BLUE, 'o-')
    axes.yaxis.set_major_formatter(short_ticks())
    _finish_panel(axes, 'Learning rate', 'learning rate', x)


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


# column -> how its panel is drawn
_OTHERS: Mapping[str, _Draw] = {
    'learning_rate': _draw_learning_rate,
    'images_per_second': _draw_throughput,
}


def _finish_panel(axes: Axes, title: str, label: str, x: _Abscissa) -> None:
    """Give a panel its texts; one without a line says `not recorded`."""
    label_axes(axes, x.label, label, title)
    if not axes.lines:
        axes.set(xticks=[], yticks=[])
        centred = {'ha': 'center', 'va': 'center', 'fontsize': TEXT, 'color': GREY}
        axes.text(0.5, 0.5, 'not recorded', transform=axes.transAxes, **centred)
        return
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    # the same range in every panel, also where a quantity was recorded less often
    first, last = x.values.min(), x.values.max()
    edge = 0.05 * (last - first) or 0.5
    axes.set_xlim(first - edge, last + edge)
    if len(axes.lines) > 1 or 'infinite' in str(axes.lines[0].get_label()):
        axes.legend(fontsize=SMALL, frameon=False)
