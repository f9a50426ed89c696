"""A mistake in a config or a path is refused before anything slow is imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = {'torch', 'lightning', 'sklearn', 'matplotlib', 'transformers'}

PROGRAM = """
import atexit, sys
atexit.register(lambda: print(*sys.modules))
from lightning_pose.cli.main import main
main()
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the config of a project whose videos are missing."""
    path = tmp_path / 'config.yaml'
    path.write_text(f'data: {{data_dir: {tmp_path}, video_dir: nowhere}}\nbeast: {{}}\n')
    return path


@pytest.mark.parametrize(
    ('command', 'words'),
    [
        ('pretrain {config}', '/nowhere does not exist'),
        ('pretrain {config} --overrides beast.trainin=1', "did you mean 'training'"),
        ('pretrain {config} --overrides beast.training.epochs=0', 'beast.training.epochs must be'),
        ('embed {config}.ckpt nowhere.mp4', 'nowhere.mp4 does not exist'),
        ('embed pca {config} --stride 0', '--stride must be at least 1'),
        ('encode {config} --features nowhere --spikes nowhere', 'no features at .*/nowhere'),
        ('encode {config} --overrides beast.encodin=1', "did you mean 'encoding'"),
        ('segment train {config}', '/nowhere does not exist'),
        ('segment predict {config} --model_dir nowhere', 'no folder .*/nowhere'),
        ('motion_bbox {config}', '/nowhere does not exist'),
        ('compare a=nowhere,b --labels nowhere.csv', '/nowhere is no trained pose model'),
    ],
)
def test_a_mistake_is_refused_before_slow_imports(
    command: str,
    words: str,
    config: Path,
) -> None:
    result = subprocess.run(
        [sys.executable, '-c', PROGRAM, *command.format(config=config).split()],
        cwd=config.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert re.search(words, result.stderr)
    imported = set(result.stdout.splitlines()[-1].split())
    assert 'omegaconf' in imported
    assert not imported & SLOW


@pytest.mark.parametrize(
    ('command', 'given', 'policy'),
    [
        ('pretrain {config}', None, 'PASSIVE'),
        ('embed {config}.ckpt nowhere.mp4', None, 'PASSIVE'),
        # the user's choice stays, and the host's own commands are not ours to set
        ('pretrain {config}', 'ACTIVE', 'ACTIVE'),
        ('predict nowhere nowhere', None, 'None'),
    ],
)
def test_threads_wait_asleep_in_our_commands(
    config: Path, monkeypatch: pytest.MonkeyPatch, command: str, given: str | None, policy: str
) -> None:
    monkeypatch.delenv('OMP_WAIT_POLICY', raising=False)
    if given:
        monkeypatch.setenv('OMP_WAIT_POLICY', given)
    program = PROGRAM.replace('*sys.modules', "__import__('os').environ.get('OMP_WAIT_POLICY')")
    run = subprocess.run(
        [sys.executable, '-c', program, *command.format(config=config).split()],
        capture_output=True,
        text=True,
        cwd=config.parent,
    )
    assert run.stdout.splitlines()[-1] == policy
