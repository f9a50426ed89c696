"""Other versions of the host, where they are asked for.

`BEAST_LP_HOSTS="2.3.0 2.4.2" pytest -s integration_tests/test_hosts.py` installs each, without its
dependencies, into a folder that takes precedence over the installed host, so this needs the
package index.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# what depends on the host's names, and models built and called with it
TESTS = ('test_contract.py', 'test_patches.py', 'test_backbone.py', 'test_softargmax.py')

VERSIONS = os.environ.get('BEAST_LP_HOSTS', '').split()


@pytest.mark.skipif(not VERSIONS, reason='BEAST_LP_HOSTS names no versions of the host')
@pytest.mark.parametrize('version', VERSIONS)
def test_another_version_of_the_host(version: str, tmp_path: Path) -> None:
    host = tmp_path / 'host'
    subprocess.run(
        [
            sys.executable,
            '-m',
            'pip',
            '--disable-pip-version-check',
            'install',
            '--quiet',
            '--no-deps',
            '--target',
            host,
            f'lightning-pose=={version}',
        ],
        check=True,
    )
    result = subprocess.run(
        [
            sys.executable,
            '-m',
            'pytest',
            '-q',
            '-p',
            'no:cacheprovider',
            *(str(Path('tests', 'host', name)) for name in TESTS),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(host), str(ROOT)])},
    )
    assert result.returncode == 0, result.stdout[-6000:]
    print(f'lightning-pose {version}: {result.stdout.strip().splitlines()[-1]}')
