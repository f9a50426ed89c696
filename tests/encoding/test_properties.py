"""What holds for every recording: nothing is tested on that was trained on, times decide."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from beast_lp.encoding.activity import Binned, SpikeTimes
from beast_lp.encoding.align import features_in, frames_near
from beast_lp.encoding.bins import Bins, continuous_bins, responses_in, trial_bins, usable_bins
from beast_lp.encoding.split import fold_blocks, fold_trials, keep_apart
from beast_lp.errors import BeastError


@st.composite
def recordings(draw: DrawFn) -> Bins:
    """Draw bins of a recording from which stretches were dropped."""
    count, width = draw(st.integers(60, 400)), draw(st.sampled_from([0.02, 0.05, 1 / 60]))
    kept = np.ones(count, bool)
    for start, length in draw(
        st.lists(st.tuples(st.integers(1, 399), st.integers(1, 30)), max_size=4)
    ):
        kept[start : start + length] = False
    times = draw(st.floats(-50, 50)) + np.arange(count)[kept] * width
    return Bins(times, width, np.zeros(len(times), int))


@given(
    recordings(),
    st.sampled_from([0.25, 0.5, 1.0]),
    st.sampled_from([0.0, 0.05, 0.12]),
    st.integers(0, 5),
)
def test_no_bin_is_fitted_to_within_the_gap_of_another_fold(
    bins: Bins,
    block_s: float,
    gap_s: float,
    seed: int,
) -> None:
    try:
        fold = fold_blocks(bins, 4, block_s, seed)
        folds = keep_apart(bins, fold, gap_s)
    except BeastError:
        assume(False)
        raise
    assert folds.scored.all()
    for number in range(folds.count):
        own, others = bins.times[fold == number], bins.times[folds.without(number)]
        assert np.abs(own[:, None] - others[None]).min() > gap_s - bins.width / 99
    # and what is lost, is lost to a gap
    borders = np.flatnonzero(np.diff(fold))
    moments = (bins.times[borders] + bins.times[borders + 1]) / 2
    for moment in bins.times[~folds.core]:
        assert np.abs(moments - moment).min() < gap_s


@given(st.lists(st.integers(1, 6), min_size=3, max_size=40), st.integers(0, 3))
def test_trials_are_never_torn_and_each_fold_gets_some(sizes: list[int], seed: int) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes)
    fold = fold_trials(group, 5, seed)
    kinds = [set(fold[group == trial].tolist()) for trial in range(len(sizes))]
    assert all(len(kind) == 1 for kind in kinds)
    assert set(fold.tolist()) == set(range(min(5, len(sizes))))


def _spikes(times: list[float], units: int) -> SpikeTimes:
    ordered = np.sort(np.array(times))
    return SpikeTimes(
        Path('spikes'),
        ordered,
        np.arange(len(times)) % units,
        np.arange(units),
        np.full(units, ''),
    )


TIMES = st.lists(st.floats(0, 20), min_size=2, max_size=60)


@given(
    TIMES,
    st.integers(1, 3),
    st.floats(-5, 10),
    st.floats(0.5, 25),
    st.sampled_from([0.02, 0.1, 0.5]),
)
def test_every_spike_inside_the_bins_is_counted_once(
    times: list[float],
    units: int,
    start: float,
    length: float,
    width: float,
) -> None:
    spikes = _spikes(times, units)
    try:
        bins = continuous_bins(spikes, (start, start + length), width)
    except BeastError:
        assume(False)
        raise
    # both were recorded in every bin
    low, high = max(start, spikes.times[0]), min(start + length, spikes.times[-1])
    assert bins.times[0] - width / 2 == pytest.approx(low)
    assert bins.times[-1] + width / 2 <= high + 1e-6 * width + 1e-9
    np.testing.assert_allclose(np.diff(bins.times), width)
    counts = responses_in(spikes, bins)
    edges = low, bins.times[-1] + width / 2
    sure = (spikes.times > edges[0] + 1e-6) & (spikes.times < edges[1] - 1e-6)
    maybe = (spikes.times > edges[0] - 1e-6) & (spikes.times < edges[1] + 1e-6)
    for unit in range(units):
        own = spikes.unit == unit
        assert (sure & own).sum() <= counts[:, unit].sum() <= (maybe & own).sum()


@given(
    TIMES,
    st.lists(st.floats(-2, 22) | st.just(np.nan), min_size=1, max_size=12),
    st.floats(-1, 0),
    st.floats(0.2, 2),
    st.booleans(),
    st.integers(0, 40),
)
def test_trials_lie_inside_the_recording_and_apart(
    times: list[float],
    events: list[float],
    before: float,
    after: float,
    binned: bool,
    gap: int,
) -> None:
    width = 0.1
    recorded = np.delete(1 + (np.arange(180) + 0.5) * width, slice(60, 60 + gap))
    activity = (
        _spikes(times, 1)
        if not binned
        else Binned(
            Path('counts'),
            np.arange(180.0 - gap)[:, None],
            recorded,
            width,
            np.arange(1),
            np.full(1, ''),
        )
    )
    try:
        bins = trial_bins(activity, (0.0, 20.0), np.array(events), (before, after), width)
    except BeastError:
        assume(False)
        raise
    trials = bins.times.reshape(bins.group.max() + 1, -1)
    np.testing.assert_array_equal(bins.group, np.repeat(np.arange(len(trials)), trials.shape[1]))
    np.testing.assert_allclose(np.diff(trials, axis=1), width)
    assert (trials[1:, 0] - trials[:-1, -1] > width / 2).all()
    low, high = max(activity.span[0], 0), min(activity.span[1], 20)
    assert trials[0, 0] > low - width and trials[-1, -1] < high + width
    # each begins at an event's window, to a bin
    starts = np.array(events) + before
    assert all(np.nanmin(np.abs(starts - (trial[0] - width / 2))) < width for trial in trials)


@given(
    recordings(),
    st.lists(st.floats(0.005, 0.2), min_size=2, max_size=200),
    st.sampled_from([0.05, 0.1]),
    st.sets(st.integers(0, 199), max_size=5),
)
def test_features_come_from_frames_around_the_bin_or_not_at_all(
    bins: Bins,
    steps: list[float],
    max_gap: float,
    broken: set[int],
) -> None:
    times = bins.times[0] + 0.3 + np.cumsum(steps)
    values = times[:, None].copy()
    broken = {frame for frame in broken if frame < len(times)}
    values[list(broken)] = np.nan
    assume(len(broken) < len(times))
    near = frames_near([values], times, bins, max_gap)
    got, known = features_in([values], near), near.known
    assert np.isfinite(got).all() and (got[~known] == 0).all()
    frames = times[~np.isnan(values[:, 0])]
    for moment, value, is_known in zip(bins.times, got[:, 0], known, strict=True):
        before, after = frames[frames <= moment], frames[frames >= moment]
        nearest = frames[np.abs(frames - moment).argmin()]
        if abs(nearest - moment) <= 1e-6:
            # a bin that lies on a frame has that frame
            assert is_known and value == np.float32(nearest)
        elif len(before) and len(after):
            assert is_known or after[0] - before[-1] > max_gap
            assert not is_known or after[0] - before[-1] <= max_gap + 1e-5
        else:
            beyond = np.abs(frames - moment).min() - max_gap / 2
            assert is_known == (beyond <= 0) or abs(beyond) < 1e-5
        # a feature that is its frame's time comes back as the bin's time
        assert not is_known or abs(value - moment) <= max_gap / 2 + 1e-4


@given(
    st.lists(st.booleans(), min_size=1, max_size=60).filter(any), st.integers(1, 6), st.booleans()
)
def test_usable_bins_are_whole_trials_or_unbroken_stretches(
    known: list[bool],
    length: int,
    trials: bool,
) -> None:
    mask = np.array(known)
    group = np.arange(len(mask)) // length
    bins = Bins(np.arange(len(mask)) * 0.5, 0.5, group)
    whole = [trial for trial in np.unique(group) if mask[group == trial].all()]
    if trials and not whole:
        with pytest.raises(BeastError, match='none of the'):
            usable_bins(bins, mask, trials)
        return
    rest = usable_bins(bins, mask, trials)
    if trials:
        np.testing.assert_array_equal(rest.group, group[np.isin(group, whole)])
        return
    np.testing.assert_array_equal(rest.times, bins.times[mask])
    for a in range(len(rest) - 1):
        assert (rest.group[a] == rest.group[a + 1]) == (rest.times[a + 1] - rest.times[a] < 0.75)
