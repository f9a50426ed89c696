"""What the demo keeps of its stages."""

from pathlib import Path

import pytest

from beast_lp.host.jobs import beast_demo
from beast_lp.host.jobs.demo_results import read_times, write_times


def test_a_stage_that_was_done_before_keeps_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / 'time.csv'
    assert read_times(file) == {}
    write_times(file, {'the project': 50.5, 'pose': 300.0})
    clock = iter([10.0, 10.25, 20.0, 95.0])
    monkeypatch.setattr(beast_demo.time, 'perf_counter', lambda: next(clock))
    with beast_demo._stage('3/5', 'pose', file):
        pass
    with beast_demo._stage('4/5', 'neural encoding', file):
        pass
    assert read_times(file) == {'the project': 50.5, 'pose': 300.0, 'neural encoding': 75.0}
