"""Figures of the segmentation report: pure functions from arrays to matplotlib figures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int
from matplotlib.colors import ListedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from beast_lp.reports.style import (
    BLUE,
    GREY,
    LONG_PALETTE,
    SMALL,
    TEXT,
    add_legend,
    label_axes,
    new_figure,
    three_digits,
)
from beast_lp.segmentation.labelling import ABSENT, EXCLUSIVE, Labelling

_UNSCORED, _ABSENT = '#E8E8E8', '#FFFFFF'
# frames in a line; a longer video takes several lines, at most _MOST_LINES, of two bands or fewer
_LINE_FRAMES = 1500
_MOST_LINES = 8
# columns of the history that are no measures; all others are curves
_HISTORY_KEYS = ('fold', 'model', 'epoch', 'seconds')


def class_colours(classes: int) -> list[str]:
    """Return a colour for every class: eight colours, their lighter and their darker shades.

    The 25th class has the colour of the first one.
    """
    colours = []
    for number in range(classes):
        shade, index = divmod(number, len(LONG_PALETTE))
        white, share = ((0.0, 1.0), (0.55, 0.45), (0.0, 0.55))[shade % 3]
        red, green, blue = (white + share * part for part in to_rgb(LONG_PALETTE[index]))
        colours.append(to_hex((red, green, blue)))
    return colours


def ethogram(
    predicted: Int[np.ndarray, ' frames'],
    target: Int[np.ndarray, ' frames'] | None,
    classes: Sequence[str],
    first_frame: int = 0,
    labelling: Labelling = EXCLUSIVE,
) -> Figure:
    """Draw the behaviour of every frame as a coloured band, predicted over scored.

    Where a frame may show several behaviours, each has such bands.

    Args:
        predicted: codes.
        target: scored codes, -1 where nothing was scored; None draws the prediction alone.
        classes: names.
        first_frame: number of the first frame in its video.
        labelling: whether a frame has one class or any number of them.

    Returns:
        A figure; long videos take several lines, and the longest ones several frames a pixel.
    """
    frames = len(predicted)
    names, rows = _bands(predicted, target, classes, labelling)
    bands = len(rows)
    most = min(_MOST_LINES, max(1, 2 * _MOST_LINES // bands))
    lines = min(most, -(-frames // _LINE_FRAMES))
    length = -(-frames // lines)
    figure = new_figure(10.5, 0.75 + lines * (0.3 * bands + 0.35))
    colours = ListedColormap([_UNSCORED, _ABSENT, *class_colours(len(classes))])
    panels = figure.subplots(lines, 1, squeeze=False)[:, 0]
    for line, axes in enumerate(panels):
        piece = slice(line * length, min(frames, (line + 1) * length))
        start = first_frame + piece.start
        axes.imshow(
            rows[:, piece],
            cmap=colours,
            vmin=-2.5,
            vmax=len(classes) - 0.5,
            aspect='auto',
            interpolation='nearest',
            extent=(start, start + piece.stop - piece.start, bands, 0),
        )
        axes.set_yticks(np.arange(bands) + 0.5, names)
        axes.tick_params(labelsize=SMALL)
        axes.set_xlim(start, first_frame + min(frames, line * length + length))
        axes.spines[:].set_visible(False)
    panels[-1].set_xlabel('frame', fontsize=TEXT)
    looks = list(zip(class_colours(len(classes)), classes, strict=True))
    if target is not None and (target < 0).any():
        looks.append((_UNSCORED, 'not scored'))
    add_legend(
        figure,
        [Patch(color=colour) for colour, _ in looks],
        [name for _, name in looks],
        loc='outside upper left',
        ncols=min(8, len(looks)),
    )
    return figure


def _bands(
    predicted: Int[np.ndarray, ' frames'],
    target: Int[np.ndarray, ' frames'] | None,
    classes: Sequence[str],
    labelling: Labelling,
) -> tuple[list[str], Int[np.ndarray, 'bands frames']]:
    """Return the names of bands, and the class number that each has in each frame.

    Frames of behaviours that are absent have -1, those that nobody scored -2.
    """
    kinds = (
        {'predicted': predicted} if target is None else {'predicted': predicted, 'scored': target}
    )
    answers = {kind: labelling.answers(codes, len(classes)) for kind, codes in kinds.items()}
    names, rows = [], []
    for question, numbers in enumerate(labelling.questions(len(classes))):
        for kind, own in answers.items():
            # the last entry is that of UNSCORED
            rows.append(np.array([*numbers, -2])[own[question]])
            first = kind == 'predicted' and ABSENT in numbers
            names.append(classes[numbers[-1]] if first else kind)
    return names, np.stack(rows)


def confusion_matrices(counts: pd.DataFrame, shares: pd.DataFrame) -> Figure:
    """Draw the confusion matrix as shares of what was scored and, above 0, as counts too."""
    size = max(3.4, 0.8 * len(counts) + 1.6)
    figure = new_figure(size + 0.8, size)
    axes = figure.subplots()
    picture = axes.imshow(shares.to_numpy(), cmap='Blues', vmin=0, vmax=1)
    for row, column in np.argwhere(counts.to_numpy() > 0):
        share = shares.iat[row, column]
        axes.text(
            column,
            row,
            f'{share:.0%}\n{counts.iat[row, column]}',
            ha='center',
            va='center',
            fontsize=SMALL,
            color='white' if share > 0.6 else 'black',
        )
    axes.set_xticks(range(len(counts)), list(counts.columns), rotation=30, ha='right')
    axes.set_yticks(range(len(counts)), list(counts.index))
    label_axes(axes, 'predicted', 'scored')
    axes.grid(False)
    bar = figure.colorbar(picture, ax=axes, shrink=0.8)
    bar.set_label('share of the scored frames', fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def reliability(table: pd.DataFrame, error: float) -> Figure:
    """Draw the ensemble's accuracy over its confidence.

    Args:
        table: one row per bin, with `confidence` and `accuracy`.
        error: expected calibration error.
    """
    figure = new_figure(4.2, 3.8)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], '--', color=GREY, linewidth=1, label='perfectly calibrated')
    label = f'ensemble (error {three_digits(error)})'
    look = {'color': BLUE, 'clip_on': False, 'label': label}
    axes.plot(table['confidence'], table['accuracy'], 'o-', **look)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    label_axes(axes, 'confidence', 'share that is right')
    axes.legend(fontsize=SMALL, frameon=False)
    return figure


def fitting_curves(history: pd.DataFrame) -> Figure:
    """Draw each measure of training over the epochs, one line per model.

    Args:
        history: one row per fold, model and epoch; every other column is a measure.
    """
    measures = [name for name in history if name not in _HISTORY_KEYS]
    columns = min(2, len(measures))
    lines = -(-len(measures) // columns)
    figure = new_figure(4.5 * columns, 3.0 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for axes, measure in zip(panels, measures, strict=False):
        for number, (_, rows) in enumerate(history.groupby(['fold', 'model'], sort=False)):
            known = rows[rows[measure].notna()]
            colour = LONG_PALETTE[number % len(LONG_PALETTE)]
            axes.plot(known['epoch'], known[measure], linewidth=1, color=colour)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
        where = '' if str(measure).startswith('held_out') else ' in training'
        label_axes(axes, 'epoch', str(measure), f'{measure}{where}, one line per model')
    return figure
