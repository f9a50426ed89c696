"""Every mutant of `integration_tests/quality` still fits the line that it breaks."""

from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize('mutant', MUTANTS, ids=lambda mutant: f'{mutant.file}: {mutant.original}')
def test_a_mutants_line_and_tests_exist(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding='utf-8')
    assert text.count(mutant.original) == 1, 'bring mutants.py up to date'
    assert mutant.broken != mutant.original
    for path in mutant.tests:
        assert (ROOT / path).exists()
