"""Scores against loops that are too simple to be wrong."""

import numpy as np
import pytest

from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.metrics import (
    bout_scores,
    calibration,
    co_occurrence,
    confusion,
    expected_calibration_error,
    macro_f1,
    per_class,
    switches,
)

CLASSES = ('rest', 'walk', 'groom')


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return target with holes, labels and probabilities of 400 frames."""
    rng = np.random.default_rng(3)
    target = np.repeat(rng.integers(0, 3, 40), 10)
    target[50:83] = UNSCORED
    logits = rng.normal(size=(400, 3)) + 1.5 * np.eye(3)[np.maximum(target, 0)]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return target, probabilities.argmax(axis=1), probabilities


def test_frame_scores_are_those_of_a_loop(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    target, predicted, probabilities = drawn
    counts = np.zeros((3, 3), dtype=int)
    for scored, guess in zip(target, predicted, strict=True):
        if scored != UNSCORED:
            counts[scored, guess] += 1
    np.testing.assert_array_equal(confusion(target, predicted, 3), counts)
    table = per_class(target, predicted, probabilities, CLASSES)
    chosen = target != UNSCORED
    for number in range(3):
        row, right = table.loc[number], counts[number, number]
        scored, guessed = counts[number].sum(), counts[:, number].sum()
        assert (row['frames'], row['predicted']) == (scored, guessed)
        assert row['precision'] == pytest.approx(right / guessed)
        assert row['recall'] == pytest.approx(right / scored)
        assert row['f1'] == pytest.approx(2 * right / (scored + guessed))
        # mean, over the frames of the class, of the precision among frames as probable or more
        own, sure = target[chosen] == number, probabilities[chosen, number]
        assert row['average_precision'] == pytest.approx(
            np.mean([own[sure >= value].mean() for value in sure[own]])
        )
    without_rest = np.array([False, True, True])
    assert macro_f1(table['f1'].to_numpy(), without_rest) == pytest.approx(table['f1'][1:].mean())


def test_a_class_that_was_not_scored_has_no_score() -> None:
    target, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 0, 0])
    table = per_class(target, predicted, np.eye(3)[predicted], CLASSES)
    # class 1 is never predicted, class 2 never scored
    assert table['precision'][1] == 0 and table['f1'][1] == 0
    assert np.isnan(table['f1'][2]) and np.isnan(table['average_precision'][2])
    f1 = table['f1'].to_numpy()
    everything = np.ones(3, dtype=bool)
    assert macro_f1(f1, everything) == pytest.approx((0.4 + 0) / 2)
    assert np.isnan(macro_f1(f1, np.array([False, False, True])))


def test_calibration_is_that_of_a_loop(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    target, _, probabilities = drawn
    total, error = 0, 0.0
    for low in np.arange(10) / 10:
        sure, right = [], []
        for frame in range(len(target)):
            confidence = probabilities[frame].max()
            if target[frame] != UNSCORED and low < confidence <= low + 0.1 + 1e-12:
                sure.append(confidence)
                right.append(probabilities[frame].argmax() == target[frame])
        total += len(sure)
        error += abs(sum(sure) - sum(right))
    table = calibration(target, probabilities)
    assert table['frames'].sum() == total == (target != UNSCORED).sum()
    assert expected_calibration_error(table) == pytest.approx(error / total)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.51, 0.3, 0.19], [1.0, 0.0, 0.0]])
    table = calibration(np.zeros(3, int), probabilities)
    np.testing.assert_allclose(table['from'], [0.4, 0.5, 0.9])


def test_certain_and_right_is_calibrated() -> None:
    target = np.array([0, 1, 2, 1])
    assert expected_calibration_error(calibration(target, np.eye(3)[target])) == 0
    wrong = np.eye(3)[(target + 1) % 3]
    assert expected_calibration_error(calibration(target, wrong)) == 1


def test_bouts_are_compared_by_overlap() -> None:
    target = np.repeat([0, 1, 0], [10, 10, 10])
    shifted = np.repeat([0, 1, 0], [14, 10, 6])
    table = bout_scores(target, shifted, CLASSES).set_index('class')
    # the middle bout shares 6 of 14 frames, the others 10 of 14 and 6 of 10
    assert table.loc['walk', 'f1@25'] == 1 and table.loc['walk', 'f1@50'] == 0
    assert table.loc['rest', 'f1@50'] == 1
    assert np.isnan(table['f1@10'].to_numpy()[2])
    # a bout of another class finds nothing, wherever it lies
    other = bout_scores(target, np.repeat([0, 2, 0], [10, 10, 10]), CLASSES).set_index('class')
    assert other.loc['walk', 'f1@10'] == 0
    crossed = bout_scores(np.repeat([1, 2], 10), np.repeat([2, 1], 10), CLASSES)
    assert crossed['f1@10'].tolist()[1:] == [0, 0]
    # one that was not scored has no score, as of its frames
    assert other.loc['groom', 'predicted_bouts'] == 1 and np.isnan(other['f1@10']['groom'])
    # just half of its union is enough
    half = bout_scores(target, np.repeat([0, 1, 0], [10, 5, 15]), CLASSES).set_index('class')
    assert half.loc['walk', 'f1@50'] == 1
    broken = target.copy()
    broken[14] = 2
    table = bout_scores(target, broken, CLASSES).set_index('class')
    # one scored bout, two predicted, one of which finds it
    assert table.loc['walk', 'predicted_bouts'] == 2
    assert table.loc['walk', 'f1@25'] == pytest.approx(2 / 3)
    assert table.loc['groom', 'predicted_bouts'] == 1


def test_a_bout_takes_the_scored_one_that_it_fits_best() -> None:
    # it spans two bouts of its class: 6 of 10 frames are those of the first, 3 of the second
    target = np.repeat([1, 0, 1], [6, 1, 3])
    table = bout_scores(target, np.ones(10, dtype=int), CLASSES, [0.5]).set_index('class')
    assert table.loc['walk', 'f1@50'] == pytest.approx(2 / 3)


def test_bouts_are_those_of_a_loop(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    target, predicted, _ = drawn
    table = bout_scores(target, predicted, CLASSES, overlaps=(0.3,))
    right, counts = np.zeros(3), np.zeros((2, 3), dtype=int)
    for piece in (slice(0, 50), slice(83, 400)):
        scored, guessed = (_bouts(labels[piece]) for labels in (target, predicted))
        used = set()
        for row, bouts in enumerate((scored, guessed)):
            for label, _ in bouts:
                counts[row, label] += 1
        for label, frames in guessed:
            shares = [
                (len(frames & other) / len(frames | other), i)
                for i, (name, other) in enumerate(scored)
                if name == label and i not in used
            ]
            if shares and max(shares)[0] >= 0.3:
                used.add(max(shares)[1])
                right[label] += 1
    np.testing.assert_array_equal(table[['scored_bouts', 'predicted_bouts']].to_numpy().T, counts)
    np.testing.assert_allclose(table['f1@30'], 2 * right / counts.sum(axis=0))


def _bouts(labels: np.ndarray) -> list[tuple[int, set[int]]]:
    bouts: list[tuple[int, set[int]]] = []
    for frame, label in enumerate(labels):
        if not bouts or bouts[-1][0] != label:
            bouts.append((int(label), set()))
        bouts[-1][1].add(frame)
    return bouts


def test_switches_are_counted_within_scored_stretches() -> None:
    target = np.array([0, 0, 1, UNSCORED, 2, 2])
    predicted = np.array([0, 1, 1, 0, 2, 2])
    assert switches(target, predicted) == {
        'scored_switches': 200,
        'scored_bout_median': 2.0,
        'predicted_switches': 200,
        'predicted_bout_median': 2.0,
    }


def test_co_occurrence_counts_pairs_of_classes() -> None:
    rng = np.random.default_rng(0)
    scored, predicted = rng.random((2, 40, 3)) > 0.5
    counts = [
        [
            sum(bool(a[row] and b[column]) for a, b in zip(scored, predicted, strict=True))
            for column in range(3)
        ]
        for row in range(3)
    ]
    assert co_occurrence(scored, predicted).tolist() == counts
    target, guess = rng.integers(3, size=(2, 40))
    np.testing.assert_array_equal(
        co_occurrence(np.eye(3, dtype=bool)[target], np.eye(3, dtype=bool)[guess]),
        confusion(target, guess, 3),
    )
