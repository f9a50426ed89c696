"""Features at the times of bins: nothing here may depend on indices."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from beast_lp.encoding import align
from beast_lp.encoding.activity import SpikeTimes
from beast_lp.encoding.align import features_in, frames_near
from beast_lp.encoding.bins import (
    Bins,
    camera_clock,
    continuous_bins,
    usable_bins,
)
from beast_lp.errors import BeastError


def _spikes(times: np.ndarray, unit: np.ndarray | None = None) -> SpikeTimes:
    unit = np.zeros(len(times), int) if unit is None else unit
    count = int(unit.max(initial=0)) + 1
    return SpikeTimes(Path('s'), times, unit, np.arange(count), np.full(count, ''))


def _aligned(
    arrays: Sequence[np.ndarray],
    times: np.ndarray,
    bins: Bins,
) -> tuple[np.ndarray, np.ndarray]:
    near = frames_near(arrays, times, bins, 0.1)
    return features_in(arrays, near), near.known


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


def test_a_bin_on_the_time_of_a_frame_has_that_frame() -> None:
    # every 0.2 s, further apart than the gap, and one that lasts for ever
    frames = np.array([0.0, 0.2, 0.4, 0.6, 9.0])
    values = np.arange(5.0)[:, None]
    bins = Bins(np.array([0.0, 0.1, 0.2, 0.3, 0.6 + 1e-9, 0.65, 3.0, 9.0]), 0.1, np.zeros(8, int))
    near = frames_near([values], frames, bins, max_gap=0.1)
    assert near.known.tolist() == [True, False, True, False, True, False, False, True]
    assert features_in([values], near)[near.known, 0].tolist() == [0, 1, 3, 4]
