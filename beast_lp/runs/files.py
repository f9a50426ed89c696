"""Files and folders that never appear half-written, and folders with one writer."""

import errno
import logging
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
from filelock import FileLock, SoftFileLock, Timeout

from beast_lp.errors import BeastError, full_disk, is_full_disk

logger = logging.getLogger(f'lightning_pose.{__name__}')

# end of the name of a file or folder until it is complete
PART_SUFFIX = '.part'


@contextmanager
def finished_file(path: Path) -> Iterator[Path]:
    """Give a new file beside `path` to write to, and rename it to `path` once the block succeeds.

    Args:
        path: final name; an existing file is replaced.

    Yields:
        the name to write to. Nothing is left under it afterwards.

    Raises:
        BeastError: if the disk is full.
    """
    part = part_of(path)
    try:
        with full_disk_sentence(path.parent):
            # what a killed run left, or a link that somebody laid there, is not written through
            part.unlink(missing_ok=True)
            part.touch(exist_ok=False)
            # as the user's umask, or the folder, has it
            wanted = part.stat().st_mode
            yield part
            _set_mode(part, wanted)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def finished_folder(path: Path) -> Iterator[Path]:
    """Give a new folder beside `path` to fill, and rename it to `path` once the block succeeds.

    Args:
        path: final name; nothing, or an empty folder, may be there.

    Yields:
        the folder to write to. Nothing is left under its name afterwards.

    Raises:
        BeastError: if the disk is full.
        OSError: if the folder exists and is not empty.
    """
    part = part_of(path)
    remove(part)
    try:
        with full_disk_sentence(path.parent):
            part.mkdir(parents=True)
            yield part
            if path.is_dir():
                # Windows renames no folder to the name of another, even of an empty one
                path.rmdir()
            part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_table(
    table: pd.DataFrame,
    path: Path,
    index: bool = False,
    decimals: str | None = None,
    missing: str = '',
) -> None:
    """Write a table as CSV, complete or not at all.

    Args:
        table: rows to write.
        path: final name; an existing file is replaced.
        index: write the index as the first column.
        decimals: format of floating-point numbers, such as `%.6g`; None for all digits.
        missing: text of a missing value.

    Raises:
        BeastError: if the disk is full.
    """
    with finished_file(path) as part:
        table.to_csv(part, index=index, float_format=decimals, na_rep=missing)


def part_of(path: Path) -> Path:
    """Return the name of a file or folder until it is complete."""
    return path.with_name(path.name + PART_SUFFIX)


@contextmanager
def only_writer(path: Path, what: str) -> Iterator[None]:
    """Keep other processes, also on other machines, out of the block.

    The lock is the operating system's, so it ends with its process however that ends. A second
    run is refused and does not wait: it would find its work done, and would then do the same
    training again in the same folder.

    Args:
        path: file of the lock; it stays there, empty.
        what: the thing that is written, for the message.

    Raises:
        BeastError: if another process is in its block.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        # where the system has no locks, a file stands for one, which a killed run leaves behind
        left = f' (if none is, delete {path})' if isinstance(lock, SoftFileLock) else ''
        raise BeastError(
            f'another run is writing {what} at this moment{left}; wait for it to end, or give '
            'another --output_dir'
        ) from error
    except OSError as error:
        if error.errno != errno.ENOLCK:
            raise
        logger.warning(
            f'beast: the disk that holds {path.parent} cannot lock files, so nothing keeps a '
            'second run from writing there at the same time'
        )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def full_disk_sentence(directory: Path | None) -> Iterator[None]:
    """Turn `no space left on device`, however a library says it, into a sentence.

    Other errors pass.

    Args:
        directory: folder that the block writes to; None for the system's folder of temporary
            files.

    Raises:
        BeastError: if the disk is full or the user's quota is used up.
    """
    try:
        yield
    except BeastError:
        raise
    except Exception as error:  # each library has an error of its own for a full disk
        if not is_full_disk(error):
            raise
        place = directory or 'the folder for temporary files (TMPDIR)'
        raise BeastError(full_disk(place)) from error


def _set_mode(path: Path, wanted: int) -> None:
    """Give a file its permissions again, where a library wrote another one in its place.

    safetensors (since 0.8) leaves files that only their owner may read.
    """
    if path.stat().st_mode != wanted:
        # some network disks have no permissions
        with suppress(OSError):
            path.chmod(stat.S_IMODE(wanted))


def remove(path: Path) -> None:
    """Delete a folder with all that is in it, or a file or link of that name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
