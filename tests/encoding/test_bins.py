"""Bins of a recording and of its trials: by time stamp, never by index."""

from pathlib import Path

import numpy as np
import pytest

from beast_lp.encoding.activity import Binned, SpikeTimes
from beast_lp.encoding.bins import (
    Bins,
    camera_clock,
    continuous_bins,
    responses_in,
    trial_bins,
    usable_bins,
)
from beast_lp.errors import BeastError


def _spikes(times: np.ndarray, unit: np.ndarray | None = None) -> SpikeTimes:
    unit = np.zeros(len(times), int) if unit is None else unit
    count = int(unit.max(initial=0)) + 1
    return SpikeTimes(Path('s'), times, unit, np.arange(count), np.full(count, ''))


def _counts(values: np.ndarray, times: np.ndarray, width: float) -> Binned:
    count = values.shape[1]
    return Binned(Path('c'), values, times, width, np.arange(count), np.full(count, ''))


def test_counts_equal_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    times, unit = np.sort(rng.uniform(0, 10, 500)), rng.integers(0, 4, 500)
    unit[0] = 3
    bins = continuous_bins(_spikes(times, unit), (1.0, 9.0), 0.1)
    got = responses_in(_spikes(times, unit), bins)
    assert bins.times[0] == pytest.approx(1.05)
    assert len(bins) == 80
    for at, centre in enumerate(bins.times):
        for neuron in range(4):
            inside = [
                t
                for t, u in zip(times, unit, strict=True)
                if centre - 0.05 <= t < centre + 0.05 and u == neuron
            ]
            assert got[at, neuron] == len(inside)


def test_a_spike_on_the_edge_belongs_to_the_later_bin() -> None:
    # 0.3 is not 3 * 0.1 in floating point
    spikes = _spikes(np.array([0.0, 0.1, 0.3, 0.5, 1.0]))
    got = responses_in(spikes, continuous_bins(spikes, (0, 1), 0.1))[:, 0]
    assert got.tolist() == [1, 1, 0, 1, 0, 1, 0, 0, 0, 0]


def test_trials_are_windows_of_one_length() -> None:
    spikes = _spikes(np.sort(np.random.default_rng(0).uniform(0, 30, 900)))
    events = np.array([0.2, 5.0, np.nan, 10.0, 10.3, 20.0, 29.5])
    bins = trial_bins(spikes, (0.0, 30.0), events, (-0.5, 1.0), 0.05)
    # the first and last window reach out of the recording, 10.3 overlaps the trial before it
    assert np.bincount(bins.group).tolist() == [30, 30, 30]
    np.testing.assert_allclose(bins.times[::30], np.array([4.5, 9.5, 19.5]) + 0.025)
    counts = responses_in(spikes, bins)
    inside = (spikes.times >= 9.5) & (spikes.times < 11.0)
    assert counts[30:60].sum() == inside.sum()


def test_trials_of_counts_take_the_bins_that_there_are() -> None:
    times = (np.arange(400) + 0.5) * 0.05
    counts = _counts(np.arange(400.0)[:, None], times, 0.05)
    bins = trial_bins(counts, (0, 20), np.array([5.0, 12.02]), (0.0, 1.0), 0.02)
    assert bins.width == 0.05
    assert responses_in(counts, bins)[::20, 0].tolist() == [100, 241]


def test_an_event_in_a_gap_of_counts_is_no_trial() -> None:
    times = (np.arange(400) + 0.5) * 0.05
    # nothing from 6 to 7 s
    times = times[(times < 6) | (times > 7)]
    counts = _counts(np.arange(380.0)[:, None], times, 0.05)
    # between, across the gap, in it, less than a bin before its end, after it
    for event, first in ((4.0, 4.025), (5.5, None), (6.3, None), (6.96, 7.025), (7.0, 7.025)):
        events = np.array([event, 15.0])
        bins = trial_bins(counts, (0, 20), events, (0.0, 1.0), 0.02)
        wanted = [15.025] if first is None else [first, 15.025]
        np.testing.assert_allclose(bins.times[::20], wanted)


def test_a_trial_that_loses_a_bin_goes_as_a_whole() -> None:
    bins = Bins(np.arange(6.0), 1.0, np.array([0, 0, 1, 1, 2, 2]))
    known = np.array([1, 1, 1, 0, 1, 1], bool)
    assert usable_bins(bins, known, trials=True).group.tolist() == [0, 0, 2, 2]
    assert usable_bins(bins, known, trials=False).group.tolist() == [0, 0, 0, 1, 1]


def test_counts_keep_their_bins() -> None:
    times = 12.5 + np.arange(100) * 0.05
    counts = _counts(np.arange(100.0)[:, None], times, 0.05)
    bins = continuous_bins(counts, (13.0, 14.0), 0.02)
    np.testing.assert_array_equal(bins.times, times[10:31])
    assert responses_in(counts, bins)[:, 0].tolist() == list(range(10, 31))


def test_what_cannot_be_binned_gets_a_sentence() -> None:
    spikes = _spikes(np.array([100.0, 110.0]))
    with pytest.raises(BeastError, match=r'outside the video: they span 100.00 to 110.00 s and'):
        continuous_bins(spikes, (0, 50), 0.02)
    with pytest.raises(BeastError, match='10 camera times for a video of 20 frames'):
        camera_clock(np.arange(10.0), 20, 0.0, 'times.npy')
    with pytest.raises(BeastError, match='1 of the 3 camera times in times.npy are NaN'):
        camera_clock(np.array([0, np.nan, 2]), 3, 0.0, 'times.npy')
    with pytest.raises(BeastError, match='do not ascend .first at frame 2'):
        camera_clock(np.array([0.0, 2.0, 1.0]), 3, 0.0, 'times.npy')
    with pytest.raises(BeastError, match='none of the 2 events'):
        trial_bins(spikes, (100, 110), np.array([1.0, 2.0]), (-0.5, 1.0), 0.02)
    with pytest.raises(BeastError, match='holds no bin'):
        trial_bins(spikes, (100, 110), np.array([105.0]), (0, 0.01), 0.02)
    bins = Bins(np.arange(4.0), 1.0, np.zeros(4, int))
    with pytest.raises(BeastError, match='none of the 4 bins has features'):
        usable_bins(bins, np.zeros(4, bool), trials=False)
