"""Reading processes outlast a signal to the whole run, but not their parent's word."""

import multiprocessing
import os
import signal
import subprocess
import time

import pytest

from beast_lp.video.workers import outlast_signals, usable_cores


def test_the_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {1, 4, 5}, raising=False)
    assert usable_cores() == 3
    # macOS has no such function
    monkeypatch.delattr(os, 'sched_getaffinity')
    monkeypatch.setattr(os, 'cpu_count', lambda: 6)
    assert usable_cores() == 6


def _read(ready: 'multiprocessing.synchronize.Event') -> None:  # type: ignore[name-defined]
    outlast_signals(0)
    ready.set()
    time.sleep(300)


@pytest.mark.skipif(not hasattr(signal, 'sigwaitinfo'), reason='this system has no sigwaitinfo')
def test_only_the_parent_ends_a_reader() -> None:
    context = multiprocessing.get_context('fork')
    ready = context.Event()
    reader = context.Process(target=_read, args=(ready,))
    reader.start()
    assert ready.wait(60)
    for name in ('INT', 'USR1', 'TERM'):
        # from another process, as Slurm and a terminal do it
        subprocess.run(['sh', '-c', f'kill -{name} {reader.pid}'], check=True)
    reader.join(1)
    assert reader.is_alive()
    assert reader.pid is not None
    os.kill(reader.pid, signal.SIGTERM)
    reader.join(60)
    assert reader.exitcode == 0
