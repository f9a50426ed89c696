"""One self-contained HTML page from titles, sentences, figures and tables.

`templates/page.html` holds the layout; Jinja escapes every text that goes into it. It also lays
out tables, because `DataFrame.to_html` cannot mark rows or align columns of numbers.

Figures go into the page as PNG, or, where they show photographs, as WebP, which is several times
smaller: a sheet of 32 frames of noise, the worst case, has 0.4 instead of 2.7 MB. As SVG they
were larger than as PNG, measured once on a video of a mouse: reconstructions 1.39 against 1.11 MB,
a sheet of 32 anchors 1.09 against 0.79, an embedding map of 1500 points 0.46 against 0.27; only
line plots were smaller, 0.12 against 0.15. SVG holds every photograph as a PNG of its own and
every point as an element.
"""

import io
import logging
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.reports.hover import Strip, hover_strips
from beast_lp.reports.style import DPI, disable_formulas, three_digits
from beast_lp.runs.files import finished_file

logger = logging.getLogger(f'lightning_pose.{__name__}')

MAX_TABLE_ROWS = 200
# of WebP and JPEG, 0 to 100: letters have no visible fringes yet
_QUALITY = 75


class _Picture(NamedTuple):
    """A figure inside of a page; sizes in px."""

    address: str
    width: int
    height: int
    strips: Sequence[Strip]


@dataclass(frozen=True)
class Section:
    """One part of a page, in the order title, findings, text, code, links, pictures, table.

    Attributes:
        title: heading, plain text.
        text: plain text; an empty line starts a new paragraph.
        figures: figures by the names of their PNG files, without suffix.
        table: numbers are shown with three significant digits.
        marked_rows: positions of the table rows that stand out.
        links: files by the words that lead to them, relative to the page's folder.
        findings: sentences that stand out, each with whether it is good news (None: neither).
        code: commands to copy.
        pictures: files of pictures that other reports drew, shown after the figures.
    """

    title: str
    text: str = ''
    figures: Mapping[str, Figure] = field(default_factory=dict)
    table: pd.DataFrame | None = None
    marked_rows: frozenset[int] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)
    findings: Sequence[tuple[bool | None, str]] = ()
    code: str = ''
    pictures: Sequence[Path] = ()


def write_report(output_dir: Path, title: str, sections: Iterable[Section]) -> Path:
    """Write a run's `report.html`, and each of its figures as `figures/NAME.png`.

    Args:
        output_dir: folder of the run.
        title: heading of the page.
        sections: parts of the page, in order.

    Returns:
        The path of the page.

    Raises:
        BeastError: if the disk is full; older files stay as they were.
    """
    page = output_dir / 'report.html'
    write_page(page, title, sections, output_dir / 'figures')
    logger.info(f'beast: report written to {page}')
    return page


def write_page(
    path: Path, title: str, sections: Iterable[Section], figures: Path | None = None
) -> None:
    """Write a page that needs no network and, except for its links, no other file.

    All text is escaped. A table shows at most `MAX_TABLE_ROWS` rows and says how many it left out.
    The file is replaced only once the page is complete.

    Args:
        path: the HTML file; its folder is made if it is missing.
        title: heading of the page and name of its tab.
        sections: parts of the page, in order.
        figures: folder that gets each figure as a PNG file, too.

    Raises:
        BeastError: if the disk is full; an older file stays as it was.
        OSError: if the file cannot be written for another reason; an older file stays too.
    """
    parts = []
    for section in sections:
        pictures = []
        for name, figure in section.figures.items():
            png = draw_png(figure)
            if figures is not None:
                _write(figures / f'{name}.png', png)
            width, height = (round(side) for side in figure.bbox.size)
            pictures.append(_Picture(_embedded(figure, png), width, height, hover_strips(figure)))
        pictures += [_picture_of(file) for file in section.pictures]
        table = None if section.table is None else _table(section.table, section.marked_rows)
        parts.append((section, pictures, table))
    page = _template().render(title=title, parts=parts)
    # undecodable bytes of a file name arrive as lone surrogates, which UTF-8 has no code for
    _write(path, page.encode('utf-8', 'backslashreplace'))


def draw_png(figure: Figure, dpi: int = DPI) -> bytes:
    """Return a figure as the content of a PNG file."""
    disable_formulas(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=dpi, facecolor='white')
    return buffer.getvalue()


def draw_jpeg(figure: Figure) -> bytes:
    """Return a figure of photographs as the content of a JPEG file."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(draw_png(figure))) as picture:
        picture.convert('RGB').save(buffer, 'jpeg', quality=_QUALITY)
    return buffer.getvalue()


def _picture_of(file: Path) -> _Picture:
    """Return a picture of another report, which has no values of curves."""
    with Image.open(file) as picture:
        return _Picture(_address('webp', _as_webp(picture)), picture.width, picture.height, ())


def _embedded(figure: Figure, png: bytes) -> str:
    """Return the address of a figure inside the page.

    Args:
        figure: the figure.
        png: the same as the content of a PNG file.
    """
    kind, content = 'png', png
    # a heat map, which has no colours of its own, is drawn with sharp edges
    images = [image.get_array() for axes in figure.axes for image in axes.images]
    if any(image is not None and image.ndim == 3 for image in images):
        with Image.open(io.BytesIO(png)) as picture:
            kind, content = 'webp', _as_webp(picture)
    return _address(kind, content)


def _as_webp(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.convert('RGB').save(buffer, 'webp', quality=_QUALITY)
    return buffer.getvalue()


def _address(kind: str, content: bytes) -> str:
    return f'data:image/{kind};base64,{b64encode(content).decode()}'


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with finished_file(path) as part:
        part.write_bytes(content)


def _template() -> Template:
    """Return the layout of all pages."""
    environment = Environment(
        loader=PackageLoader('beast_lp.reports'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # where a line of a cell may break: after slashes and underscores
    environment.filters['pieces'] = re.compile(r'(?<=.[/_])').split
    return environment.get_template('page.html')


def _table(table: pd.DataFrame, marked: frozenset[int]) -> dict[str, Any]:
    """Return the texts of a table, and which of its columns hold numbers."""
    shown = table.head(MAX_TABLE_ROWS)
    return {
        'names': [str(name) for name in shown.columns],
        'numeric': [
            any(map(_is_number, values)) and all(_is_missing(v) or _is_number(v) for v in values)
            for values in (shown.iloc[:, column] for column in range(shown.shape[1]))
        ],
        'rows': [[_cell(value) for value in row] for row in shown.itertuples(index=False)],
        'marked': marked,
        'left_out': len(table) - len(shown),
    }


def _cell(value: object) -> str:
    if _is_missing(value):
        return '–'
    return three_digits(value) if _is_number(value) else str(value)  # type: ignore[arg-type]


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value != value


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
