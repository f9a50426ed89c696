"""One self-contained HTML page from titles, sentences, figures and tables.

Figures go into the page as PNG. As SVG they were larger, measured once on a video of a mouse:
reconstructions 1.39 against 1.11 MB, a sheet of 32 anchors 1.09 against 0.79, an embedding map of
1500 points 0.46 against 0.27; only line plots were smaller, 0.12 against 0.15. SVG holds every
photograph as a PNG of its own and every point as an element.
"""

import base64
import html
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from beast_lp.runs.files import finished_file

MAX_TABLE_ROWS = 200

_CSS = """
body { font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; color: #1c1c1c;
  background: #fff; max-width: 1120px; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .3rem; padding-top: .6rem; border-top: 1px solid #ddd;
  overflow-wrap: anywhere; }
p { margin: .3rem 0 .7rem; max-width: 75ch; overflow-wrap: anywhere; }
nav { font-size: .9rem; columns: 3 16rem; }
nav a { color: #00558a; display: block; overflow: hidden; text-overflow: ellipsis; }
img { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .7rem; max-width: 45ch;
  border-bottom: 1px solid #e4e4e4; overflow-wrap: anywhere; }
th { background: #f4f4f4; white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.marked td { background: #fdeee3; font-weight: 600; }
tr.marked td:first-child { border-left: 4px solid #d55e00; }
.note { color: #555; font-size: .85rem; }
"""


@dataclass(frozen=True)
class Section:
    """One part of a page, shown in the order title, text, links, figure, table.

    `text` is plain; an empty line starts a new paragraph. `links` maps words to files, relative to
    the page's folder. `marked_rows` names the positions of table rows that shall stand out.
    """

    title: str
    text: str = ''
    figure: Figure | None = None
    table: pd.DataFrame | None = None
    marked_rows: frozenset[int] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)


def write_page(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write a page that needs no network and, but for its links, no other file.

    All text is escaped. A table shows at most `MAX_TABLE_ROWS` rows and says how many it left out.
    The file is replaced only once the page is complete.

    Args:
        path: the HTML file; its folder is made if it is missing.
        title: heading of the page and name of its tab.
        sections: parts of the page, in order.

    Raises:
        BeastError: if the disk is full; an older file stays as it was.
        OSError: if the file cannot be written for another reason; here too.
    """
    links = ''.join(
        f'<a href="#part-{index}">{_escape(section.title)}</a>\n'
        for index, section in enumerate(sections)
    )
    parts = ''.join(_section(index, section) for index, section in enumerate(sections))
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{_escape(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n'
        f'<h1>{_escape(title)}</h1>\n<nav>\n{links}</nav>\n{parts}</body>\n</html>\n'
    )
    # undecodable bytes of a file name arrive as lone surrogates, which UTF-8 has no code for
    _write(path, page.encode('utf-8', 'backslashreplace'))


def save_figure(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Write a figure as PNG; the file is replaced only once the picture is complete.

    Args:
        figure: what to draw.
        path: the PNG file; its folder is made if it is missing.
        dpi: pixels per inch.

    Raises:
        BeastError: if the disk is full; an older file stays as it was.
        OSError: if the file cannot be written for another reason; here too.
    """
    _write(path, _png(figure, dpi))


def _png(figure: Figure, dpi: int = 120) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=dpi, facecolor='white')
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with finished_file(path) as part:
        part.write_bytes(content)


def _section(index: int, section: Section) -> str:
    paragraphs = [part for part in re.split(r'\n\s*\n', section.text) if part.strip()]
    pieces = [f'<section id="part-{index}">\n<h2>{_escape(section.title)}</h2>\n']
    pieces += [f'<p>{_escape(part.strip())}</p>\n' for part in paragraphs]
    pieces += [
        f'<p><a href="{_escape(quote(target))}">{_escape(words)}</a></p>\n'
        for words, target in section.links.items()
    ]
    if section.figure is not None:
        picture = base64.b64encode(_png(section.figure)).decode('ascii')
        pieces.append(
            f'<img alt="{_escape(section.title)}" src="data:image/png;base64,{picture}">\n'
        )
    if section.table is not None:
        pieces.append(_table(section.table, section.marked_rows))
    return ''.join([*pieces, '</section>\n'])


def _table(table: pd.DataFrame, marked: frozenset[int]) -> str:
    head = ''.join(f'<th>{_escape(str(name))}</th>' for name in table.columns)
    rows = []
    shown = table.head(MAX_TABLE_ROWS)
    for position, values in enumerate(shown.itertuples(index=False, name=None)):
        kind = ' class="marked"' if position in marked else ''
        rows.append(f'<tr{kind}>{"".join(_cell(value) for value in values)}</tr>\n')
    left_out = len(table) - len(shown)
    note = f'<p class="note">{left_out} more rows are not shown here.</p>\n' if left_out else ''
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f'<tbody>\n{"".join(rows)}</tbody>\n</table></div>\n{note}'
    )


def _cell(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return '<td>–</td>'
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        number = float(value)
        # pandas turns a column of counts into floats as soon as one is missing
        text = str(int(value)) if number.is_integer() else f'{number:.5g}'
        return f'<td class="number">{text}</td>'
    return f'<td>{_escape(str(value))}</td>'


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
