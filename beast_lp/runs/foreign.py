"""Files of other programs: whatever their readers raise becomes one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beast_lp.errors import BeastError
from beast_lp.runs.readable import check_readable

# characters of a reader's own words that are shown: some print the whole file
_SHOWN = 200


@contextmanager
def foreign_file(path: Path, advice: str, what: str = '') -> Iterator[None]:
    """Turn whatever the block raises while it reads a file into one sentence.

    Readers of numpy, pandas, h5py and pynwb raise errors of many kinds for damaged files, and
    other kinds with other versions, so that no list of them is complete.

    Args:
        path: file that the block reads.
        advice: what the user can do, the end of the sentence.
        what: noun for the content, such as `NWB`; empty for none.

    Raises:
        BeastError: if the block raises an exception, or the path is no file that this user may
            read; a `BeastError` passes as it is.

    Examples:
        >>> with foreign_file(Path('a.nwb'), 'export it again', 'NWB'):
        ...     raise TypeError('Missing NWB version in file.')
        Traceback (most recent call last):
        beast_lp.errors.BeastError: a.nwb cannot be read as NWB (Missing NWB version in file); \
export it again
    """
    check_readable(path)
    try:
        yield
    except BeastError:
        raise
    except Exception as error:
        name = f' as {what}' if what else ''
        raise BeastError(f'{path} cannot be read{name} ({reason_of(error)}); {advice}') from error


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without the mark that Excel puts in front.

    Raises:
        BeastError: if it is a pipe or a device, or this user may not read it.
        ValueError: if it is no such text.
        OSError: if it cannot be read.
    """
    check_readable(path)
    text = path.read_text(encoding='utf-8-sig')
    if '\0' in text:
        raise ValueError('it holds NUL characters, which no text has')
    return text


def reason_of(error: Exception) -> str:
    """Return the words of an error on one line.

    Examples:
        >>> reason_of(KeyError())
        'KeyError'
    """
    if isinstance(error, UnicodeDecodeError):
        return f'it is not text in UTF-8, found the byte 0x{error.object[error.start]:02x}'
    if 'pickle' in str(error):
        # numpy tells how to read it unsafely, and calls whatever it does not know a pickle
        return 'it is no array of numbers or text, and objects of Python are not read'
    words = error.strerror if isinstance(error, OSError) else None
    line = ' '.join((words or str(error)).split()).rstrip('.')
    if len(line) > _SHOWN and isinstance(error.__cause__, Exception):
        # hdmf prints a whole group of the file, and the reason in the error below
        return reason_of(error.__cause__)
    if len(line) > _SHOWN:
        line = f'{line[:_SHOWN]} ...'
    return line or type(error).__name__


def column_separator(line: str) -> str:
    """Return the column separator that occurs most often in a line.

    Examples:
        >>> column_separator('coords;x;y, or so')
        ';'
    """
    return max(',;\t', key=line.count)
