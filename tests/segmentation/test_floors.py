"""Floors: what they are fitted to, and what they may look at."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from beast_lp.errors import BeastError
from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.floors import (
    COMMONEST,
    LOGISTIC,
    Floor,
    averaged,
    fit_floor,
    mean_floor,
)
from beast_lp.segmentation.labelling import INDEPENDENT
from beast_lp.segmentation.streams import Streams
from beast_lp.segmentation.training_data import TrainingData


def _data(classes: int, shape: tuple[int, ...] = (4,)) -> TrainingData:
    rng = np.random.default_rng(0)
    target = np.repeat(rng.integers(0, classes, 60), 10)
    target[:classes] = range(classes)
    features = rng.normal(size=(600, *shape))
    features[..., 1] += target.reshape(-1, *[1] * (len(shape) - 1))
    features[..., 0] *= 10
    target[::7] = UNSCORED
    train = np.ones(600, dtype=bool)
    train[200:300] = False
    return TrainingData([Streams((features.astype(np.float16),))], [target], [train])


@pytest.mark.parametrize('classes', [2, 3])
def test_logistic_regression_is_scikit_learns_on_a_window_of_seven_frames(classes: int) -> None:
    data = _data(classes)
    floor = fit_floor(data, classes)
    values = data.features[0].arrays[0].astype(np.float64)
    train, target = data.train[0], data.target[0]
    values -= values[train].mean(axis=0)
    # rotated by the components, which a ridge penalty does not notice, and on one scale
    values /= np.sqrt(np.linalg.eigvalsh(np.cov(values[train].T)).max())
    rows, parts = [], ((0, 200), (200, 300), (300, 600))
    for start, stop in parts:
        places = np.clip(np.arange(start, stop)[:, None] + np.arange(-3, 4), start, stop - 1)
        rows.append(values[places].reshape(stop - start, -1))
    windows = np.concatenate(rows)
    chosen = train & (target != UNSCORED)
    theirs = LogisticRegression(C=0.1, class_weight='balanced', max_iter=1000)
    theirs.fit(windows[chosen], target[chosen])
    expected = theirs.predict_proba(windows[200:300])
    found = floor.predict(data.features[0], ~train)[LOGISTIC]
    assert np.isnan(found[train]).all()
    np.testing.assert_allclose(found[~train], expected, atol=5e-3)


def test_the_commonest_class_is_that_of_the_scored_training_frames() -> None:
    data = _data(3)
    target = data.target[0]
    target[data.train[0] & (target == 1)] = UNSCORED
    target[:40] = 2
    target[40] = 1
    floor = fit_floor(data, 3)
    counts = np.bincount(target[data.train[0] & (target != UNSCORED)], minlength=3)
    found = floor.predict(data.features[0], np.ones(600, bool))[COMMONEST]
    np.testing.assert_allclose(found, np.tile(counts / counts.sum(), (600, 1)))


def test_tokens_are_read_with_their_places() -> None:
    """A pattern that moves from token to token leaves their mean as it is."""
    rng = np.random.default_rng(1)
    target = np.repeat(rng.integers(0, 2, 60), 10)
    features = rng.normal(0, 0.1, (600, 2, 3))
    features[np.arange(600), target] += 1
    data = TrainingData([Streams((features,))], [target], [np.arange(600) < 400])
    guess = (
        fit_floor(data, 2).predict(data.features[0], np.ones(600, bool))[LOGISTIC].argmax(axis=1)
    )
    assert (guess[400:] == target[400:]).mean() > 0.95


def test_streams_side_by_side_are_seen_as_each_alone_is() -> None:
    """Neither unit nor number of values of a stream hides the other."""
    rng = np.random.default_rng(2)
    data = _data(3, (2, 4))
    tokens, target = data.features[0].arrays[0], data.target[0]
    points = rng.normal(400, 100, (600, 3))
    points[:, 2] += 150 * (target == 2)
    visible = np.ones(600, dtype=bool)
    both = fit_floor(replace(data, features=[Streams((tokens, points))]), 3)
    alone = [fit_floor(replace(data, features=[Streams((own,))]), 3) for own in (tokens, points)]
    np.testing.assert_allclose(both.mean, np.concatenate([floor.mean for floor in alone]))
    assert not both.basis[:8, -3:].any() and not both.basis[8:, :8].any()
    for part, floor in ((both.basis[:8, :8], alone[0]), (both.basis[8:, -3:], alone[1])):
        np.testing.assert_allclose(part, floor.basis, rtol=1e-4, atol=1e-6)
    found = both.predict(Streams((tokens, points)), visible)[LOGISTIC]
    scored = ~data.train[0] & (target != UNSCORED)

    def right(probabilities: np.ndarray) -> float:
        return float((probabilities.argmax(axis=1) == target)[scored].mean())

    singly = [
        right(floor.predict(Streams((own,)), visible)[LOGISTIC])
        for floor, own in zip(alone, (tokens, points), strict=True)
    ]
    assert right(found) > max(singly) + 0.03
    # in another unit
    metres = Streams((tokens, points / 1000))
    again = fit_floor(replace(data, features=[metres]), 3).predict(metres, visible)[LOGISTIC]
    np.testing.assert_allclose(again, found, atol=2e-3)


def test_a_floor_can_be_read_back(tmp_path: Path) -> None:
    data = _data(3, (2, 4))
    floor = fit_floor(data, 3)
    floor.save(tmp_path / 'floor.safetensors')
    visible = np.ones(600, dtype=bool)
    first = floor.predict(data.features[0], visible)
    read = Floor.load(tmp_path / 'floor.safetensors', 8, 3)
    again = read.predict(data.features[0], visible)
    for name, values in first.items():
        np.testing.assert_allclose(again[name], values)
    for values, classes in ((4, 3), (8, 2)):
        with pytest.raises(BeastError, match='does not hold the floor of this run'):
            Floor.load(tmp_path / 'floor.safetensors', values, classes)
    mean = mean_floor([first, {name: 0 * values for name, values in first.items()}])
    np.testing.assert_allclose(mean[LOGISTIC], first[LOGISTIC] / 2)
    assert mean_floor([]) == {}


def test_two_models_that_exclude_each_other_leave_numbers() -> None:
    sure = np.eye(2, dtype=np.float32)[[0, 1]][None]
    found = averaged(sure, np.array([[0.0, 1.0], [0.0, 1.0]]), 0.5)
    np.testing.assert_allclose(found[0], [[0.5, 0.5], [0, 1]], atol=1e-9)
    np.testing.assert_allclose(averaged(sure, np.array([[0.5, 0.5]] * 2), 0.0), sure, atol=1e-9)
    assert np.isnan(averaged(np.full((1, 1, 2), np.nan), np.full((1, 2), np.nan), 0.5)).all()


def test_each_behaviour_has_a_floor_of_its_own() -> None:
    data = _data(3)
    (target,), (train,) = data.target, data.train
    # a set of two behaviours from each class number, so that they overlap
    sets = np.where(target == UNSCORED, UNSCORED, np.array([0, 3, 2])[target])
    floor = fit_floor(replace(data, target=[sets], labelling=INDEPENDENT), 2)
    found = floor.predict(data.features[0], np.ones(600, bool))
    scored = train & (target != UNSCORED)
    for number in (0, 1):
        shown = np.where(target == UNSCORED, UNSCORED, (sets >> number) & 1)
        alone = fit_floor(replace(data, target=[shown]), 2)
        expected = alone.predict(data.features[0], np.ones(600, bool))
        for name in (COMMONEST, LOGISTIC):
            np.testing.assert_allclose(found[name][:, number], expected[name][:, 1], atol=1e-6)
        assert found[COMMONEST][0, number] == pytest.approx(shown[scored].mean())


def test_behaviours_at_once_are_averaged_by_themselves(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    own, other = rng.random((2, 5, 2))
    found = averaged(own, other, 0.35, INDEPENDENT)
    for number in (0, 1):
        one, two = (np.stack([1 - x[:, number], x[:, number]], axis=1) for x in (own, other))
        np.testing.assert_allclose(found[:, number], averaged(one, two, 0.35)[:, 1])
    assert np.isnan(
        averaged(np.full((1, 2), np.nan), np.full((1, 2), np.nan), 0.5, INDEPENDENT)
    ).all()
