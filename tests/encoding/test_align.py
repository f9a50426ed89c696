"""Bins by time stamp: nothing here may depend on indices."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from beast_lp.encoding import align
from beast_lp.encoding.activity import Binned, SpikeTimes
from beast_lp.encoding.align import (
    Bins,
    camera_clock,
    continuous_bins,
    features_in,
    frames_near,
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


def _aligned(
    arrays: Sequence[np.ndarray],
    times: np.ndarray,
    bins: Bins,
) -> tuple[np.ndarray, np.ndarray]:
    near = frames_near(arrays, times, bins, 0.1)
    return features_in(arrays, near), near.known


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


def test_features_are_taken_at_the_time_of_a_bin() -> None:
    # irregular camera: a feature that is the time itself must come back as the time
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 200))
    bins = continuous_bins(_spikes(np.array([0.0, 20.0])), (times[0], times[-1]), 0.05)
    got, known = _aligned([times[:, None]], times, bins)
    assert known.all()
    np.testing.assert_allclose(got[:, 0], bins.times, atol=1e-5)


def test_a_clock_offset_moves_the_camera() -> None:
    spikes = _spikes(np.array([100.0, 110.0]))
    times = camera_clock(np.arange(0, 10, 0.05), 200, 100.0, 'test')
    bins = continuous_bins(spikes, (times[0], times[-1]), 0.05)
    got, _ = _aligned([np.arange(200.0)[:, None]], times, bins)
    np.testing.assert_allclose(got[:, 0], (bins.times - 100) / 0.05, atol=1e-3)


def test_bins_in_a_hole_of_dropped_frames_have_no_features() -> None:
    times = np.concatenate([np.arange(0, 4, 0.05), np.arange(6, 10, 0.05)])
    bins = continuous_bins(_spikes(np.array([0.0, 10.0])), (0, 9.95), 0.1)
    got, known = _aligned([np.ones((160, 2))], times, bins)
    hole = (bins.times > 3.95) & (bins.times < 6)
    np.testing.assert_array_equal(known, ~hole)
    assert (got[hole] == 0).all()
    rest = usable_bins(bins, known, trials=False)
    # what is before the hole does not touch what is after it
    assert np.unique(rest.group).tolist() == [0, 1]
    assert len(rest) == known.sum()


def test_a_frame_with_a_nan_is_a_dropped_frame() -> None:
    times, values = np.arange(0, 2, 0.05), np.ones((40, 2))
    bins = continuous_bins(_spikes(np.array([0.0, 2.0])), (0, 1.95), 0.05)
    values[10:20, 1] = np.nan
    got, known = _aligned([values], times, bins)
    assert np.isfinite(got).all()
    assert not known[(bins.times > 0.46) & (bins.times < 0.99)].any()
    with pytest.raises(BeastError, match='each of the 40 frames has a NaN'):
        _aligned([values * np.nan], times, bins)


def test_features_on_disk_are_read_a_part_at_a_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    times, cls = np.arange(0, 200, 0.05), rng.normal(size=(4000, 3)).astype(np.float32)
    # 16 MB
    patches = rng.normal(size=(4000, 64, 32)).astype(np.float16)
    patches[100, 5, 5] = np.nan
    np.save(tmp_path / 'patches.npy', patches)
    bins = continuous_bins(_spikes(np.array([0.0, 200.0])), (0, 199.95), 1.0)
    wanted = _aligned([np.concatenate([cls, patches.reshape(4000, -1)], axis=1)], times, bins)
    monkeypatch.setattr(align, '_BLOCK_BYTES', 2**20)
    on_disk = np.load(tmp_path / 'patches.npy', mmap_mode='r')
    tracemalloc.start()
    got = _aligned([cls, on_disk], times, bins)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for mine, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert peak < 8e6


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


def test_what_cannot_be_aligned_gets_a_sentence() -> None:
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


def test_a_bin_on_the_time_of_a_frame_has_that_frame() -> None:
    # every 0.2 s, further apart than the gap, and one that lasts for ever
    frames = np.array([0.0, 0.2, 0.4, 0.6, 9.0])
    values = np.arange(5.0)[:, None]
    bins = Bins(np.array([0.0, 0.1, 0.2, 0.3, 0.6 + 1e-9, 0.65, 3.0, 9.0]), 0.1, np.zeros(8, int))
    near = frames_near([values], frames, bins, max_gap=0.1)
    assert near.known.tolist() == [True, False, True, False, True, False, False, True]
    assert features_in([values], near)[near.known, 0].tolist() == [0, 1, 3, 4]
