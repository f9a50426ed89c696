"""What an installation brings, and what it leaves alone."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the checkout, without a network."""
    out = tmp_path_factory.mktemp('dist')
    subprocess.run(
        [sys.executable, '-m', 'hatchling', 'build', '-t', 'wheel', '-d', out],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = out.glob('*.whl')
    return path


def _build(kind: str, source: Path, out: Path) -> Path:
    """Build a wheel or an sdist from a source tree, without a network."""
    subprocess.run(
        [sys.executable, '-m', 'hatchling', 'build', '-t', kind, '-d', out],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (path,) = out.iterdir()
    return path


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(_build('sdist', ROOT, tmp_path / 'sdist')) as archive:
        archive.extractall(tmp_path / 'source', filter='data')
    (source,) = (tmp_path / 'source').iterdir()
    # what a reader of the source expects
    for name in ('README.md', 'LICENSE', 'CHANGELOG.md', 'configs/beast.yaml', 'pyproject.toml'):
        assert (source / name).is_file(), name
    again = _build('wheel', source, tmp_path / 'wheel')
    contents = []
    for path in (wheel, again):
        with zipfile.ZipFile(path) as archive:
            contents.append({item.filename: item.CRC for item in archive.infolist()})
    assert contents[0] == contents[1]


def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, which has its requirements from this one."""
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', tmp_path / 'lab'], check=True)
    python = tmp_path / 'lab' / 'bin' / 'python'
    (site,) = (tmp_path / 'lab' / 'lib').glob('python*/site-packages')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--python', python, '-q']
    subprocess.run([*pip, 'install', '--no-index', '--no-deps', wheel], check=True)
    # last on the path, and none of its .pth files, so that the wheel's own hook is what runs
    (site / 'requirements.pth').write_text(f'{Path(pytest.__file__).parents[1]}\n')
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    result = subprocess.run(
        [python, '-m', 'beast_lp', '--help'],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'beast-lp: pretrain a backbone' in result.stdout
    code = (
        'import sys; '
        'from beast_lp.config import parse_config; from beast_lp.reports.page import _template; '
        'from beast_lp.host.arguments import GUIDES; parse_config({}); _template(); '
        'assert list(GUIDES.glob("*.md")); print(GUIDES)'
    )
    result = subprocess.run(
        [python, '-c', code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == str(site / 'beast_lp' / 'guides')


def test_the_wheel_activates_itself_and_can_be_removed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read('beast_lp.pth') == b'import beast_lp\n'
        assert archive.read('beast_lp.start') == b'beast_lp.host.hook:install\n'
        (record,) = (name for name in archive.namelist() if name.endswith('RECORD'))
        recorded = archive.read(record).decode()
    # the installer removes what is recorded, the hook included
    assert 'beast_lp.pth,' in recorded
    assert 'beast_lp.start,' in recorded
    top = {name.split('/')[0] for name in recorded.split() if '/' in name}
    assert {name for name in top if not name.endswith('.dist-info')} == {'beast_lp'}


def test_uninstalling_leaves_nothing(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', tmp_path / 'lab'], check=True)
    python = tmp_path / 'lab' / 'bin' / 'python'
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--python', python, '-q']
    (site,) = (tmp_path / 'lab' / 'lib').glob('python*/site-packages')
    before = set(site.rglob('*'))
    subprocess.run([*pip, 'install', '--no-index', '--no-deps', '--no-compile', wheel], check=True)
    code = 'import sys; print("beast_lp.host.hook" in sys.modules)'
    for expected in ('True', 'False'):
        env = {**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'}
        result = subprocess.run(
            [python, '-c', code],
            capture_output=True,
            text=True,
            check=True,
            env=env,
        )
        assert (result.stdout.strip(), result.stderr) == (expected, '')
        subprocess.run([*pip, 'uninstall', '-y', 'beast-lp'], check=True)
    assert set(site.rglob('*')) == before


def test_installing_beside_the_host_changes_none_of_its_packages(
    wheel: Path,
    tmp_path: Path,
) -> None:
    """Pip's own plan, in an environment with the host and a stand-in for the DALI it wants."""
    stand_in = tmp_path / 'nvidia_dali_cuda110-1.52.0.dist-info'
    stand_in.mkdir()
    (stand_in / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: nvidia-dali-cuda110\nVersion: 1.52.0\n'
    )
    (stand_in / 'RECORD').write_text('')
    (stand_in / 'INSTALLER').write_text('pip\n')
    # the machine's own pip settings (constraints, folders of wheels) are no part of a lab's plan
    env = {name: value for name, value in os.environ.items() if not name.startswith('PIP_')}
    env |= {'PYTHONPATH': str(tmp_path), 'PIP_CONFIG_FILE': os.devnull}
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check']
    listed = subprocess.run(
        [*pip, 'list', '--format', 'freeze'], env=env, capture_output=True, text=True, check=True
    ).stdout
    assert 'nvidia-dali-cuda110==1.52.0' in listed
    assert 'lightning-pose==' in listed
    # without an index nothing could be fetched, so all that it needs is there already
    report = subprocess.run(
        [*pip, 'install', '--dry-run', '--quiet', '--no-index', '--report', '-', wheel],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    planned = [item['metadata']['name'] for item in json.loads(report.stdout)['install']]
    assert set(planned) <= {'beast-lp'}
