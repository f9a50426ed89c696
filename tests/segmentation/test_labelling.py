"""Labellings: codes, questions and bouts, against slow loops over frames and behaviours."""

import numpy as np
import pytest
import torch

from beast_lp.config import parse_config
from beast_lp.errors import BeastError
from beast_lp.segmentation.bouts import Bout
from beast_lp.segmentation.labelling import (
    ABSENT,
    EXCLUSIVE,
    INDEPENDENT,
    UNSCORED,
    Labelling,
    labelling_of,
)

BOTH = pytest.mark.parametrize('labelling', [EXCLUSIVE, INDEPENDENT], ids=lambda one: one.name)
CLASSES = 5


def _codes(labelling: Labelling, frames: int = 60) -> np.ndarray:
    rng = np.random.default_rng(0)
    codes = rng.integers(2**CLASSES if labelling.allows_several else CLASSES, size=frames // 3)
    codes = np.repeat(codes, 3)
    codes[::7] = UNSCORED
    return codes


def _shows(labelling: Labelling, code: int, number: int) -> bool:
    if code == UNSCORED:
        return False
    return bool(code & 2**number) if labelling.allows_several else code == number


@BOTH
def test_codes_flags_and_answers_say_the_same(labelling: Labelling) -> None:
    codes = _codes(labelling)
    flags, answers = labelling.flags(codes, CLASSES), labelling.answers(codes, CLASSES)
    questions = labelling.questions(CLASSES)
    assert [n for numbers in questions for n in numbers if n != ABSENT] == list(range(CLASSES))
    for frame, code in enumerate(codes.tolist()):
        for numbers, own in zip(questions, answers, strict=True):
            if code == UNSCORED:
                assert own[frame] == UNSCORED
                continue
            shown = [n for n in numbers if n != ABSENT and _shows(labelling, code, n)]
            assert [numbers[own[frame]]] == (shown or [ABSENT])
        for number in range(CLASSES):
            assert flags[frame, number] == _shows(labelling, code, number)
    scored = codes != UNSCORED
    np.testing.assert_array_equal(labelling.from_flags(flags)[scored], codes[scored])
    np.testing.assert_array_equal(labelling.codes([own[scored] for own in answers]), codes[scored])


@BOTH
def test_bouts_are_those_of_each_behaviour(labelling: Labelling) -> None:
    codes = _codes(labelling)
    codes = codes[codes != UNSCORED]
    expected = []
    for number in range(CLASSES):
        start = None
        for frame in range(len(codes) + 1):
            shown = frame < len(codes) and _shows(labelling, int(codes[frame]), number)
            if shown and start is None:
                start = frame
            if not shown and start is not None:
                expected.append(Bout(number, start, frame))
                start = None
    found = labelling.bouts(codes, CLASSES)
    assert sorted(found, key=lambda bout: (bout.label, bout.start)) == expected
    assert [bout.start for bout in found] == sorted(bout.start for bout in found)


def test_probabilities_are_a_softmax_or_sigmoids() -> None:
    logits = torch.randn(4, 7, CLASSES, generator=torch.Generator().manual_seed(0))
    logits[2, 3] = torch.nan
    found = EXCLUSIVE.probabilities(logits)
    np.testing.assert_allclose(found, logits.softmax(-1).numpy(), rtol=1e-6)
    found = INDEPENDENT.probabilities(logits)
    np.testing.assert_allclose(found, logits.sigmoid().numpy(), rtol=1e-5)
    assert np.isnan(found[2, 3]).all() and np.isnan(found).sum() == CLASSES
    parts = INDEPENDENT.split(found)
    assert len(parts) == CLASSES and parts[0].shape == (4, 7, 2)
    np.testing.assert_allclose(parts[1].sum(-1)[0], 1, rtol=1e-6)
    np.testing.assert_array_equal(INDEPENDENT.join(parts), found)


def test_more_behaviours_than_a_code_holds_get_a_sentence() -> None:
    flags = np.ones((1, 62), dtype=bool)
    assert INDEPENDENT.flags(INDEPENDENT.from_flags(flags), 62).all()
    with pytest.raises(BeastError, match='63 behaviours, and .*multi_label=true takes 62'):
        INDEPENDENT.from_flags(np.ones((1, 63), dtype=bool))


def test_the_setting_chooses_the_labelling() -> None:
    chosen = [
        labelling_of(parse_config({'segmentation': {'multi_label': value}}).segmentation)
        for value in (False, True)
    ]
    assert chosen == [EXCLUSIVE, INDEPENDENT]
    assert labelling_of(parse_config({}).segmentation) is EXCLUSIVE
