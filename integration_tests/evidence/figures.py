"""One figure per task: each backbone's seeds, their mean and its confidence interval."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin

from beast_lp.pretraining.floors import FLOORS
from beast_lp.reports.style import DPI, GREY, LONG_PALETTE, SMALL

# of a stored picture
COLOURS = 96
# the first is what the others are compared with
_COLOURS = (GREY, *LONG_PALETTE)
# line of a floor, by the column of the results that holds it
FLOOR_LINES = {
    'floor_pixels': ':',
    'floor_components': '-.',
    'floor_random': (0, (1, 3)),
}


def small_png(figure: Figure, texts: Mapping[str, str] | None = None) -> bytes:
    """Return a figure as a PNG of few colours: a third of the size, and none an eye would miss.

    Args:
        figure: what to draw.
        texts: texts that the file holds, by their names.
    """
    drawn, saved = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format='png')
    info = PngImagePlugin.PngInfo()
    for name, text in (texts or {}).items():
        info.add_text(name, text)
    with Image.open(drawn) as image:
        small = image.convert('RGB').quantize(COLOURS)
    small.save(saved, 'PNG', optimize=True, pnginfo=info)
    return saved.getvalue()


def task_figure(
    results: pd.DataFrame,
    summary: pd.DataFrame,
    names: dict[str, str],
    title: str,
    unit: str,
    reference: str,
) -> Figure:
    """Draw the scores of one task.

    Args:
        results: a row per cell, with `labels`, `backbone`, `score` and `reference`, and the
            floors `floor_<name>` where the task has them.
        summary: a row per number of labels and backbone, with `mean`, `low` and `high`.
        names: of the backbones, in the order and the colours of all figures.
        title: of the task.
        unit: of the scores.
        reference: what the dashed line is.

    Returns:
        dots are seeds, dashes means and bars intervals; one group per number of labels.
    """
    labels = sorted(set(summary['labels']))
    figure = Figure(figsize=(2.6 + 1.8 * len(labels), 3.6), dpi=DPI, layout='constrained')
    axes = figure.subplots()
    places = {
        (count, name): at + (number - (len(names) - 1) / 2) * 0.8 / len(names)
        for at, count in enumerate(labels)
        for number, name in enumerate(names)
    }
    for number, (name, shown) in enumerate(names.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        own = pd.DataFrame(summary[summary['backbone'] == name])
        if own.empty:
            continue
        x = [places[count, name] for count in own['labels']]
        low, mean, high = own[['low', 'mean', 'high']].to_numpy().T
        axes.errorbar(
            x,
            mean,
            np.stack([mean - low, high - mean]),
            fmt='_',
            ms=9,
            mew=2,
            color=colour,
            label=shown,
        )
        seeds = pd.DataFrame(results[results['backbone'] == name])
        axes.scatter(
            [places[count, name] for count in seeds['labels']],
            seeds['score'],
            s=9,
            color=colour,
            alpha=0.6,
            lw=0,
        )
    for at, count in enumerate(labels):
        own = results[results['labels'] == count]
        for column, words, style in _levels(results, reference):
            level = own[column].mean()
            label = '_' if at else words
            axes.hlines(level, at - 0.45, at + 0.45, color=GREY, ls=style, lw=1, label=label)
    counts = [f'{count:g} labelled frames' if count else '' for count in labels]
    axes.set_xticks(range(len(labels)), counts)
    axes.set_ylabel(unit, fontsize=SMALL)
    axes.set_title(
        f'{title}; bars: 95 % intervals over {results["seed"].nunique()} seeds', fontsize=SMALL
    )
    axes.tick_params(labelsize=SMALL)
    axes.spines[['top', 'right']].set_visible(False)
    figure.legend(
        loc='outside lower center',
        ncols=2 if len(labels) == 1 else 4,
        fontsize=SMALL,
        frameon=False,
    )
    return figure


def _levels(results: pd.DataFrame, reference: str) -> list[tuple[str, str, Any]]:
    """Return column, words and line of the reference and of the floors that were measured."""
    floors = [name for name in FLOOR_LINES if name in results and results[name].count() > 0]
    return [
        ('reference', reference, '--'),
        *((name, FLOORS[name.removeprefix('floor_')], FLOOR_LINES[name]) for name in floors),
    ]
