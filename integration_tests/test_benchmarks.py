"""What the benchmarks say before they measure."""

import os
import subprocess
import sys
from pathlib import Path

import everything
import pytest

BENCHMARKS = Path(__file__).parent / 'benchmarks'


def refused(name: str, *arguments: object, **environment: str) -> str:
    """Run a benchmark that cannot start; return the last line of its complaint."""
    command = [sys.executable, BENCHMARKS / f'{name}.py', *map(str, arguments)]
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert result.returncode != 0
    assert 'Traceback' not in result.stderr, result.stderr
    return result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize('name', ['video', 'embedding', 'training_step'])
def test_without_uv_the_authors_environment_gets_a_sentence(name: str, tmp_path: Path) -> None:
    video = tmp_path / 'a.mp4'
    video.touch()
    given = [] if name == 'training_step' else ['--video', video]
    line = refused(
        name,
        *given,
        '--environment',
        tmp_path / 'environment',
        '--output',
        tmp_path / 'output',
        PATH=str(tmp_path),
    )
    # a flag that one of them has would mislead in the others
    assert '`uv` is missing' in line and '--' not in line


@pytest.mark.parametrize('name', ['video', 'embedding', 'segment_predict'])
def test_recordings_are_looked_for_where_the_variable_says(name: str, tmp_path: Path) -> None:
    assert str(tmp_path / 'data') in refused(name, BEAST_LP_DATA=str(tmp_path / 'data'))


def test_everything_collects_the_values_of_all_benchmarks(tmp_path: Path) -> None:
    (tmp_path / 'training_step').mkdir()
    (tmp_path / 'training_step' / 'training_step.csv').write_text(
        'model,precision,ratio\nViT-B,bf16,1.4\n'
    )
    (tmp_path / 'video.csv').write_text(
        'measure,side,value\ns,ours,2\ns,ratio,5\ns,ratio,7\ns,ratio,6\n'
    )
    table = everything.ratios(tmp_path)
    assert table.to_numpy().tolist() == [
        ['video: s', 5, 6, 7],
        ['training step, ViT-B, bf16', 1.4, 1.4, 1.4],
    ]


def test_everything_takes_a_page_of_an_unfinished_benchmark_for_unfinished(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(command: list[str], **_: object) -> None:
        folder = Path(command[command.index('--output') + 1])
        folder.mkdir(exist_ok=True)
        (folder / 'training_step.md').write_text('of the first size')
        raise subprocess.CalledProcessError(-9, command)

    monkeypatch.setattr(everything.subprocess, 'run', killed)
    for _ in range(2):
        assert not everything.run('training_step', tmp_path, None)
