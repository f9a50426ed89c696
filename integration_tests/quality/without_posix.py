"""Run tests as on a system without fork, SIGUSR1, /dev/shm and POSIX locks, such as Windows.

    uv run python integration_tests/quality/without_posix.py tests/runs tests/pretraining

What is missing there is removed before anything else is imported, also in the processes that tests
start through multiprocessing. It stands in for a machine of another kind only in this: paths, and
what compiled libraries do there, only such a machine shows (the workflow `ci` has them).
"""

import multiprocessing.context
import os
import signal
import sys
import types

GONE = {
    # torch, which knows this system by its name, asks for SIGKILL and register_at_fork
    signal: ('SIGUSR1', 'SIGUSR2', 'SIGALRM', 'sigwaitinfo', 'setitimer'),
    os: ('fork', 'forkpty', 'sched_getaffinity'),
}
SHARED_MEMORY = '/dev/shm'
SIGUSR1 = getattr(signal, 'SIGUSR1', None)


def remove() -> None:
    """Remove what Windows lacks from Python's own modules."""
    for module, names in GONE.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    statvfs = os.statvfs

    def without_shared_memory(path: int | str | os.PathLike[str]) -> os.statvfs_result:
        if str(path) == SHARED_MEMORY:
            raise FileNotFoundError(2, 'No such file or directory', SHARED_MEMORY)
        return statvfs(path)

    os.statvfs = without_shared_memory
    # makes `import fcntl` fail
    sys.modules['fcntl'] = None  # type: ignore[assignment]
    contexts = multiprocessing.context._concrete_contexts  # type: ignore[attr-defined]
    for name in ('fork', 'forkserver'):
        contexts.pop(name, None)
    multiprocessing.set_start_method('spawn', force=True)


def import_everything() -> int:
    """Import every module of the package; return their number."""
    import importlib
    import pkgutil

    import beast_lp

    names = [module.name for module in pkgutil.walk_packages(beast_lp.__path__, 'beast_lp.')]
    for name in names:
        if not name.endswith('__main__'):
            importlib.import_module(name)
    return len(names)


# as multiprocessing names this file in the processes that it starts; whoever else imports it keeps
# all that the system has
if __name__ in ('__main__', '__mp_main__'):
    remove()
if __name__ == '__main__':
    import pytest
    from lightning.pytorch.trainer.connectors import signal_connector

    # asks for SIGUSR1 unless the system's name is Windows
    own = types.SimpleNamespace(**{**vars(signal), 'SIGUSR1': SIGUSR1})
    signal_connector.signal = own  # type: ignore[assignment]
    print(f'imported {import_everything()} modules')
    sys.exit(pytest.main(sys.argv[1:]))
