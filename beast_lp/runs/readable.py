"""Check a file that the user names before it is read, and read arrays in bounded memory."""

import math
import stat
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
import yaml

from beast_lp.errors import BeastError

# bytes of all arrays of a file together. Deflate packs zeros 1000 to 1, so that a file of a few MB
# can fill any memory; 2000 neurons in bins of 20 ms, as float32, reach this after 6 hours
MOST_ARRAY_BYTES = 8 << 30
# values of a config, aliases written out; the largest that we have seen has 1000
MOST_VALUES = 100_000
_KINDS = (
    (stat.S_ISDIR, 'a folder'),
    (stat.S_ISFIFO, 'a pipe'),
    (stat.S_ISSOCK, 'a socket'),
    (stat.S_ISCHR, 'a device'),
    (stat.S_ISBLK, 'a device'),
)


def check_readable(path: Path) -> None:
    """Check that a path, if anything is there, is a file that this user may read.

    A pipe or a device would keep its reader waiting for ever, and libraries call a file damaged
    that the system does not let them read. A path with nothing there is the reader's business.

    Args:
        path: file that the user named; links are followed.

    Raises:
        BeastError: if it is something else, or may not be read.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), 'something else')
        raise BeastError(f'{path} is {kind} and not a file; give a file')
    try:
        with path.open('rb'):
            pass
    except PermissionError as error:
        raise BeastError(
            f'{path} cannot be read ({error.strerror}); ask its owner to let you read it, or give '
            'a copy of your own'
        ) from error


def read_array(path: Path) -> np.ndarray:
    """Read an array of numbers or strings from a `.npy` file.

    Args:
        path: file to read.

    Raises:
        BeastError: if the file is none, or may not be read.
        ValueError: if it holds something else or too much, or is damaged; the message says so.
    """
    check_readable(path)
    try:
        with path.open('rb') as file:
            if file.read(2) == b'PK':
                raise ValueError('it is an archive of several arrays')
            file.seek(0)
            _check_bytes(_array_bytes(file))
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # numpy raises errors of many kinds for damaged files
        raise ValueError(str(error) or 'it is damaged') from error


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of numbers and strings of a `.npz` file.

    Args:
        path: file to read.

    Raises:
        BeastError: if the file is none, or may not be read.
        ValueError: if it holds something else or too much, or is damaged; the message says so.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), 'a.npz')
        >>> np.savez(path, one=np.ones(2), name='a')
        >>> {name: array.tolist() for name, array in read_arrays(path).items()}
        {'one': [1.0, 1.0], 'name': 'a'}
    """
    check_readable(path)
    try:
        with zipfile.ZipFile(path) as archive:
            total = 0
            for item in archive.infolist():
                with archive.open(item) as file:
                    total += max(item.file_size, _array_bytes(file))
            _check_bytes(total)
            arrays = {}
            for item in archive.infolist():
                with archive.open(item) as file:
                    name = item.filename.removesuffix('.npy')
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
            return arrays
    except zipfile.BadZipFile as error:
        with path.open('rb') as file:
            alone = file.read(6) == np.lib.format.MAGIC_PREFIX
        raise ValueError(
            'it is one array without a name' if alone else f'it is no archive of arrays: {error}'
        ) from error
    except Exception as error:  # numpy raises errors of many kinds for damaged files
        raise ValueError(str(error) or 'it is damaged') from error


def _array_bytes(file: IO[bytes]) -> int:
    """Return the bytes that the array at the place of a file would take, by its header."""
    version = np.lib.format.read_magic(file)
    # later versions differ in the length of the header alone
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, kind = read(file)
    size = kind.itemsize
    for side in shape:
        size *= side
    return size


def _check_bytes(count: int) -> None:
    if count > MOST_ARRAY_BYTES:
        raise ValueError(
            f'it holds {count / 1e9:.3g} GB, and at most {MOST_ARRAY_BYTES / 1e9:.3g} are read'
        )


def check_yaml(path: Path) -> None:
    """Check that a YAML file is a readable file, and small also with its aliases written out.

    Ten lines of aliases of aliases stand for more values than any memory holds. Other mistakes in
    the file are its reader's business.

    Args:
        path: file that the user named.

    Raises:
        BeastError: if it is not.
    """
    check_readable(path)
    try:
        with path.open('rb') as file:
            root = yaml.compose(file, Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return
    count = _written_out(root, {}) if root else 0
    if count > MOST_VALUES:
        raise BeastError(
            f'{path} stands for more than {MOST_VALUES} values, because its aliases (*name) '
            'repeat each other; write the values themselves'
        )


def _written_out(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values under a node with its aliases written out; a circle has infinitely many."""
    if id(node) not in known:
        known[id(node)] = math.inf
        below = (
            [part for item in node.value for part in (item if isinstance(item, tuple) else [item])]
            if isinstance(node, yaml.CollectionNode)
            else []
        )
        known[id(node)] = 1 + sum(_written_out(item, known) for item in below)
    return known[id(node)]
