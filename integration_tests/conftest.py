"""Fixtures that drive the host's own program on real and synthetic projects."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from measures import DATA
from warm_litpose import PROGRAM, Litpose, WarmLitpose

from beast_lp.demo import TINY, write_project

# they run in the environment of the authors' package, which is not installed here
collect_ignore_glob = ['benchmarks/authors_*.py']


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the long tests back to the front where --random-order has shuffled the files."""
    items.sort(
        key=lambda item: (
            (0, str(item.path)) if item.path.is_relative_to(Path(__file__).parent) else (1, '')
        )
    )


@pytest.fixture(scope='session')
def litpose() -> Iterator[Litpose]:
    """Return a function that runs `litpose` as a person does, without a network."""
    offline = {**os.environ, 'HF_HUB_OFFLINE': '1'}
    warm = WarmLitpose(offline)

    def run(
        *arguments: object,
        fails: bool = False,
        cwd: Path | None = None,
        **env: str,
    ) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        if cwd is None and not env:
            result = warm(words)
        else:
            result = subprocess.run(
                [PROGRAM, *words],
                capture_output=True,
                text=True,
                cwd=cwd,
                check=False,
                env={**offline, **env},
            )
        output = result.stdout[-3000:] + result.stderr[-3000:]
        assert (result.returncode != 0) == fails, output
        if fails:
            assert 'Traceback' not in result.stderr, output
        return result

    yield run
    warm.close()


@pytest.fixture(scope='session')
def tiny_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the config of a synthetic project, in a path with a space and an umlaut."""
    return write_project(tmp_path_factory.mktemp('lab') / 'mein Käfig', TINY)


@pytest.fixture(scope='session')
def tiny_pretraining(
    litpose: Litpose,
    tiny_project: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Return the output directory of a real, tiny pretraining run on it."""
    out = tmp_path_factory.mktemp('pretraining') / 'out put'
    litpose('pretrain', tiny_project, '--output_dir', out)
    return out


@pytest.fixture
def real_data() -> Path:
    """Return the folder of real recordings, or skip."""
    if not DATA.is_dir():
        pytest.skip(f'no real recordings at {DATA}; set BEAST_LP_DATA to their folder')
    return DATA
