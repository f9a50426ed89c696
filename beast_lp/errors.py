"""The exception that carries a sentence for the user, and the system's errors that become one."""

import errno
import re
from collections.abc import Iterator
from pathlib import Path


class BeastError(Exception):
    """A problem that the user can mend.

    The message is one sentence that says what was wrong, what was found and what to do. The
    command line prints it without a traceback and exits with status 1.
    """


# what the operating system refused -> what a person is told after the name of the file; what is
# not listed is told in the system's own words
_SENTENCES = {
    errno.ENOENT: 'does not exist; check how its path is spelt',
    errno.ENOTDIR: 'cannot be used, because a part of its path is a file and not a folder; choose '
    'another path, or rename that file',
    errno.EISDIR: 'is a folder where a file is needed; choose another path',
    errno.EEXIST: 'is in the way of something that would get its name; rename or delete it, or '
    'choose another path',
    errno.ENOTEMPTY: 'is a folder that is not empty; empty it, or choose another path',
    errno.ELOOP: 'cannot be used, because its path leads through links in a circle; mend the '
    'links, or choose another path',
    errno.ENAMETOOLONG: 'has a name that is too long for this disk; choose a shorter one',
}
# errors of Python that have no number: type, part of the message, sentence
_KNOWN_WORDS = (
    (
        ValueError,
        'embedded null',
        'a path holds a NUL character, which no file name may have; check the config',
    ),
    (
        RuntimeError,
        'Could not determine home directory',
        'a path begins with ~ and the name of a user that this machine does not know; write the '
        'whole path, or check the name',
    ),
)
# a file, a folder or a whole disk that may not be read or written
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT)
# the same in the words of the system, of Rust and of numpy
_FULL_WORDS = re.compile(
    r'No space left on device|Disk quota exceeded|os error (28|122)\b|'
    r'\d+ requested and \d+ written'
)
_SHARED_MEMORY = re.compile(r'shared memory|/dev/shm|\bshm\b')
# bytes of a damaged text that are shown, so that the user finds the place
_SHOWN = 30


def sentence_of(error: Exception) -> str | None:
    """Return the sentence that a user sees instead of a traceback.

    Any line that touches a file may meet one that is missing, forbidden or of the wrong kind, so
    that one place has the sentences for all of them.

    Args:
        error: exception that ended a command.

    Returns:
        the sentence; None if the error is not one that a user can mend.
    """
    if isinstance(error, BeastError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return _not_text(error)
    if is_full_disk(error):
        return _full_sentence(error)
    if isinstance(error, OSError):
        return _file_sentence(error)
    return _by_words(error)


def _by_words(error: Exception) -> str | None:
    """Return the sentence of an error that is known by what it says alone."""
    if isinstance(error, MemoryError):
        return _no_memory(str(error))
    if isinstance(error, RuntimeError) and str(error).startswith('Symlink loop'):
        # what pathlib makes of ELOOP
        path = str(error).partition(' from ')[2].strip("'")
        return f'{path} {_SENTENCES[errno.ELOOP]}'
    for kind, words, sentence in _KNOWN_WORDS:
        if isinstance(error, kind) and words in str(error):
            return sentence
    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
        return _no_memory(str(error).rpartition('memory: ')[2])
    return None


def _no_memory(words: str) -> str:
    found = ' '.join(words.split()) or 'it is used up'
    return (
        f'the memory of this machine does not suffice ({found}); choose smaller sizes or batches, '
        'or end other programs'
    )


def full_disk(place: Path | str) -> str:
    """Return the sentence for a disk that is full, or on which the user's quota is used up.

    Args:
        place: file or folder on that disk.
    """
    return (
        f'the disk that holds {place} is full; free some space and run the same command again, '
        'which resumes the run'
    )


def is_full_disk(error: BaseException) -> bool:
    """Return whether an error means that a disk is full or a quota used up.

    Libraries hide what the system said: torch raises a RuntimeError while it handles the system's
    error, safetensors and h5py put the words into a text, numpy counts what it could write.

    Args:
        error: error that ended the writing of a file. What it was raised from counts too.
    """
    return any(_says_full(item) for item in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and those during whose handling it was raised."""
    known: set[int] = set()
    item: BaseException | None = error
    while item is not None and id(item) not in known:
        known.add(id(item))
        yield item
        item = item.__cause__ or item.__context__


def _says_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    text = str(error)
    # the memory that processes share is no disk
    return bool(_FULL_WORDS.search(text)) and not _SHARED_MEMORY.search(text)


def _full_sentence(error: Exception) -> str:
    files = [
        item.filename2 or item.filename for item in _chain(error) if isinstance(item, OSError)
    ]
    file = next(filter(None, files), None)
    return full_disk(_shown_path(file) if file else 'the results')


def _file_sentence(error: OSError) -> str | None:
    file = error.filename2 or error.filename
    if error.errno in _FORBIDDEN:
        return (
            f'{_shown_path(file) if file else "a file"} may not be used ({error.strerror}); check '
            'who may read and write there, or choose another folder'
        )
    if not file or error.errno is None:
        # a broken connection, or an error that a library calls one of the system
        return None
    words = _SENTENCES.get(error.errno, f'cannot be used ({error.strerror}); check that disk')
    return f'{_shown_path(file)} {words}'


def _shown_path(file: object) -> str:
    # a system call may have been given the path as bytes
    return file.decode(errors='replace') if isinstance(file, bytes) else str(file)


def _not_text(error: UnicodeDecodeError) -> str:
    before = error.object[max(0, error.start - _SHOWN) : error.start]
    return (
        f'a text file is not {error.encoding.upper()}: it holds the byte '
        f'0x{error.object[error.start]:02x} after {before.decode(errors="replace")!r}; save it as '
        'UTF-8'
    )
