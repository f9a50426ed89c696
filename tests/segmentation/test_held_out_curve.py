"""The part of the training frames that decides how long to train."""

from dataclasses import replace

import numpy as np
import pytest

import beast_lp.segmentation.held_out_curve as under_test
from beast_lp.config.segmentation import HeadConfig
from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.held_out_curve import (
    SHARE,
    curve_point,
    hold_out_part,
    share_of_floor,
)
from beast_lp.segmentation.labelling import INDEPENDENT
from beast_lp.segmentation.model import build_segmenter
from beast_lp.segmentation.streams import Streams
from beast_lp.segmentation.training_data import TrainingData


def _data(videos: int, frames: int, classes: int = 3) -> TrainingData:
    rng = np.random.default_rng(0)
    targets = [np.repeat(rng.integers(0, classes, frames // 10), 10) for _ in range(videos)]
    train = [np.ones(frames, dtype=bool) for _ in range(videos)]
    train[0][:200] = False
    return TrainingData([Streams((np.zeros((frames, 1)),))] * videos, targets, train)


@pytest.mark.parametrize('videos', [2, 6])
def test_no_frame_is_both_learned_and_held_out(videos: int) -> None:
    data = _data(videos, 3000)
    parts = hold_out_part(data, 3)
    assert parts is not None
    learned, curve = parts
    assert learned.counts(3).all() and curve.counts(3).all()
    for number in range(videos):
        seen, held = learned.train[number], curve.train[number]
        assert not (seen & held).any()
        assert not ((seen | held) & ~data.train[number]).any()
        # of many videos whole ones, else blocks with a gap of 15 frames on either side
        if videos == 6:
            assert not (seen.any() and held.any())
        else:
            apart = np.abs(np.flatnonzero(seen)[:, None] - np.flatnonzero(held)).min()
            assert apart == 16


def test_a_class_of_one_bout_leaves_no_curve() -> None:
    data = _data(1, 3000, classes=2)
    assert hold_out_part(data, 2) is not None
    data.target[0][700:710] = 2
    assert hold_out_part(data, 3) is None
    data.target[0][:] = UNSCORED
    assert hold_out_part(data, 2) is None


def test_logistic_regression_takes_part_where_it_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _data(1, 3000)
    rng, target = np.random.default_rng(1), data.target[0]
    shown = rng.normal(size=(3000, 3)) + 3 * np.eye(3)[target]
    model = build_segmenter([(3,)], 3, HeadConfig(hidden_size=8, blocks=1, lags=1), seed=0)
    parts = hold_out_part(replace(data, features=[Streams((shown,))]), 3)
    assert parts is not None
    # the untrained network knows nothing
    assert share_of_floor(model, *parts, 3) == SHARE
    # one that is always right has no need of it
    monkeypatch.setattr(under_test, 'predict', lambda *_: np.eye(3)[target][None])
    assert share_of_floor(model, *parts, 3) == 0.0


def test_each_behaviour_is_shown_and_absent_on_both_sides() -> None:
    data = _data(2, 3000, classes=4)
    several = replace(data, labelling=INDEPENDENT)
    parts = hold_out_part(several, 2)
    assert parts is not None
    for part in parts:
        codes = part.codes()
        for number in (0, 1):
            assert {*(codes >> number & 1)} == {0, 1}
    # a behaviour that is never absent leaves no curve
    always = replace(several, target=[target | 1 for target in data.target])
    assert hold_out_part(always, 2) is None


def test_the_curve_of_behaviours_at_once_is_theirs_on_average(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = replace(_data(1, 600, classes=4), labelling=INDEPENDENT)
    shares = np.random.default_rng(0).random((600, 2)) * 0.98 + 0.01
    monkeypatch.setattr(under_test, 'predict', lambda models, features, mask: shares[None])
    model = build_segmenter([(1,)], 2, HeadConfig(hidden_size=2, blocks=1, lags=1), 0, INDEPENDENT)
    target, mask = data.target[0], data.train[0]
    losses, scores = [], []
    for number in (0, 1):
        shown, chance = (target >> number & 1)[mask], shares[mask, number]
        losses += [-np.log(chance[shown == 1]).mean(), -np.log(1 - chance[shown == 0]).mean()]
        right = int((shown & (chance > 0.5)).sum())
        scores.append(2 * right / int(shown.sum() + (chance > 0.5).sum()))
    found = curve_point(model, data)
    assert found['held_out_loss'] == pytest.approx(np.mean(losses))
    assert found['held_out_f1'] == pytest.approx(np.mean(scores))
