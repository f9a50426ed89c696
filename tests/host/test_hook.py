"""Activation: at the start of an interpreter, late, and not at all."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
SITE = sysconfig.get_paths()['purelib']


def _run(code: str, *options: str, **env: str) -> str:
    result = subprocess.run(
        [sys.executable, *options, '-c', code],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_every_interpreter_is_ready_without_an_import() -> None:
    code = 'from lightning_pose.cli.commands import COMMANDS as c; print("pretrain" in c)'
    assert _run(code) == 'True'
    assert _run(code, BEAST_LP_DISABLE='1') == 'False'


def test_starting_an_interpreter_imports_next_to_nothing() -> None:
    # empty: where coverage is measured, it would start here too
    names = set(_run('import sys; print(*sys.modules)', COVERAGE_PROCESS_CONFIG='').split())
    assert {n for n in names if n.startswith('beast_lp')} == {
        'beast_lp',
        'beast_lp.host',
        'beast_lp.host.hook',
        'beast_lp.host.start',
    }
    # what a bare interpreter has too, but for what other packages' .pth files bring
    bare = set(_run('import sys; print(*sys.modules)', '-S').split()) | {'site', 'sitecustomize'}
    added = {n.partition('.')[0] for n in names - bare}
    assert not added & {'typing', 'torch', 'lightning', 'numpy', 'logging', 'importlib.metadata'}


def test_import_after_the_host_does_the_same() -> None:
    code = (
        f'import sys; sys.path += [{SITE!r}, {str(ROOT)!r}]\n'
        'from lightning_pose.cli.commands import COMMANDS\n'
        'import lightning_pose.models.base as base\n'
        'from lightning_pose.models.backbones import BACKBONE_STRIDES\n'
        'before = base.build_backbone\n'
        'assert "pretrain" not in COMMANDS\n'
        'import beast_lp\n'
        'print("pretrain" in COMMANDS, BACKBONE_STRIDES["beast"], base.build_backbone is before)'
    )
    assert _run(code, '-S') == 'True 16 False'


def test_installing_twice_changes_nothing() -> None:
    code = (
        'import beast_lp, sys; from beast_lp.host import hook; hook.install(); hook.install()\n'
        'print(sum(type(f).__name__ == "_HostFinder" for f in sys.meta_path))'
    )
    assert _run(code) == '1'


def test_python_m_beast_lp_is_litpose() -> None:
    result = subprocess.run(
        [sys.executable, '-m', 'beast_lp', '--help'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'pretrain' in result.stdout
    assert 'beast_demo' in result.stdout


def test_a_directory_that_is_gone_is_no_obstacle(tmp_path: Path) -> None:
    gone = tmp_path / 'gone'
    gone.mkdir()
    code = f'cd "{gone}" && rmdir "{gone}" && "{sys.executable}" -c "print(1)"'
    result = subprocess.run(['sh', '-c', code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == '1'
    assert 'Error' not in result.stderr
