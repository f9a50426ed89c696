"""The directory of a run: claimed, resumed, refused, finished."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from beast_lp.config.retired import RETIRED
from beast_lp.errors import BeastError
from beast_lp.runs.directory import RunDirectory
from beast_lp.runs.files import only_writer
from beast_lp.runs.settings import read_settings

SETTINGS = {'beast': {'seed': 0}, 'videos': ['a.mp4'], 'workers': 1}


@dataclass(frozen=True)
class _Run(RunDirectory):
    kind: ClassVar[str] = 'training'
    result_name: ClassVar[str] = 'result'
    may_differ: ClassVar[tuple[str, ...]] = ('workers',)


def test_a_run_writes_its_settings_and_is_resumed_with_them(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = _Run(tmp_path / 'deep' / 'out')
    run.check(SETTINGS)
    assert not run.directory.exists()
    caplog.set_level('INFO', 'lightning_pose')
    with pytest.raises(RuntimeError), run.claimed(SETTINGS):
        assert read_settings(run.settings) == SETTINGS
        raise RuntimeError
    assert 'resuming' not in caplog.text
    with run.claimed({**SETTINGS, 'workers': 2}):
        run.result.touch()
    assert f'beast: resuming the run in {run.directory}' in caplog.text
    assert read_settings(run.settings)['workers'] == 2


def test_an_unfinished_run_with_other_settings_is_refused_and_kept(tmp_path: Path) -> None:
    run, other = _Run(tmp_path), {**SETTINGS, 'beast': {'seed': 1}}
    assert run.changed(other) == ''
    with run.claimed(SETTINGS):
        pass
    words = (
        r'holds an unfinished training run with other settings \(beast.seed was 0 and is now 1\); '
        'restore that setting to resume it, or give another --output_dir'
    )
    with pytest.raises(BeastError, match=words):
        run.check(other)
    with pytest.raises(BeastError, match=words), run.claimed(other):
        pytest.fail('claimed')
    assert read_settings(run.settings) == SETTINGS
    assert run.changed(other, ['beast']) == ''


def test_a_run_with_a_retired_setting_needs_its_own_version(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RETIRED, 'beast.gone', 3)
    run = _Run(tmp_path)
    with run.claimed({'beast': {'seed': 0, 'gone': 4}}):
        pass
    words = '.beast.gone was 4 and is now always 3.; resume it with the version of beast_lp that'
    with pytest.raises(BeastError, match=words):
        run.check({'beast': {'seed': 0}})


def test_a_run_is_finished_once_result_and_report_are_there(tmp_path: Path) -> None:
    run = _Run(tmp_path)
    with run.claimed(SETTINGS):
        run.result.touch()
    assert not run.is_finished
    run.check(SETTINGS)
    run.report.touch()
    assert run.is_finished
    with pytest.raises(BeastError, match='already holds a finished training run; look at its'):
        run.check(SETTINGS)


def test_a_run_that_is_at_work_is_refused(tmp_path: Path) -> None:
    run = _Run(tmp_path)
    with (
        only_writer(run.lock, 'it'),
        pytest.raises(BeastError, match=f'is writing the training run in {tmp_path} at this'),
        run.claimed(SETTINGS),
    ):
        pytest.fail('claimed')
    assert not run.settings.exists()


def test_a_run_that_finished_since_the_first_check_is_refused(tmp_path: Path) -> None:
    run = _Run(tmp_path)
    run.check(SETTINGS)
    run.result.touch()
    run.report.touch()
    with pytest.raises(BeastError, match='already holds'), run.claimed(SETTINGS):
        pytest.fail('claimed')


def test_settings_may_be_kept_as_json(tmp_path: Path) -> None:
    class Json(_Run):
        settings_name = 'unfinished.json'

    run = Json(tmp_path)
    with run.claimed(SETTINGS):
        assert json.loads(run.settings.read_text()) == SETTINGS
    assert run.changed({**SETTINGS, 'videos': []}) == "videos was ['a.mp4'] and is now []"
