"""Text tables that people wrote or exported: their encoding, separator and numbers."""

import codecs
import csv
import io
import logging
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from beast_lp.errors import BeastError
from beast_lp.runs.readable import check_readable

logger = logging.getLogger(f'lightning_pose.{__name__}')

# byte order marks, the longer ones first: that of UTF-32 begins with that of UTF-16
_MARKS = (
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)
# Text of Western Europe in cp1252 or latin-1, in which these characters have the same bytes: one
# or two letters with accents between others, or one of a few signs. Longer runs, and the bytes
# 0x80 to 0x9f, are text of another encoding.
_WESTERN = re.compile(r'[^\x80-\xff]*(?:(?:[À-ÖØ-öø-ÿ]{1,2}|[°²³µ])(?:[^\x80-\xff]+|$))*')

_BREAK, _NUMBER = re.compile(r'[\r\n]+'), re.compile(r'[-+\d.,]+')
# columns below which a row in a cell looks like a sentence
_SOME_COLUMNS = 4


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, UTF-16 or UTF-32, or in cp1252 where nothing else is meant.

    Args:
        path: file to read.

    Raises:
        BeastError: if it is a pipe or a device, this user may not read it, it is no text, or
            its encoding cannot be told.
    """
    check_readable(path)
    content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), 'utf-8')
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        text = content.decode('latin-1')
        if encoding != 'utf-8' or not _WESTERN.fullmatch(text):
            raise BeastError(
                f'{path} cannot be read as text: it is not {encoding.upper()} (byte '
                f'0x{content[error.start]:02x} in line {content[: error.start].count(10) + 1}), '
                'and no other encoding is certain; save it as UTF-8'
            ) from error
        logger.warning(f'beast: {path} is not UTF-8 and is read as cp1252; check its names')
    if '\0' in text:
        raise BeastError(
            f'{path} cannot be read as text: it holds NUL characters; save it as CSV in UTF-8'
        )
    return text


def split_rows(path: Path, text: str, separator: str, strict: bool = True) -> list[list[str]]:
    """Split text into rows of cells without blanks around them; empty rows are left out.

    Args:
        path: file of the text, for the message.
        text: rows.
        separator: what divides the cells of a row.
        strict: whether each quotation mark needs another.

    Raises:
        BeastError: if a quotation mark is open, so that one cell may hold several rows.
    """
    lines = io.StringIO(text, newline='')
    try:
        rows = list(csv.reader(lines, delimiter=separator, strict=strict))
    except csv.Error as error:
        raise BeastError(
            f'{path} cannot be read as a table ({error}); look for a quotation mark without '
            'another, or export it again'
        ) from error
    columns = max(_SOME_COLUMNS, len(rows[0]) if rows else 0)
    for cell in (cell for row in rows for cell in row if strict and _BREAK.search(cell)):
        if any(line.count(separator) >= columns - 1 for line in cell.splitlines()):
            raise BeastError(
                f'{path} cannot be read as a table: a cell holds whole rows of it (it begins with '
                f'{_one_line(cell)[:30]!r}); look for a quotation mark without another'
            )
    stripped = ([_one_line(cell) for cell in row] for row in rows)
    return [row for row in stripped if any(row)]


def _one_line(cell: str) -> str:
    return _BREAK.sub(' ', cell).strip()


def fitted_row(path: Path, row: Sequence[str], columns: int) -> list[str]:
    """Pad or cut a row to the number of columns.

    Args:
        path: file of the row, for the message.
        row: cells.
        columns: number of columns.

    Raises:
        BeastError: if the row has more cells that are not empty.
    """
    # a separator at the end of a row adds an empty cell, and some programs leave such cells out
    filled = [*row, *[''] * (columns - len(row))]
    if any(filled[columns:]):
        raise BeastError(
            f'{path} has {columns} columns, but a row of {len(row)} cells '
            f'({", ".join(row[:4])}, ...); put text that holds a separator into quotes, or export '
            'again'
        )
    return filled[:columns]


def to_number(text: str, decimal_comma: bool = False) -> float:
    """Return a number; NaN for anything else.

    Args:
        text: digits.
        decimal_comma: whether a comma may stand before the decimals.

    Examples:
        >>> to_number('2.5'), to_number('2,5', decimal_comma=True)
        (2.5, 2.5)
        >>> to_number('2,5'), to_number('NA')
        (nan, nan)
    """
    try:
        # Python would take 1_000
        value = float('NaN' if '_' in text else text.replace(',', '.' if decimal_comma else ','))
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def check_decimals(path: Path, cells: Iterable[str]) -> None:
    """Refuse numbers of which some have a decimal point and some a comma.

    Args:
        path: file of the cells, for the message.
        cells: text of numbers.

    Raises:
        BeastError: if there are both, so that `1,234` may be one or a thousand.
    """
    texts = [cell for cell in cells if _NUMBER.fullmatch(cell)]
    pointed = next((cell for cell in texts if '.' in cell), None)
    comma = next((cell for cell in texts if ',' in cell), None)
    if pointed is not None and comma is not None:
        raise BeastError(
            f'{path} has numbers with a point ({pointed}) and with a comma ({comma}), so that it '
            'is not certain what the comma means; export it again with one of them'
        )
