"""Break key lines one at a time; for each of them, some test must fail.

    python integration_tests/quality/mutation.py [WORDS OF A FILE OR LINE ...]

Works on a copy of the package and its tests. The libraries are imported once; each mutant and its
tests run in a fork of that process. Exits with 1 if a mutant survives, if a line to break is no
longer there, or if the tests fail on the package as it is.
"""

import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
LIBRARIES = (
    'av',
    'hypothesis',
    'jaxtyping',
    'lightly.loss',
    'lightning.pytorch',
    'omegaconf',
    'pandas',
    'scipy.stats',
    'sklearn.cluster',
    'sklearn.metrics',
    'torch',
    'transformers',
)
# a mutant that is still running is in an endless loop, which is noticed too
LIMIT_S = 300


def copy_package(directory: Path) -> None:
    """Copy what the tests need; without bytecode, which may be older than a mutant of a second."""
    for name in ('beast_lp', 'tests'):
        shutil.copytree(
            ROOT / name, directory / name, ignore=shutil.ignore_patterns('__pycache__')
        )
    shutil.copy(ROOT / 'pyproject.toml', directory)


def run_tests(directory: Path, tests: Sequence[str]) -> int:
    """Run tests of a copy in a fork of this process; return pytest's exit code."""
    child = os.fork()
    if child == 0:
        signal.alarm(LIMIT_S)
        os.chdir(directory)
        silent = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(silent, stream)
        # the package of this environment is imported when Python starts
        for name in [name for name in sys.modules if name.partition('.')[0] == 'beast_lp']:
            del sys.modules[name]
        sys.path.insert(0, str(directory))
        sys.dont_write_bytecode = True
        code = 3
        try:
            code = int(pytest.main(['-x', '-q', '-p', 'no:cacheprovider', *tests]))
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    # ended by the alarm: as good as a failed test
    return 1 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


def verdict(directory: Path, mutant: Mutant) -> str:
    """Apply a mutant to a copy, run its tests, and take it back.

    Returns:
        `killed`, `SURVIVED`, or what is wrong with the mutant itself.
    """
    path = directory / mutant.file
    text = path.read_text(encoding='utf-8')
    found = text.count(mutant.original)
    if found != 1:
        return f'ERROR: occurs {found} times, expected 1; bring mutants.py up to date'
    path.write_text(text.replace(mutant.original, mutant.broken), encoding='utf-8')
    try:
        code = run_tests(directory, mutant.tests)
    finally:
        path.write_text(text, encoding='utf-8')
    known = {0: 'SURVIVED', 1: 'killed'}
    return known.get(code, f'ERROR: the tests did not run (pytest said {code})')


def main() -> None:
    """Check the tests on the whole package, then every mutant."""
    parser = argparse.ArgumentParser(description='Break key lines; some test must fail.')
    parser.add_argument('words', nargs='*', help='only mutants whose file or line has one of them')
    words = parser.parse_args().words
    chosen = [
        mutant
        for mutant in MUTANTS
        if not words or any(word in mutant.file + mutant.original for word in words)
    ]
    for name in LIBRARIES:
        importlib.import_module(name)
    alive = 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        copy_package(directory)
        whole = sorted({test for mutant in chosen for test in mutant.tests})
        code = run_tests(directory, whole)
        if code != 0:
            raise SystemExit(f'the tests fail without any mutant (pytest said {code}): {whole}')
        for number, mutant in enumerate(chosen, 1):
            result = verdict(directory, mutant)
            alive += result != 'killed'
            line = ' '.join(mutant.original.split())
            print(f'{number:3}/{len(chosen)} {result:9} {mutant.file}: {line}', flush=True)
    if alive or not chosen:
        raise SystemExit(f'{alive} of {len(chosen)} mutants were not killed')
    print(f'all {len(chosen)} mutants were killed')


if __name__ == '__main__':
    main()
