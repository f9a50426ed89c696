"""Processes that read frames for a run: how many there may be, and how they end."""

import os
import signal
import threading


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    # not every system can limit a process to some of them
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def outlast_signals(worker: int) -> None:
    """Keep a reading process alive while the run finishes its step and saves.

    Ctrl-C in a terminal and Slurm's pre-emption reach every process of a run. A reader that obeyed
    would take the main process down with it before that has saved. Readers end when the main
    process says so, or is gone. For `worker_init_fn` of torch's loader.

    Args:
        worker: number of the process, which is not needed.
    """
    for name in ('SIGINT', 'SIGUSR1'):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # not on macOS
    if hasattr(signal, 'sigwaitinfo'):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_obey, args=(os.getppid(),), daemon=True).start()


def _obey(parent: int) -> None:
    """End this process once its parent, and nobody else, asks for it."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
