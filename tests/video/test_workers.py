"""Reading processes outlast a signal to the whole run, but not their parent's word."""

import multiprocessing
import os
import signal
import subprocess
import time

import pytest

from beast_lp.video.workers import outlast_signals


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
