"""Worker processes that read frames for a run: how many there may be, and how they end."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from beast_lp.errors import BeastError

# where Linux keeps the memory that processes share
SHARED_MEMORY = '/dev/shm'
# batches that each worker of torch's loader reads ahead (its `prefetch_factor`), and those in use
# in the main process: the present one and the next
BATCHES_AHEAD, _BATCHES_IN_USE = 2, 2
# the rest is for the locks of processes and for pages that are partly used
_SHARE_USED = 0.95
# what torch says of it, in messages of several kinds
_NO_ROOM = (
    'shared memory',
    'Bus error',
    'unable to mmap',
    'Too many open files',
    'items of ancdata',
)


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    # not every system can limit a process to some cores
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_shared_memory() -> int | None:
    """Return the bytes of shared memory that are free, None where the system sets no limit.

    Containers often have 64 MB, whatever the memory of the machine.
    """
    try:
        found = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):
        return None
    return found.f_bavail * found.f_frsize


def shared_memory_needed(workers: int, batch_bytes: int, processes: int = 1) -> int:
    """Return the bytes of shared memory that workers need to hand over their batches in it.

    Args:
        workers: number of workers.
        batch_bytes: bytes of a batch.
        processes: number of processes on this machine that have such workers.
    """
    batches = BATCHES_AHEAD * workers + _BATCHES_IN_USE if workers else 0
    return int(batches * batch_bytes * processes / _SHARE_USED)


@contextmanager
def shared_memory_sentence() -> Iterator[None]:
    """Turn errors of workers that found no shared memory or file descriptors into one sentence.

    Raises:
        BeastError: instead of torch's RuntimeError, whose words send people to their disk.
    """
    try:
        yield
    except (RuntimeError, OSError) as error:
        if not any(words in str(error) for words in _NO_ROOM):
            raise
        raise BeastError(
            f'the worker processes that read frames ran out of shared memory ({SHARED_MEMORY}) or '
            'of open files (`ulimit -n`); start the container with --shm-size=8g, or set '
            'beast.training.num_workers=0, and run the same command again'
        ) from error


def outlast_signals(worker: int) -> None:
    """Keep a worker process alive while the run finishes its step and saves.

    Ctrl-C in a terminal and Slurm's pre-emption send their signals to every process of a run. A
    worker that obeyed would end the main process too, before it has saved. Workers end when the
    main process tells them to, or is gone.

    Args:
        worker: number of the worker, unused; torch's `worker_init_fn` passes it.
    """
    for name in ('SIGINT', 'SIGUSR1'):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # macOS lacks it
    if hasattr(signal, 'sigwaitinfo'):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_obey, args=(os.getppid(),), daemon=True).start()


def _obey(parent: int) -> None:
    """End this process once its parent, and no other process, asks for it."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
