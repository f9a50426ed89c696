"""Draws the pictures of `beast_lp/guides/results.md` from the tables of that page.

    uv run python integration_tests/evidence/result_pictures.py

Each picture holds the numbers that it shows as text, by which a test knows a picture that is older
than its table.
"""

import json
import re
from pathlib import Path
from typing import Any

from figures import small_png

from beast_lp.reports.style import GREY, PALETTE, VERMILION, add_legend, label_axes, new_figure

PAGE = Path(__file__).parents[2] / 'beast_lp' / 'guides' / 'results.md'
FEATURES = PAGE.parent / 'pictures' / 'frozen_features.png'
# name of the text in a picture
KEY = 'numbers'

Curves = dict[str, dict[str, dict[str, float]]]


def read_table(heading: str, text: str) -> list[dict[str, str]]:
    r"""Return the rows of the first table below a heading of a page, by its columns.

    Args:
        heading: text of the heading.
        text: the page.

    Examples:
        >>> read_table('Sizes', '# Sizes\nText.\n| what | px |\n|---|---|\n| nose | 3 |\n')
        [{'what': 'nose', 'px': '3'}]
    """
    section = re.split(rf'^#+ {re.escape(heading)}$', text, flags=re.MULTILINE)[1]
    lines = re.findall(r'^\| (.*) \|$', section.split('\n#')[0], re.MULTILINE)
    columns, *rows = [[cell.strip() for cell in line.split(' | ')] for line in lines]
    return [dict(zip(columns, row, strict=True)) for row in rows]


def features_of(text: str) -> Curves:
    """Return the error of every source of features: recording → source → labels → px.

    Several seeds are averaged.

    Args:
        text: the page.
    """
    curves: Curves = {}
    for row in read_table('Keypoints from frozen features', text):
        case, *sources = row.items()
        recording, labels = re.findall(r'^(.*), (\d+)', case[1])[0]
        for source, cell in sources:
            seeds = [float(number) for number in cell.split(', ')]
            by_source = curves.setdefault(recording, {}).setdefault(source.replace('`', ''), {})
            by_source[labels] = round(sum(seeds) / len(seeds), 2)
    return curves


def draw_features(curves: Curves) -> bytes:
    """Return the picture of `features_of`, a PNG."""
    figure = new_figure(7.2, 2.8)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    handles: list[Any] = []
    for axes, (recording, by_source) in zip(panels, curves.items(), strict=True):
        handles = []
        *floors, ours = by_source
        colours = [*zip(floors, (GREY, *PALETTE), strict=False), (ours, VERMILION)]
        for (source, colour), marker in zip(colours, 'v^sDo', strict=True):
            errors = by_source[source]
            width = 2.4 if source == ours else 1.2
            style = '-' if source == ours else '--'
            handles += axes.plot(
                [*errors], [*errors.values()], style, color=colour, marker=marker, lw=width, ms=4
            )
        label_axes(axes, 'labelled frames', 'error (px)', recording)
        axes.set_ylim(bottom=0)
    names = [*next(iter(curves.values()))]
    add_legend(figure, handles, names, loc='outside right center')
    return small_png(figure, {KEY: json.dumps(curves)})


if __name__ == '__main__':
    FEATURES.parent.mkdir(exist_ok=True)
    FEATURES.write_bytes(draw_features(features_of(PAGE.read_text(encoding='utf-8'))))
