"""The tables of an evaluation."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.evaluate import below_floor, evaluate, held_out_parts
from beast_lp.segmentation.floors import LOGISTIC
from beast_lp.segmentation.labelling import INDEPENDENT


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
    models = [rows.loc[f'model {number}', 'macro_f1'] for number in range(3)]
    assert rows.loc['mean of models', 'macro_f1'] == pytest.approx(np.mean(models))
    assert rows.loc['SD of models', 'macro_f1'] == pytest.approx(np.std(models, ddof=1))
    assert scores.confusion.to_numpy().sum() == 130
    np.testing.assert_allclose(scores.confusion_normalised.sum(axis=1), 1)
    assert set(scores.tables()) == {
        'scores',
        'videos',
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


def test_every_video_has_a_row_with_its_floors() -> None:
    names, target = ('rest', 'walk', 'groom'), np.repeat([0, 1, 2, 1], 25)
    parts, guesses = [], {}
    for seed, video in enumerate('ab'):
        members = np.stack([_probabilities(target, seed), _probabilities(target, seed + 9)])
        guesses[video] = _probabilities(target, seed + 20)
        floors = {LOGISTIC: guesses[video]}
        parts += held_out_parts(video, np.ones(100, dtype=bool), target, members, floors)
    scores = evaluate(parts, names, DecodingConfig())
    assert scores.summary['model'].tolist() == [
        LOGISTIC,
        'model 0',
        'model 1',
        'mean of models',
        'SD of models',
        'ensemble',
    ]
    rows = scores.videos.set_index('video')
    assert rows.index.tolist() == ['a', 'b']
    for video, values in guesses.items():
        expected = f1_score(target, values.argmax(axis=1), average='macro')
        assert rows.loc[video, LOGISTIC] == pytest.approx(expected)
    both = np.concatenate([guesses[video].argmax(axis=1) for video in 'ab'])
    expected = f1_score(np.tile(target, 2), both, average='macro')
    assert scores.summary['macro_f1'].iloc[0] == pytest.approx(expected)


def test_a_floor_above_the_models_is_said() -> None:
    target = np.repeat([0, 1, 2, 1], 25)
    sure, members = np.eye(3)[target], _probabilities(target, 3)[None]
    for floor, said in ((sure, True), (np.tile([0.2, 0.6, 0.2], (100, 1)), False)):
        parts = held_out_parts('a', np.ones(100, bool), target, members, {LOGISTIC: floor})
        summary = evaluate(parts, ('rest', 'walk', 'groom'), DecodingConfig()).summary
        assert ('logistic regression on the same frames 1.000' in below_floor(summary)) is said


def test_behaviours_at_once_are_scored_one_by_one() -> None:
    rng = np.random.default_rng(0)
    shown = np.repeat(rng.random((40, 2)) > 0.5, 5, axis=0)
    codes = np.where(np.arange(200) % 50 < 5, UNSCORED, INDEPENDENT.from_flags(shown))
    shares = np.clip(shown * 0.4 + 0.3 + rng.normal(0, 0.3, (2, 200, 2)), 0.01, 0.99)
    everything = np.ones(200, dtype=bool)
    for decoding in (DecodingConfig(), DecodingConfig('viterbi', min_bout_frames=3)):
        parts = held_out_parts('a', everything, codes, shares)
        found = evaluate(parts, ('walk', 'groom'), decoding, INDEPENDENT)
        rows = []
        for number in (0, 1):
            target = np.where(codes == UNSCORED, UNSCORED, shown[:, number])
            pairs = np.stack([1 - shares[..., number], shares[..., number]], axis=-1)
            alone = evaluate(
                held_out_parts('a', everything, target, pairs), ('background', 'walk'), decoding
            )
            rows.append(alone.summary)
            own, expected = found.classes.iloc[number], alone.classes.iloc[1]
            np.testing.assert_array_equal(own[1:].astype(float), expected[1:].astype(float))
            counts = alone.confusion.to_numpy()
            hits = [counts[1, 1], counts[0, 1], counts[1, 0], counts[0, 0]]
            assert found.hits.iloc[number, 1:].tolist() == hits
        # the deviation of a mean is not the mean of deviations
        counted = found.summary['model'] != 'SD of models'
        for name in ('macro_f1', 'bout_f1'):
            mean = (rows[0][name] + rows[1][name]) / 2
            np.testing.assert_allclose(found.summary.loc[counted, name], mean[counted])
        right = (INDEPENDENT.flags(decode(shares[0], decoding, INDEPENDENT), 2) == shown).all(
            axis=1
        )
        wanted = right[codes != UNSCORED].mean()
        assert found.summary.loc[0, 'accuracy'] == pytest.approx(wanted)
        assert {'hits', 'confusion'} <= set(found.tables())
