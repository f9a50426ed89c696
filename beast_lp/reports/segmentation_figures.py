"""Figures of the segmentation report: pure functions from arrays to matplotlib figures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from beast_lp.reports.style import BLUE, DPI, GREY, LONG_PALETTE, SMALL

_UNSCORED = '#E8E8E8'
# a longer video is drawn in lines below each other, up to so many
_LINE_FRAMES = 1500
_MOST_LINES = 8


def class_colours(classes: int) -> list[str]:
    """Return a colour for every class, greys for what comes after the eighth."""
    greys = [
        f'#{int(60 + 140 * i / max(1, classes)):02X}' + f'{90:02X}{90:02X}'
        for i in range(max(0, classes - len(LONG_PALETTE)))
    ]
    return [*LONG_PALETTE[:classes], *greys]


def ethogram(
    predicted: Int[np.ndarray, ' frames'],
    target: Int[np.ndarray, ' frames'] | None,
    classes: Sequence[str],
    first_frame: int = 0,
) -> Figure:
    """Draw the behaviour of every frame as a coloured band, predicted over scored.

    Args:
        predicted: class numbers.
        target: what was scored, -1 where nothing was; None draws the prediction alone.
        classes: names.
        first_frame: number of the first frame in its video.

    Returns:
        A figure; long videos take several lines, and the longest ones several frames a pixel.
    """
    frames = len(predicted)
    lines = min(_MOST_LINES, -(-frames // _LINE_FRAMES))
    length = -(-frames // lines)
    bands = 1 if target is None else 2
    figure = Figure(
        figsize=(10.5, 0.75 + lines * (0.3 * bands + 0.35)), dpi=DPI, layout='constrained'
    )
    colours = ListedColormap([_UNSCORED, *class_colours(len(classes))])
    panels = figure.subplots(lines, 1, squeeze=False)[:, 0]
    for line, axes in enumerate(panels):
        piece = slice(line * length, min(frames, (line + 1) * length))
        rows = [predicted[piece]] if target is None else [predicted[piece], target[piece]]
        start = first_frame + piece.start
        axes.imshow(
            np.stack(rows) + 1,
            cmap=colours,
            vmin=-0.5,
            vmax=len(classes) + 0.5,
            aspect='auto',
            interpolation='nearest',
            extent=(start, start + len(rows[0]), bands, 0),
        )
        axes.set_yticks([0.5, 1.5][:bands], ['predicted', 'scored'][:bands], fontsize=SMALL)
        axes.tick_params(labelsize=SMALL)
        axes.set_xlim(start, first_frame + min(frames, line * length + length))
        axes.spines[:].set_visible(False)
    panels[-1].set_xlabel('frame', fontsize=SMALL)
    handles = [
        Patch(color=colour, label=name)
        for colour, name in zip(class_colours(len(classes)), classes, strict=True)
    ]
    if target is not None and (target < 0).any():
        handles.append(Patch(color=_UNSCORED, label='not scored'))
    figure.legend(
        handles=handles,
        loc='outside upper left',
        ncols=min(8, len(handles)),
        fontsize=SMALL,
        frameon=False,
    )
    return figure


def confusion_matrices(counts: pd.DataFrame, shares: pd.DataFrame) -> Figure:
    """Draw the confusion matrix as shares of what was scored and, in each cell, as counts."""
    size = max(3.4, 0.8 * len(counts) + 1.6)
    figure = Figure(figsize=(size + 0.8, size), dpi=DPI, layout='constrained')
    axes = figure.subplots()
    picture = axes.imshow(shares.to_numpy(), cmap='Blues', vmin=0, vmax=1)
    for row in range(len(counts)):
        for column in range(len(counts)):
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
    axes.set_xticks(
        range(len(counts)), list(counts.columns), rotation=30, ha='right', fontsize=SMALL
    )
    axes.set_yticks(range(len(counts)), list(counts.index), fontsize=SMALL)
    axes.set_xlabel('predicted', fontsize=SMALL)
    axes.set_ylabel('scored', fontsize=SMALL)
    figure.colorbar(picture, ax=axes, shrink=0.8, label='share of the scored frames')
    return figure


def reliability(table: pd.DataFrame, error: float) -> Figure:
    """Draw how often the ensemble is right against how sure it is."""
    figure = Figure(figsize=(4.2, 3.8), dpi=DPI, layout='constrained')
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], '--', color=GREY, linewidth=1, label='perfectly calibrated')
    axes.plot(
        table['confidence'],
        table['accuracy'],
        'o-',
        color=BLUE,
        label=f'ensemble (error {error:.3f})',
    )
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_xlabel('confidence', fontsize=SMALL)
    axes.set_ylabel('share that is right', fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    axes.legend(fontsize=SMALL, frameon=False)
    return figure


def fitting_curves(history: pd.DataFrame) -> Figure:
    """Draw loss and accuracy of every model on its training frames."""
    figure = Figure(figsize=(9.0, 3.0), dpi=DPI, layout='constrained')
    for axes, column in zip(figure.subplots(1, 2), ('loss', 'accuracy'), strict=True):
        for number, (_, rows) in enumerate(history.groupby(['fold', 'model'], sort=False)):
            axes.plot(
                rows['epoch'],
                rows[column],
                linewidth=1,
                color=LONG_PALETTE[number % len(LONG_PALETTE)],
            )
        axes.set_xlabel('epoch', fontsize=SMALL)
        axes.set_title(f'{column} in training, a line per model', fontsize=SMALL + 1)
        axes.tick_params(labelsize=SMALL)
    return figure
