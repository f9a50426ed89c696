"""Worker processes that read frames for a run: how many there may be, and how they end."""

import os
import signal
import threading


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    # not every system can limit a process to some cores
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
