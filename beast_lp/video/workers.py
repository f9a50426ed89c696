"""Processes that read frames for a run, and what they do when the run is asked to stop."""

import os
import signal
import threading


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
