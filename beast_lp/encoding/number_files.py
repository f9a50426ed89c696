"""Columns of numbers or times from .npy and .csv files: camera times and events."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from beast_lp.errors import BeastError
from beast_lp.runs.foreign import foreign_file, read_text
from beast_lp.runs.readable import read_array

# what programs write where there is no number
_MISSING = ('', 'nan', 'na', 'n/a', 'none', 'null', 'nat', '<na>')
_DECIMAL_COMMA = re.compile(r'[+-]?\d+,\d+')


def read_numbers(path: Path, what: str) -> Float[np.ndarray, ' numbers']:
    """Read one column of numbers from a .npy or .csv file.

    Args:
        path: file to read.
        what: noun for the numbers, for messages.

    Returns:
        the numbers, NaN where one is missing.

    Raises:
        BeastError: if the file is missing or holds no column of numbers.
    """
    values = _column(path, what)
    if values.dtype.kind == 'M':
        raise BeastError(
            f'the {what} in {path} are dates and not seconds; subtract the date at which the '
            'clock of the neurons is 0'
        )
    return values


def read_times(path: Path, what: str) -> tuple[Float[np.ndarray, ' times'], bool]:
    """Read one column of seconds, or of dates and times of day as ISO 8601 writes them.

    Args:
        path: .npy or .csv file.
        what: noun for the times, for messages.

    Returns:
        seconds, of dates since the first one, NaN where one is missing; and whether they were
        dates.

    Raises:
        BeastError: if the file is missing or holds no column of times.
    """
    values = _column(path, what)
    if values.dtype.kind != 'M':
        return values, False
    known = values[~np.isnat(values)]
    nanoseconds = (values - known[:1]).astype('timedelta64[ns]') if len(known) else values
    missing = np.isnat(values)
    return np.where(missing, np.nan, nanoseconds.astype(np.int64) * 1e-9), True


def _column(path: Path, what: str) -> Shaped[np.ndarray, ' numbers']:
    """Return floats, or dates, of a file."""
    if not path.exists():
        raise BeastError(f'there are no {what} at {path}; correct the path')
    with foreign_file(path, 'give a .npy file or a .csv of one column', what):
        is_table = path.suffix.lower() == '.csv'
        array = _cells(path, what) if is_table else read_array(path)
        if array.ndim == 2 and 1 in array.shape:
            array = array.ravel()
        if array.ndim != 1 or not array.size:
            raise BeastError(
                f'{path} must hold one column of {what}, found an array of {array.shape}'
            )
        kind = array.dtype.kind
        if kind in 'biuf':
            return array.astype(np.float64)
        if kind == 'M':
            return array.astype('datetime64[ns]')
        if kind == 'm':
            return array / np.timedelta64(1, 's')
        if kind in 'SU':
            return _of_text(path, array.astype(str), what)
        raise ValueError(f'it holds values of type {array.dtype}')


def _of_text(path: Path, cells: Shaped[np.ndarray, ' cells'], what: str) -> np.ndarray:
    """Return the numbers or dates that a column of text holds, below a header or not."""
    text: Any = pd.Series(cells).str.strip()
    missing = text.str.lower().isin(_MISSING).to_numpy()
    for convert in (_numbers, _dates):
        values = convert(text.where(~missing))
        unread = np.flatnonzero(np.asarray(pd.isna(values)) & ~missing)
        if len(text) > 1 and unread.tolist() == [0]:
            # the first cell alone is neither a value nor missing: a header
            return values[1:]
        if not len(unread):
            return values
    odd = np.flatnonzero(np.isnan(_numbers(text)) & ~missing)
    first = odd[odd > 0][0] if (odd > 0).any() else odd[0]
    raise BeastError(
        f'{path} holds {text[first]!r} in row {first + 1}, which is no number; correct it, or '
        f'leave it empty where there is none of the {what}'
    )


def _numbers(text: Any) -> Float[np.ndarray, ' cells']:
    return np.asarray(pd.to_numeric(text, errors='coerce'), np.float64)


def _dates(text: Any) -> Shaped[np.ndarray, ' cells']:
    dates: Any = pd.to_datetime(text, format='ISO8601', errors='coerce', utc=True)
    return dates.dt.tz_localize(None).to_numpy('datetime64[ns]')


def _cells(path: Path, what: str) -> Shaped[np.ndarray, '...']:
    """Return the cells of a table of one column, or of one row.

    An empty line within the table is an empty cell, since the values below it would else move up.
    """
    lines = read_text(path).rstrip().splitlines()
    if not lines:
        raise ValueError('it is empty')
    mark = next((mark for mark in ';\t' if mark in lines[-1]), ',')
    if mark == ',' and _has_decimal_commas(lines):
        return np.array([lines[0], *(line.replace(',', '.') for line in lines[1:])])
    rows = [row or [''] for row in csv.reader(lines, delimiter=mark)]
    if mark != ',':
        # where columns are separated by something else, decimals may have a comma
        rows = [[cell.replace(',', '.') for cell in row] for row in rows]
    widths = {len(row) for row in rows}
    if widths != {1} and len(rows) > 1:
        hint = (
            '; write decimals with a point, if its commas are those of decimals'
            if all(_DECIMAL_COMMA.fullmatch(line.strip()) for line in lines if line)
            else ''
        )
        raise BeastError(
            f'{path} must hold one column of {what}, found {max(widths)} columns{hint}'
        )
    return np.array(rows)


def _has_decimal_commas(lines: list[str]) -> bool:
    """Return whether there is one column by its header, and a comma in each value below."""
    values = [line.strip() for line in lines[1:] if line.strip()]
    return (
        ',' not in lines[0]
        and not lines[0].strip().isdecimal()
        and bool(values)
        and all(_DECIMAL_COMMA.fullmatch(value) for value in values)
    )
