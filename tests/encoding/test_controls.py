"""Controls keep what they should and destroy the rest."""

import numpy as np

from beast_lp.encoding.controls import (
    band,
    circular_shifts,
    least_shift,
    permutations,
)
from beast_lp.encoding.covariates import drift


def test_shifts_turn_the_recording_and_its_mirror_image() -> None:
    orders = list(circular_shifts(100, 60, 20, np.random.default_rng(0)))
    assert len({tuple(order) for order in orders}) == 60
    for order in orders:
        # forward, backward and from the end on again, without a jump
        steps = np.diff(order)
        assert set(steps.tolist()) <= {-1, 0, 1}
        assert (steps == 0).sum() <= 2
        # no bin stays where it is, or near it, in the order of time
        same = np.flatnonzero(steps == 1)
        assert (np.abs(order[same] - same) >= 20).all()


def test_a_recording_is_never_shifted_twice_by_the_same() -> None:
    # 10 s, or a sixth of what is shorter than a minute
    assert least_shift(6000, 0.02) == 500
    assert least_shift(3000, 0.02) == 500
    assert least_shift(2400, 0.02) == 400
    for bins, drawn in ((3, 5), (7, 13), (100, 169)):
        least = least_shift(bins, 0.02)
        orders = list(circular_shifts(bins, 200, least, np.random.default_rng(0)))
        assert len({tuple(order) for order in orders}) == drawn
    assert not list(circular_shifts(100, 0, 10, np.random.default_rng(0)))


def test_trials_are_shifted_whole() -> None:
    for order in circular_shifts(30, 9, 1, np.random.default_rng(0), length=3):
        trials = order.reshape(10, 3)
        assert (trials[:, 0] % 3 == 0).all()
        assert (np.diff(trials, axis=1) == 1).all()


def test_every_trial_gets_another_whole_trial() -> None:
    group = np.repeat([0, 1, 2, 3, 4], [4, 4, 3, 4, 4])
    for order in permutations(group, 20, np.random.default_rng(0)):
        assert sorted(order) == list(range(len(group)))
        for trial in range(5):
            of = order[group == trial]
            # whole, in its own order of time
            assert (np.diff(of) == 1).all()
            assert len(set(group[of])) == 1
            # the only trial of its length has none to exchange with
            assert (group[of[0]] == trial) == (trial == 2)


def test_the_band_holds_95_percent() -> None:
    low, high = band(np.arange(1001.0))
    assert (low, high) == (25.0, 975.0)
    assert np.isnan(band(np.array([])).low)


def test_drift_is_slow() -> None:
    waves = drift(np.arange(0, 600, 0.05), 60)
    assert waves.shape == (12000, 10)
    # the fastest one has half a period in each of the ten minutes
    assert [int((np.diff(np.sign(wave)) != 0).sum()) for wave in waves.T] == list(range(1, 11))
    assert drift(np.arange(0, 10, 0.05), 60).shape[1] == 2
    # no more than trials or blocks can tell apart
    assert drift(np.arange(0, 600, 0.05), 20).shape[1] == 5
