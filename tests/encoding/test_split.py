"""Splits by trial or block: whole ones, apart, and reproducible."""

import numpy as np
import pytest

from beast_lp.encoding.bins import Bins
from beast_lp.encoding.split import (
    UNUSED,
    fold_blocks,
    fold_trials,
    keep_apart,
    number_blocks,
)
from beast_lp.errors import BeastError


def _bins(count: int, width: float = 0.05) -> Bins:
    return Bins(12.6 + np.arange(count) * width, width, np.zeros(count, int))


def test_trials_are_whole_and_shared_out() -> None:
    group = np.repeat(np.arange(50), 7)
    fold = fold_trials(group, 5, seed=0)
    by_trial = fold.reshape(50, 7)
    assert (by_trial == by_trial[:, :1]).all()
    assert np.bincount(by_trial[:, 0]).tolist() == [10] * 5
    # every fold has a trial of each time
    assert all(sorted(five) == [0, 1, 2, 3, 4] for five in by_trial[:, 0].reshape(10, 5))
    np.testing.assert_array_equal(fold, fold_trials(group, 5, seed=0))
    assert (fold != fold_trials(group, 5, seed=1)).any()


@pytest.mark.parametrize('trials', [1, 2])
def test_too_few_trials_are_refused(trials: int) -> None:
    with pytest.raises(BeastError, match=f'{trials} trials? (is|are) too few'):
        fold_trials(np.repeat(np.arange(trials), 5), 5, 0)


def test_three_trials_are_three_folds() -> None:
    assert sorted(fold_trials(np.arange(3), 5, 0)) == [0, 1, 2]


def test_what_is_fitted_to_is_apart_by_the_gap_and_every_bin_is_predicted() -> None:
    bins = _bins(4000)
    fold = fold_blocks(bins, 5, block_s=10.0, seed=0)
    folds = keep_apart(bins, fold, gap_s=0.5)
    assert folds.scored.all()
    assert folds.count == 5
    for number in range(5):
        own, others = bins.times[fold == number], bins.times[folds.without(number)]
        distance = np.abs(own[:, None] - others[None]).min()
        assert distance == pytest.approx(0.5, abs=0.051)
        assert (fold == number).mean() == pytest.approx(0.2, abs=0.01)
    assert folds.core.mean() == pytest.approx(0.9, abs=0.02)
    assert sorted(fold for pair in folds.pairs for fold in pair) == sorted([*range(5)] * 2)


def test_dropped_bins_do_not_shift_the_blocks() -> None:
    whole = _bins(1000)
    chosen = np.ones(1000, bool)
    chosen[130:190] = False
    torn = whole.part(chosen)
    np.testing.assert_array_equal(number_blocks(torn, 2.0), number_blocks(whole, 2.0)[chosen])
    fold = fold_blocks(whole, 5, 2.0, seed=0)
    np.testing.assert_array_equal(fold_blocks(torn, 5, 2.0, seed=0), fold[chosen])


def test_what_cannot_be_split_gets_a_sentence() -> None:
    with pytest.raises(BeastError, match=r'5.0 s of recording make 1 block\(s\) of 10 s'):
        fold_blocks(_bins(100), 5, 10.0, 0)
    bins = _bins(4000)
    with pytest.raises(BeastError, match='gaps of 60 s take all of its blocks'):
        keep_apart(bins, fold_blocks(bins, 5, 10.0, 0), 60.0)
    for fold, words in (
        (np.zeros(4000, int), 'found 0$'),
        (np.repeat([0, 1, 3, 4], 1000), 'found 0, 1, 3, 4'),
        (np.full(4000, UNUSED), 'found none'),
    ):
        with pytest.raises(BeastError, match=words):
            keep_apart(bins, fold, 0.0)


def test_bins_without_a_fold_are_neither_fitted_nor_predicted() -> None:
    fold = np.repeat([0, 1, UNUSED, 2], 10)
    folds = keep_apart(_bins(40), fold, 0.1)
    np.testing.assert_array_equal(folds.scored, fold != UNUSED)
    assert not folds.without(0)[20:30].any()
