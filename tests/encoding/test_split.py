"""Splits by trial or block: whole ones, apart, and reproducible."""

import numpy as np
import pytest

from beast_lp.encoding.align import Bins
from beast_lp.encoding.split import (
    TEST,
    TRAIN,
    UNUSED,
    VALIDATION,
    number_blocks,
    split_blocks,
    split_trials,
)
from beast_lp.errors import BeastError

SHARES = (0.7, 0.1, 0.2)


def _bins(count: int, width: float = 0.05) -> Bins:
    return Bins(12.6 + np.arange(count) * width, width, np.zeros(count, int))


def test_trials_are_whole_and_shared_out() -> None:
    group = np.repeat(np.arange(50), 7)
    part = split_trials(group, SHARES, seed=0)
    by_trial = part.reshape(50, 7)
    assert (by_trial == by_trial[:, :1]).all()
    assert np.bincount(by_trial[:, 0]).tolist() == [35, 5, 10]
    np.testing.assert_array_equal(part, split_trials(group, SHARES, seed=0))
    assert (part != split_trials(group, SHARES, seed=1)).any()


@pytest.mark.parametrize('trials', [1, 2])
def test_too_few_trials_are_refused(trials: int) -> None:
    with pytest.raises(BeastError, match=f'{trials} trials? (is|are) too few'):
        split_trials(np.repeat(np.arange(trials), 5), SHARES, 0)


def test_three_trials_are_one_for_each() -> None:
    assert sorted(split_trials(np.arange(3), SHARES, 0)) == [TRAIN, VALIDATION, TEST]


def test_blocks_are_apart_by_the_gap() -> None:
    bins = _bins(4000)
    part = split_blocks(bins, SHARES, block_s=10.0, gap_s=0.5, seed=0)
    used = np.flatnonzero(part != UNUSED)
    nearest = min(
        abs(bins.times[a] - bins.times[b])
        for a, b in zip(used[:-1], used[1:], strict=True)
        if part[a] != part[b]
    )
    # half a second before and after the border
    assert nearest == pytest.approx(1.0, abs=0.051)
    for number, share in ((TRAIN, 0.7), (VALIDATION, 0.1), (TEST, 0.2)):
        assert (part == number).mean() == pytest.approx(share, abs=0.05)


def test_dropped_bins_do_not_shift_the_blocks() -> None:
    whole = _bins(1000)
    chosen = np.ones(1000, bool)
    chosen[130:190] = False
    torn = whole.part(chosen)
    np.testing.assert_array_equal(number_blocks(torn, 2.0), number_blocks(whole, 2.0)[chosen])
    part = split_blocks(whole, SHARES, 2.0, 0.0, seed=0)
    np.testing.assert_array_equal(split_blocks(torn, SHARES, 2.0, 0.0, seed=0), part[chosen])


def test_what_cannot_be_split_gets_a_sentence() -> None:
    with pytest.raises(BeastError, match=r'5.0 s of recording make 1 block\(s\) of 10 s'):
        split_blocks(_bins(100), SHARES, 10.0, 0.5, 0)
    with pytest.raises(BeastError, match='gaps of 60 s take all of its blocks'):
        split_blocks(_bins(4000), SHARES, 10.0, 60.0, 0)
