"""The package works where fork, SIGUSR1, /dev/shm and POSIX locks are missing."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / 'integration_tests' / 'quality' / 'without_posix.py'
# locks and files, windows built in several processes, and whole runs that are stopped and resumed;
# the script takes any others
TESTS = (
    'tests/runs',
    'tests/video/test_workers.py',
    'tests/video/test_window_build.py',
    'tests/pretraining/test_callbacks.py',
)


def test_everything_is_imported_and_tests_pass_without_posix() -> None:
    result = subprocess.run(
        [sys.executable, SCRIPT, '-q', '-p', 'no:cacheprovider', *TESTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-2000:]
    assert re.search(r'imported \d{3} modules', result.stdout)
    assert re.search(r'\d{2,} passed', result.stdout)
