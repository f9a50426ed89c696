"""Tables in HDF5 files, as pandas writes them or with one array for each column.

pandas reads its own files with a package that unpickles what it finds in them. Here h5py reads
them, and of pickles only lists, tuples, text and numbers.
"""

import io
import pickle
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beast_lp.errors import BeastError
from beast_lp.runs.readable import MOST_ARRAY_BYTES

SUFFIXES = ('.h5', '.hdf5', '.hdf')
_KIND = 'pandas_type'
# columns of an array that has no names of its own
_NAMES = ('names', 'columns', 'column_names')


def open_hdf(path: Path) -> Any:
    """Open an HDF5 file for reading.

    Args:
        path: file to open; the caller closes it.

    Raises:
        BeastError: if the package h5py is missing.
    """
    try:
        h5py: Any = import_module('h5py')
    except ImportError as error:
        raise BeastError(
            f'reading {path} needs the package h5py; install it with pip install h5py, or write '
            'the table as .csv'
        ) from error
    return h5py.File(path, 'r')


def read_hdf(path: Path) -> pd.DataFrame:
    """Read the table of an HDF5 file.

    Args:
        path: file with one table of pandas, with arrays of one length, each a column, or with an
            array (rows, columns) and its `names`.

    Returns:
        the table; columns of several levels are a `MultiIndex`.

    Raises:
        BeastError: if h5py is missing.
        ValueError: if there is no such table, or several, or it is too large; h5py has other
            errors for damaged files.
    """
    with open_hdf(path) as file:
        groups: list[Any] = []
        file.visititems(lambda _, item: groups.append(item) if _KIND in item.attrs else None)
        if len(groups) > 1:
            raise ValueError(
                f'it holds {len(groups)} tables ({", ".join(group.name for group in groups)}), '
                'and must hold one'
            )
        if not groups:
            return _plain(file)
        group = groups[0]
        kind = _text(group.attrs[_KIND])
        if kind == 'frame_table':
            return _appendable(group['table'])
        if kind == 'frame':
            return _fixed(group)
        raise ValueError(f'it holds a {kind} of pandas, and not a table')


def _plain(file: Any) -> pd.DataFrame:
    """Return the arrays of a file that pandas did not write."""
    arrays = {name: item for name, item in file.items() if hasattr(item, 'shape')}
    flat = {name: item for name, item in arrays.items() if len(item.shape) == 1}
    square = {name: item for name, item in arrays.items() if len(item.shape) == 2}
    if len(square) == 1:
        (item,) = square.values()
        names = next((arrays[name] for name in _NAMES if name in arrays), None)
        labels = range(item.shape[1]) if names is None else [_text(n) for n in _read(names)]
        table = pd.DataFrame(_read(item), columns=pd.Index(map(str, labels)))
        for name, column in flat.items():
            if column is not names and column.shape[0] == item.shape[0]:
                table[name] = _read(column)
        return table
    if square or len({item.shape for item in flat.values()}) != 1:
        shapes = ', '.join(f'{name} {item.shape}' for name, item in arrays.items())
        raise ValueError(f'it holds no table: {shapes or "no arrays"}')
    return pd.DataFrame({name: _read(item) for name, item in flat.items()})


def _appendable(table: Any) -> pd.DataFrame:
    """Return a table that pandas wrote with `format='table'`."""
    rows = _read(table)
    labels: list[object] = []
    columns: list[np.ndarray] = []
    for field in rows.dtype.names:
        if field == 'index':
            continue
        names = _unpickled(table.attrs[f'{field}_kind'])
        block = rows[field].reshape(len(rows), -1)
        if block.shape[1] != len(names):
            raise ValueError(f'{field} has {len(names)} names for {block.shape[1]} columns')
        labels += names
        columns += list(block.T)
    return _frame(columns, labels, rows['index'])


def _fixed(group: Any) -> pd.DataFrame:
    """Return a table that pandas wrote with `format='fixed'`."""
    labels: list[object] = []
    columns: list[np.ndarray] = []
    for number in range(int(group.attrs['nblocks'])):
        names = _axis(group, f'block{number}_items')
        values = group[f'block{number}_values']
        block = _read(values)
        labels += names
        columns += list(block.T if values.attrs.get('transposed') else block)
    return _frame(columns, labels, np.asarray(_axis(group, 'axis1')))


def _axis(group: Any, name: str) -> list[object]:
    """Return the labels of an axis, which are tuples where it has several levels."""
    if _text(group.attrs[f'{name}_variety']) != 'multi':
        return [_text(label) for label in _read(group[name])]
    levels = []
    for level in range(int(group.attrs[f'{name}_nlevels'])):
        known = _read(group[f'{name}_level{level}'])
        levels.append([_text(known[at]) for at in _read(group[f'{name}_label{level}'])])
    return list(zip(*levels, strict=True))


def _frame(columns: list[np.ndarray], labels: list[object], index: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame(dict(enumerate(columns)), index=pd.Index(index))
    tuples = [label for label in labels if isinstance(label, tuple)]
    if tuples and len(tuples) < len(labels):
        raise ValueError('some names of its columns have several levels, and others one')
    table.columns = pd.MultiIndex.from_tuples(tuples) if tuples else pd.Index(labels)
    return table


def _read(item: Any) -> Any:
    size = int(np.prod(item.shape)) * item.dtype.itemsize
    if size > MOST_ARRAY_BYTES:
        raise ValueError(
            f'it holds {size / 1e9:.3g} GB, and at most {MOST_ARRAY_BYTES / 1e9:.3g} are read'
        )
    return item[()]


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


class _PlainUnpickler(pickle.Unpickler):
    """Unpickles lists, tuples, text and numbers, none of which needs a name to be looked up."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Refuse every name."""
        raise ValueError(f'it names code, {module_name}.{global_name}, which beast does not run')


def _unpickled(content: Any) -> Any:
    labels = _PlainUnpickler(io.BytesIO(bytes(content))).load()
    if not isinstance(labels, list):
        raise ValueError(f'the names of its columns are a {type(labels).__name__}')
    return labels
