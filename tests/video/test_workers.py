"""Reading processes outlast a signal to the whole run, but not their parent's word."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from beast_lp.errors import BeastError
from beast_lp.video import workers
from beast_lp.video.workers import (
    free_shared_memory,
    outlast_signals,
    shared_memory_needed,
    shared_memory_sentence,
    usable_cores,
)


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


def test_shared_memory_is_known_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = 128 * 224 * 224 * 3
    assert shared_memory_needed(0, batch) == 0
    # the 64 MB of a container are too little for one worker, and 8 GB enough for 8 of 4 GPUs
    assert shared_memory_needed(1, batch) > 67e6
    assert shared_memory_needed(8, batch, processes=4) < 8e9
    monkeypatch.setattr(workers, 'SHARED_MEMORY', str(tmp_path))
    assert 0 < (free_shared_memory() or 0) <= shutil.disk_usage(tmp_path).free * 1.01
    monkeypatch.setattr(workers, 'SHARED_MEMORY', str(tmp_path / 'none'))
    assert free_shared_memory() is None


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('unable to allocate shared memory(shm) for file </torch_1>: No space left'),
        RuntimeError('DataLoader worker (pid 7) is killed by signal: Bus error.'),
        OSError(24, 'Too many open files'),
    ],
)
def test_full_shared_memory_gets_a_sentence(error: Exception) -> None:
    with pytest.raises(BeastError, match='--shm-size=8g'), shared_memory_sentence():
        raise error
    with pytest.raises(RuntimeError, match='another'), shared_memory_sentence():
        raise RuntimeError('another')
