"""Tests of what all figures share."""

import doctest
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from beast_lp.reports import style
from beast_lp.reports.style import (
    add_legend,
    disable_formulas,
    label_axes,
    new_figure,
    short_paths,
)


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(style)
    assert result.attempted >= 3 and result.failed == 0


def test_pyplot_is_never_imported() -> None:
    script = (
        'import sys, beast_lp.reports.pretraining; sys.exit("matplotlib.pyplot" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', script], check=False).returncode == 0


def figure_of(name: str) -> Figure:
    figure = new_figure(3, 2)
    axes = figure.subplots()
    lines = axes.plot([1, 2])
    label_axes(axes, name, name, name)
    axes.set_xticks([0, 1], [name, name])
    axes.text(0, 1, name)
    add_legend(axes, lines, [name])
    return figure


def test_names_are_drawn_as_they_stand() -> None:
    # matplotlib refuses this one as a formula, and draws the next without its dollar signs
    with pytest.raises(ValueError, match='frac'):
        FigureCanvasAgg(figure_of(r'$\frac$')).draw()
    widths = {}
    for name in (r'$\frac$', '$m$', 'm'):
        figure = figure_of(name)
        disable_formulas(figure)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        axes = figure.axes[0]
        assert axes.get_xlabel() == axes.get_xticklabels()[0].get_text() == name
        widths[name] = [
            text.get_window_extent(canvas.get_renderer()).width
            for text in (axes.texts[0], axes.xaxis.label, axes.get_xticklabels()[1])
        ]
    assert np.all(np.array(widths['$m$']) > 1.5 * np.array(widths['m']))


def test_a_legend_shows_names_that_begin_with_an_underscore() -> None:
    legend = figure_of('_hidden').axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ['_hidden']


@pytest.mark.parametrize(
    ('paths', 'expected'),
    [
        (['007', 'a <1>.mp4'], ['007', 'a <1>.mp4']),
        (['/a/b/x.mp4', '/a/c/x.mp4', '/a/y.mp4'], ['b/x.mp4', 'c/x.mp4', 'y.mp4']),
        (['/a/b.mp4', '/a/b.mp4/c.mp4'], ['b.mp4', 'b.mp4/c.mp4']),
        ([], []),
    ],
)
def test_paths_lose_the_folders_that_all_share(paths: list[str], expected: list[str]) -> None:
    assert short_paths(paths) == expected
