"""The tables of an evaluation."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.evaluate import evaluate, held_out_parts


def _probabilities(target: np.ndarray, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(len(target), 3)) + np.eye(3)[target]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_members_and_ensemble_are_scored_by_themselves() -> None:
    target = np.repeat([0, 1, 2, 1, 0, 2, 1, 0], 25)
    test = np.zeros(200, dtype=bool)
    test[20:80] = test[120:190] = True
    members = np.stack([_probabilities(target, seed) for seed in range(3)])
    parts = held_out_parts('a', test, target, members)
    assert [len(part.frame) for part in parts] == [60, 70]
    scores = evaluate(parts, ('rest', 'walk', 'groom'), DecodingConfig())
    rows = scores.summary.set_index('model')
    for name, values in (('model 1', members[1]), ('ensemble', members.mean(axis=0))):
        expected = f1_score(target[test], values[test].argmax(axis=1), average='macro')
        assert rows.loc[name, 'macro_f1'] == pytest.approx(expected)
    assert rows.loc['ensemble', 'macro_f1'] > rows.loc['model 0', 'macro_f1']
    assert scores.confusion.to_numpy().sum() == 130
    np.testing.assert_allclose(scores.confusion_normalised.sum(axis=1), 1)
    assert set(scores.tables()) == {
        'scores',
        'classes',
        'confusion',
        'confusion_normalised',
        'calibration',
    }


def test_background_counts_in_no_average() -> None:
    target = np.repeat([0, 1, 2, 0], 25)
    members = _probabilities(target, 0)[None]
    parts = held_out_parts('a', np.ones(100, dtype=bool), target, members)
    found = evaluate(parts, ('background', 'walk', 'groom'), DecodingConfig()).summary
    expected = f1_score(target, members[0].argmax(axis=1), labels=[1, 2], average='macro')
    assert found['macro_f1'].iloc[-1] == pytest.approx(expected)


def test_a_behaviour_that_was_not_scored_counts_in_no_average() -> None:
    target = np.repeat([0, 1, 0], 50)
    predicted = target.copy()
    predicted[70:72] = 2
    parts = held_out_parts('a', np.ones(150, dtype=bool), target, np.eye(3)[predicted][None])
    found = evaluate(parts, ('rest', 'walk', 'groom'), DecodingConfig()).summary.iloc[-1]
    assert found['macro_f1'] == pytest.approx((1 + 2 * 48 / 98) / 2)
    # the two frames part the bout of walking, one piece of which still finds it
    assert found['bout_f1'] == pytest.approx((1 + 2 / 3) / 2)


def test_smoothing_makes_fewer_switches() -> None:
    target = np.repeat([0, 1, 2, 1], 50)
    parts = held_out_parts('a', np.ones(200, dtype=bool), target, _probabilities(target, 1)[None])
    names = ('rest', 'walk', 'groom')
    plain, smooth = (
        evaluate(parts, names, DecodingConfig(method)).summary.iloc[-1]
        for method in ('none', 'viterbi')
    )
    assert smooth['predicted_switches'] < 0.5 * plain['predicted_switches']
    assert smooth['macro_f1'] > plain['macro_f1']


@pytest.mark.filterwarnings('error')
def test_held_out_frames_that_nobody_scored_have_no_score() -> None:
    rows = np.full((1, 20, 3), 1 / 3)
    parts = held_out_parts('a', np.ones(20, dtype=bool), np.full(20, UNSCORED), rows)
    scores = evaluate(parts, ('rest', 'walk', 'groom'), DecodingConfig())
    found = scores.summary.iloc[-1]
    names = ['macro_f1', 'accuracy', 'bout_f1', 'calibration_error']
    assert np.isnan(found[names].to_numpy(float)).all()
    assert float(found['frames']) == 0
    assert scores.confusion.to_numpy().sum() == 0
    assert scores.classes['f1'].isna().to_numpy().all()
    assert scores.calibration.empty
