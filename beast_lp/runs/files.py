"""Files that never appear half-written, folders with one writer, a full disk in one sentence."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from beast_lp.errors import BeastError

logger = logging.getLogger('lightning_pose.' + __name__)

# what a file is called until it is complete
PART_SUFFIX = '.part'


@contextmanager
def finished_file(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to, and move it to `path` once the block succeeds.

    Args:
        path: the final name; an existing file is replaced.

    Yields:
        the name to write to. Nothing is left under it afterwards.

    Raises:
        BeastError: if the disk is full.
    """
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        with full_disk_sentence(path.parent):
            yield part
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def only_writer(path: Path, what: str) -> Iterator[None]:
    """Keep other processes, also on other machines, out of the block.

    The lock is the operating system's, so that it ends with its process however that ends. A
    second run is turned away and does not wait: it would find its work done and then do the same
    training again in the same folder.

    Args:
        path: the lock's file, which stays there, empty.
        what: is being written, for the message.

    Raises:
        BeastError: if another process is in its block.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BeastError(
            f'another run is writing {what} at this moment; wait for it to end, or give this run '
            'an output directory of its own'
        ) from error
    except OSError as error:
        if error.errno != errno.ENOLCK:
            raise
        logger.warning(
            f'the disk that holds {path.parent} cannot lock files, so nothing keeps a second run '
            'from writing there at the same time'
        )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def full_disk_sentence(directory: Path | None) -> Iterator[None]:
    """Turn `no space left on device` into a sentence; other errors pass.

    Args:
        directory: where the block writes, None for the system's folder for temporary files.

    Raises:
        BeastError: if the disk is full or the user's quota is used up.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = directory or 'the folder for temporary files (TMPDIR)'
        raise BeastError(
            f'the disk that holds {place} is full; free some space and run the same command '
            'again, which continues where it stopped'
        ) from error
