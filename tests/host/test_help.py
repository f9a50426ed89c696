"""What `litpose COMMAND --help` says, on a terminal of 80 columns."""

from pathlib import Path

import pytest
from lightning_pose.cli.main import _build_parser

from beast_lp.host.arguments import GUIDES
from beast_lp.host.commands import COMMANDS


def _help(
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    monkeypatch.setenv('COLUMNS', '80')
    with pytest.raises(SystemExit) as stopped:
        _build_parser().parse_args([*command.split(), '--help'])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize('command', COMMANDS)
def test_help_ends_with_our_guides_and_can_be_copied(
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = _help(command, monkeypatch, capsys)
    page = Path(shown.split()[-1])
    assert page.parent == GUIDES and page.suffix == '.md'
    assert 'readthedocs' not in shown
    # the shell takes a wrapped line for two commands
    _, _, example = shown.partition('example:\n')
    lines = example.partition('\n\n')[0].splitlines()
    assert all(line.endswith('\\') for line in lines[:-1])
    assert not lines[-1:] or not lines[-1].endswith('\\')


def test_only_commands_that_resume_say_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in ('pretrain', 'encode', 'segment train'):
        shown = ' '.join(_help(command, monkeypatch, capsys).split())
        assert 'a run that was interrupted there is resumed' in shown
    shown = ' '.join(_help('compare', monkeypatch, capsys).split())
    assert 'resumed' not in shown and 'starts again from the beginning' in shown


def test_every_action_of_segment_takes_overrides(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usage, _, _ = _help('segment', monkeypatch, capsys).partition('\n\n')
    assert usage.count('litpose segment ') == usage.count('[--overrides KEY=VALUE...]') == 3


def test_the_list_of_commands_marks_ours(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = _help('', monkeypatch, capsys).splitlines()
    marked = [line.split() for line in lines if 'beast-lp:' in line]
    assert [words[0] for words in marked] == list(COMMANDS)
    assert all(words[1] == 'beast-lp:' and len(words) > 3 for words in marked)


def test_each_action_of_segment_has_a_help_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = {
        action: _help(f'segment {action}', monkeypatch, capsys)
        for action in ('train', 'predict', 'evaluate')
    }
    assert {action for action, text in shown.items() if '--model_dir' in text} == {
        'predict',
        'evaluate',
    }
    assert {action for action, text in shown.items() if '--nwb' in text} == {'predict'}
    for action, text in shown.items():
        assert text.startswith(f'usage: litpose segment {action} <config_file>')
        assert text.count('litpose segment ') == (1 if action == 'train' else 2)
