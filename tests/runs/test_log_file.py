"""The log that each run keeps."""

import logging
import warnings
from pathlib import Path

import pytest

from beast_lp.runs.log_file import logged_to, logged_warnings, remember_warnings, run_log

logger = logging.getLogger('lightning_pose.beast_lp.test')


def test_a_log_has_what_was_warned_of_before_and_within(tmp_path: Path) -> None:
    remember_warnings()
    logger.warning('beast: early')
    path = tmp_path / 'train.log'
    with warnings.catch_warnings(record=True) as shown, logged_to(path):
        warnings.simplefilter('always')
        logger.setLevel(logging.INFO)
        logger.info('beast: it goes on')
        logger.warning('beast: two\nlines')
        logging.getLogger('lightning.pytorch').warning('of a library')
        warnings.warn('of Python', stacklevel=1)
        logger.warning('beast: early')
    logger.warning('beast: after it')
    logger.setLevel(logging.NOTSET)
    assert [str(item.message) for item in shown] == ['of Python']
    wanted = ['early', 'two\nlines', 'of a library', 'UserWarning: of Python']
    assert logged_warnings(path) == wanted
    assert 'INFO beast: it goes on' in path.read_text() and 'after it' not in path.read_text()
    # the next command does not repeat what this one was warned of
    remember_warnings()
    with logged_to(tmp_path / 'other.log'):
        pass
    assert logged_warnings(tmp_path / 'other.log') == []


def test_a_stage_has_a_log_of_its_own_within_that_of_the_command(tmp_path: Path) -> None:
    remember_warnings()
    logger.warning('beast: of the config')
    with run_log(tmp_path / 'pose'):
        logger.warning('beast: before the stage')
        with run_log(tmp_path / 'pose' / 'beast'):
            logger.warning('beast: of the stage')
        logger.warning('beast: after the stage')
    stage = ['of the config', 'before the stage', 'of the stage']
    assert logged_warnings(tmp_path / 'pose' / 'beast' / 'train.log') == stage
    assert logged_warnings(tmp_path / 'pose' / 'train.log') == [*stage, 'after the stage']


@pytest.mark.parametrize('handled', [False, True])
def test_a_script_without_logging_still_sees_warnings(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    handled: bool,
) -> None:
    monkeypatch.setattr(logging.getLogger(), 'handlers', [])
    package = logging.getLogger('lightning_pose')
    if handled:
        monkeypatch.setattr(package, 'handlers', [logging.NullHandler()])
    remember_warnings()
    with logged_to(tmp_path / 'train.log'):
        logger.warning('beast: look')
        logger.info('beast: nobody asked')
    assert capsys.readouterr().err == ('' if handled else 'beast: look\n')
    assert logged_warnings(tmp_path / 'train.log') == ['look']


def test_without_a_log_there_are_no_warnings(tmp_path: Path) -> None:
    assert logged_warnings(tmp_path / 'train.log') == []


def test_a_warning_loses_the_colours_of_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / 'train.log'
    path.write_text(
        '2026-11-29 12:05:29 WARNING two ways, \x1b[1mdo\x1b[0m \x1b[31;4mone\x1b[0m\n'
    )
    assert logged_warnings(path) == ['two ways, do one']


def test_what_is_said_of_every_pose_model_is_no_warning_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / 'train.log'
    text = '`isinstance(treespec, LeafSpec)` is deprecated, use another'
    with warnings.catch_warnings(record=True), logged_to(path):
        warnings.warn(text, FutureWarning, stacklevel=1)
        logger.warning('failed to load checkpoint with default settings: Weights only …')
        logger.warning('attempting to load with weights_only=False...')
        logger.warning('failed to load checkpoint: no such file')
    assert logged_warnings(path) == ['failed to load checkpoint: no such file']
    assert 'weights_only=False' in path.read_text(encoding='utf-8')
