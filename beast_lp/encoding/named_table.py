"""Tables of regressors: a name for each column, and a row for each frame, time or trial."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from beast_lp.errors import BeastError
from beast_lp.features.frames import FrameFeatures
from beast_lp.runs.foreign import column_separator, foreign_file, read_text
from beast_lp.runs.hdf import SUFFIXES as HDF_SUFFIXES
from beast_lp.runs.hdf import read_hdf
from beast_lp.runs.keys import digest
from beast_lp.runs.readable import read_array

# names of the column of seconds on the clock of the neurons
TIME_COLUMNS = ('time', 'times', 'time_s', 'times_s', 'timestamp', 'timestamps', 't')
_PARQUET = ('.parquet', '.pqt')
SUFFIXES = ('.npy', '.csv', '.tsv', *_PARQUET, *HDF_SUFFIXES)
_ADVICE = 'write one number in each row of each column, and nothing where one is missing'


def read_named_table(path: Path) -> FrameFeatures:
    """Read a table of regressors as features.

    Args:
        path: `.npy` (with named fields, or (rows, columns)), `.csv`, `.tsv`, `.parquet` or `.h5`.
            A column called as one of `TIME_COLUMNS` holds the seconds of the rows on the clock of
            the neurons; without it, each row belongs to a frame of the video, or to a trial.

    Returns:
        the columns as features, NaN where a value is missing.

    Raises:
        BeastError: if it cannot be read, a column is not of numbers or has no value at all, or
            times are missing or do not ascend.
    """
    with foreign_file(path, _ADVICE, 'a table'):
        table: Any = _read(path)
    if table.columns.nlevels > 1 or not table.shape[0] or not table.shape[1]:
        raise BeastError(
            f'{path} is no table with one name for each column and a row below, found '
            f'{table.shape[0]} rows and {table.shape[1]} columns; {_ADVICE}'
        )
    names = [str(name).strip() for name in table.columns]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise BeastError(f'{path} has two columns called {doubled!r}; rename one of them')
    columns = {
        name: _numbers(path, name, table.iloc[:, number]) for number, name in enumerate(names)
    }
    time = next((name for name in names if name.lower() in TIME_COLUMNS), None)
    clock = None if time is None else _ascending(path, time, columns.pop(time))
    if not columns:
        raise BeastError(f'{path} holds times alone; add the columns that shall predict')
    values = np.stack(list(columns.values()), axis=1).astype(np.float32)
    for name, column in zip(columns, values.T, strict=True):
        if not np.isfinite(column).any():
            raise BeastError(f'{path} has no value in its column {name!r}; leave it out')
    return FrameFeatures(
        values=values,
        frame=np.arange(len(values)),
        time=None,
        frames_in_video=len(values),
        fps=None,
        frame_bytes=values[0].nbytes,
        source='table',
        made_by=f'the columns {", ".join(columns)}',
        content=digest(values.tobytes()).hexdigest(),
        is_keypoints=True,
        # each column has a unit of its own
        units=np.arange(len(columns)),
        clock=clock,
        is_table=True,
    )


def _read(path: Path) -> pd.DataFrame:
    suffix = path.suffix.lower()
    reader: Callable[[Path], pd.DataFrame]
    if suffix == '.npy':
        reader = _read_npy
    elif suffix in _PARQUET:
        reader = _read_parquet
    elif suffix in HDF_SUFFIXES:
        reader = read_hdf
    else:
        reader = _read_text
    return reader(path)


def _read_npy(path: Path) -> pd.DataFrame:
    array = read_array(path)
    if array.dtype.names:
        return pd.DataFrame({name: array[name].ravel() for name in array.dtype.names})
    if array.ndim not in (1, 2):
        raise ValueError(f'it is an array of {array.shape}, and no table')
    table = pd.DataFrame(array.reshape(len(array), -1))
    table.columns = [f'column {number}' for number in table]
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table: Any = pd.read_parquet(path)
    except ImportError as error:
        raise BeastError(
            f'reading {path} needs the package pyarrow; install it with pip install pyarrow, or '
            'write the table as .csv'
        ) from error
    return table if table.index.name is None else table.reset_index()


def _read_text(path: Path) -> pd.DataFrame:
    text = read_text(path)
    first = text.lstrip().split('\n', 1)[0]
    mark = column_separator(first)
    cells: Any = pd.Series(first.split(mark)).str.strip()
    as_numbers: Any = pd.to_numeric(cells, errors='coerce')
    nameless = bool(as_numbers.notna().all())
    with warnings.catch_warnings():
        # rows that are longer than the header
        warnings.simplefilter('error', pd.errors.ParserWarning)
        table: Any = pd.read_csv(
            io.StringIO(text),
            sep=mark,
            header=None if nameless else 'infer',
            index_col=False,
            decimal='.' if mark == ',' else ',' if _has_decimal_commas(text, mark) else '.',
        )
    # pandas renames the second of two columns of one name, which would then be two
    table.columns = [f'column {n}' for n in range(table.shape[1])] if nameless else cells
    if table.columns[0] == '' and np.array_equal(table.iloc[:, 0], np.arange(len(table))):
        return table.iloc[:, 1:]
    return table


def _has_decimal_commas(text: str, mark: str) -> bool:
    lines = text.splitlines()
    return len(lines) > 1 and ',' in lines[1] and mark != ','


def _numbers(path: Path, name: str, column: Any) -> Float[np.ndarray, ' rows']:
    """Return a column as numbers, NaN where it is empty or infinite."""
    if column.dtype.kind == 'M':
        raise BeastError(
            f'the column {name!r} of {path} holds dates and not seconds; subtract the date at '
            'which the clock of the neurons is 0'
        )
    values = np.asarray(pd.to_numeric(column, errors='coerce'), np.float64)
    odd = np.flatnonzero(np.isnan(values) & np.asarray(column.notna()))
    if len(odd):
        raise BeastError(
            f'the column {name!r} of {path} holds {str(column.iloc[odd[0]])[:40]!r} in row '
            f'{odd[0]}, which is no number; {_ADVICE}'
        )
    return np.where(np.isfinite(values), values, np.nan)


def _ascending(
    path: Path, name: str, times: Float[np.ndarray, ' rows']
) -> Float[np.ndarray, ' rows']:
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise BeastError(
            f'the column {name!r} of {path} must hold seconds that ascend, with none missing; '
            'sort the rows by time'
        )
    return times
