"""Features and spikes on one clock: bins by time stamp, never by index."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from beast_lp.encoding.activity import Activity, Binned
from beast_lp.errors import BeastError
from beast_lp.features.store import read_rows
from beast_lp.runs.keys import digest

# bytes of features that are read at a time
_BLOCK_BYTES = 2**26


@dataclass(frozen=True)
class Bins:
    """Bins of time.

    Attributes:
        times: centres in seconds on the clock of the spikes, ascending.
        width: width of a bin in seconds.
        group: number of the trial, or of the unbroken stretch of a continuous recording.
    """

    times: Float[np.ndarray, ' bins']
    width: float
    group: Int[np.ndarray, ' bins']

    def __len__(self) -> int:
        """Return the number of bins."""
        return len(self.times)

    def part(self, chosen: Bool[np.ndarray, ' bins']) -> 'Bins':
        """Return the chosen bins."""
        return Bins(self.times[chosen], self.width, self.group[chosen])


@dataclass(frozen=True)
class Near:
    """Frames around the centres of bins.

    Attributes:
        before: row of the frame before each centre.
        after: row of the frame after each centre.
        weight: weight of the frame after, from 0 to 1.
        known: False for bins without features.
    """

    before: Int[np.ndarray, ' bins']
    after: Int[np.ndarray, ' bins']
    weight: Float[np.ndarray, ' bins']
    known: Bool[np.ndarray, ' bins']

    def part(self, chosen: Bool[np.ndarray, ' bins'] | slice) -> 'Near':
        """Return the frames around the chosen bins."""
        return Near(
            self.before[chosen], self.after[chosen], self.weight[chosen], self.known[chosen]
        )


def camera_clock(
    frame_times: Float[np.ndarray, ' frames'],
    frames_in_video: int,
    offset: float,
    source: object,
) -> Float[np.ndarray, ' frames']:
    """Check the camera's time stamps and convert them to the clock of the spikes.

    Args:
        frame_times: seconds, one per frame of the video; a surplus at the end is cut off.
        frames_in_video: number of frames of the video.
        offset: seconds that are added.
        source: file of the time stamps, for messages.

    Returns:
        one time per frame in seconds.

    Raises:
        BeastError: if there are fewer stamps than frames, or stamps are NaN or do not ascend.

    Examples:
        >>> camera_clock(np.array([0.0, 0.04, 0.08]), 2, offset=10.0, source='times.npy')
        array([10.  , 10.04])
    """
    if len(frame_times) < frames_in_video:
        raise BeastError(
            f'{source} holds {len(frame_times)} camera times for a video of {frames_in_video} '
            'frames, so it is not known which frames have one; give a time for every frame'
        )
    times = np.asarray(frame_times[:frames_in_video], dtype=np.float64)
    if not np.isfinite(times).all():
        raise BeastError(
            f'{int((~np.isfinite(times)).sum())} of the {len(times)} camera times in {source} are '
            'NaN or infinite; mend them'
        )
    if (np.diff(times) < 0).any():
        raise BeastError(
            f'the camera times in {source} do not ascend (first at frame '
            f'{int(np.argmax(np.diff(times) < 0)) + 1}); mend them'
        )
    return times + offset


def continuous_bins(
    activity: Activity,
    camera: tuple[float, float],
    width: float,
) -> Bins:
    """Cover the time in which both camera and neurons were recorded with bins.

    Args:
        activity: spikes, or values in bins of their own, which are kept.
        camera: seconds of the first and the last frame.
        width: width of the bins of spikes in seconds.

    Returns:
        the bins.

    Raises:
        BeastError: if camera and neurons do not overlap in time.
    """
    low, high = activity.span
    start, stop = max(low, camera[0]), min(high, camera[1])
    if isinstance(activity, Binned):
        half = activity.width / 2
        inside = (activity.times >= camera[0] - half) & (activity.times <= camera[1] + half)
        times, width = activity.times[inside], activity.width
    else:
        count = int(np.floor((stop - start) / width + 1e-6)) if stop > start else 0
        times = start + (np.arange(count) + 0.5) * width
    if not len(times):
        raise BeastError(
            f'the spikes of {activity.source} lie outside the video: they span {low:.2f} to '
            f'{high:.2f} s and the camera {camera[0]:.2f} to {camera[1]:.2f} s; set '
            'beast.encoding.clock_offset_s, or give camera times on the clock of the spikes'
        )
    return Bins(times, width, _stretches(times, width))


def trial_bins(
    activity: Activity,
    camera: tuple[float, float],
    events: Float[np.ndarray, ' events'],
    window: tuple[float, float],
    width: float,
) -> Bins:
    """Cut trials of one length around events.

    Args:
        activity: spikes, or values in bins of their own, which are kept; a trial then begins with
            the bin at the window's start.
        camera: seconds of the first and the last frame.
        events: seconds; NaN (no such event in that trial) and windows that exceed the recording
            of camera or neurons are skipped.
        window: seconds before (negative) and after the event.
        width: width of the bins of spikes in seconds.

    Returns:
        the bins; each group is a trial.

    Raises:
        BeastError: if no trial is left.
    """
    if isinstance(activity, Binned):
        width = activity.width
    bins = int(np.floor((window[1] - window[0]) / width + 1e-6))
    if bins < 1:
        raise BeastError(
            f'a trial of {window[0]:g} to {window[1]:g} s holds no bin of {width:g} s; widen '
            'beast.encoding.trials.window'
        )
    low, high = max(activity.span[0], camera[0]), min(activity.span[1], camera[1])
    starts = np.sort(events[np.isfinite(events)]) + window[0]
    starts = starts[(starts >= low - width) & (starts + bins * width <= high + width)]
    if isinstance(activity, Binned):
        trials = _own_trials(activity, starts, bins)
    else:
        trials = [start + (np.arange(bins) + 0.5) * width for start in starts]
    # a spike belongs to one trial
    apart: list[np.ndarray] = []
    for trial in trials:
        if not apart or trial[0] > apart[-1][-1] + width / 2:
            apart.append(trial)
    if not apart:
        raise BeastError(
            f'none of the {len(events)} events has its whole window of {window[0]:g} to '
            f'{window[1]:g} s inside the recording of {activity.source} ({low:.2f} to {high:.2f} '
            's); check beast.encoding.trials.events and the clocks'
        )
    return Bins(np.concatenate(apart), width, np.repeat(np.arange(len(apart)), bins))


def _own_trials(
    activity: Binned,
    starts: Float[np.ndarray, ' trials'],
    bins: int,
) -> list[Float[np.ndarray, ' bins']]:
    """Return each trial's bins out of the recording's own."""
    begins = activity.times - activity.width / 2
    first = np.searchsorted(begins, starts - 1e-6)
    trials = [activity.times[at : at + bins] for at in first]
    unbroken = activity.width * (bins - 0.5)
    # where the event lies in a gap, the first bin after it does not count
    return [
        trial
        for trial, at, start in zip(trials, first, starts, strict=True)
        if len(trial) == bins
        and trial[-1] - trial[0] < unbroken
        and begins[at] - start < activity.width - 1e-6
    ]


def responses_in(activity: Activity, bins: Bins) -> Float[np.ndarray, 'bins neurons']:
    """Return the spike counts, or traces, in the bins."""
    if isinstance(activity, Binned):
        return activity.values[np.searchsorted(activity.times, bins.times - 1e-9)]
    # trials are in the order of time and do not overlap
    return activity.count(bins.times - bins.width / 2, bins.width)


def frames_near(
    features: Sequence[Float[np.ndarray, 'frames ...']],
    frame_times: Float[np.ndarray, ' frames'],
    bins: Bins,
    max_gap: float,
) -> Near:
    """Find the two frames between which the features of each bin are interpolated.

    Args:
        features: arrays side by side, one row per frame that has features; a row with a NaN
            counts as a dropped frame.
        frame_times: seconds of these frames, ascending.
        bins: bins of time.
        max_gap: seconds; a bin has no features if the frames around it are further apart (frames
            were dropped) and it lies on neither, or if it lies more than half of this beyond the
            first or last frame.

    Returns:
        the frames around each bin's centre.

    Raises:
        BeastError: if each frame has a NaN.

    Examples:
        >>> bins = Bins(np.array([0.01, 0.05]), 0.04, np.array([0, 0]))
        >>> near = frames_near([np.eye(3)], np.array([0.0, 0.04, 0.08]), bins, max_gap=0.1)
        >>> near.before.tolist(), near.after.tolist(), near.weight.tolist()
        ([0, 1], [1, 2], [0.25, 0.25])
    """
    whole = np.concatenate([np.isfinite(block).all(axis=1) for _, block in _blocks(features)])
    if not whole.any():
        raise BeastError(
            f'each of the {len(whole)} frames has a NaN among its features; mend the source, '
            'or leave out keypoints that are never seen'
        )
    rows, times = np.flatnonzero(whole), frame_times[whole]
    after = (
        np.clip(np.searchsorted(times, bins.times), 1, len(times) - 1)
        if len(times) > 1
        else (np.zeros(len(bins), dtype=int))
    )
    before = np.maximum(after - 1, 0)
    distance = times[after] - times[before]
    inside = (bins.times >= times[0]) & (bins.times <= times[-1])
    outside = np.maximum(times[0] - bins.times, bins.times - times[-1])
    # time stamps vary in their last digits
    slack = 1e-6
    known = np.where(inside, distance <= max_gap + slack, outside <= max_gap / 2 + slack)
    weight = np.clip((bins.times - times[before]) / np.where(distance > 0, distance, 1), 0, 1)
    # a bin on the time of a frame has that frame, however far the next one is
    for at, share in ((before, 0.0), (after, 1.0)):
        on = np.abs(bins.times - times[at]) <= slack
        known, weight = known | on, np.where(on, share, weight)
    return Near(rows[before], rows[after], weight.astype(np.float32), known)


def features_in(
    features: Sequence[Float[np.ndarray, 'frames ...']],
    near: Near,
) -> Float[np.ndarray, 'bins features']:
    """Interpolate features at the centres of bins.

    Arrays on disk are read in parts, from the first frame that is needed to the last, so memory
    holds little more than the result.

    Args:
        features: the arrays that `frames_near` was given.
        near: result of `frames_near`, or a part of it.

    Examples:
        >>> bins = Bins(np.array([0.01, 0.05]), 0.04, np.array([0, 0]))
        >>> features = [np.array([[0.0], [4.0], [8.0]])]
        >>> near = frames_near(features, np.array([0.0, 0.04, 0.08]), bins, max_gap=0.1)
        >>> features_in(features, near).tolist()
        [[1.0], [5.0]]
    """
    result = np.zeros((len(near.known), row_width(features)), dtype=np.float32)
    if not near.known.any():
        return result
    first, last = near.before[near.known].min(), near.after[near.known].max()
    for start, block in _blocks(features, int(first), int(last) + 1):
        for rows, share in ((near.before, 1 - near.weight), (near.after, near.weight)):
            here = np.flatnonzero(near.known & (rows >= start) & (rows < start + len(block)))
            result[here] += share[here, None] * block[rows[here] - start]
    return result


@dataclass(frozen=True)
class Aligned:
    """Features at the centres of bins, read on demand.

    Attributes:
        arrays: the arrays that `frames_near` was given.
        near: result of `frames_near`, or a part of it.
    """

    arrays: Sequence[Float[np.ndarray, 'frames ...']]
    near: Near

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of bins and of features."""
        return len(self.near.known), row_width(self.arrays)

    def __getitem__(self, bins: slice) -> Float[np.ndarray, 'bins features']:
        """Read the features of some bins."""
        return features_in(self.arrays, self.near.part(bins))


def row_width(features: Sequence[Float[np.ndarray, 'frames ...']]) -> int:
    """Return the number of features of a frame."""
    return sum(math.prod(array.shape[1:]) for array in features)


def features_digest(
    features: Sequence[Float[np.ndarray, 'frames ...']],
    frame_times: Float[np.ndarray, ' frames'],
) -> str:
    """Return a hash of features and their times, by which a resumed run detects changes.

    It covers the features as they were read. Components of them would not do: their last digits
    depend on the machine and the number of threads.
    """
    content = digest(frame_times.tobytes())
    for _, block in _blocks(features):
        content.update(str((block.shape[1], block.dtype)).encode())
        content.update(np.ascontiguousarray(block).data)
    return content.hexdigest()


def _blocks(
    features: Sequence[Float[np.ndarray, 'frames ...']],
    first: int = 0,
    stop: int | None = None,
) -> Iterator[tuple[int, Float[np.ndarray, 'rows features']]]:
    """Read blocks of rows with their features side by side.

    Args:
        features: arrays of one length.
        first: first row.
        stop: row after the last one; None for all.

    Yields:
        number of a block's first row, and the block.
    """
    stop = len(features[0]) if stop is None else stop
    row_bytes = sum(array[:1].nbytes for array in features)
    step = max(1, _BLOCK_BYTES // max(row_bytes, 1))
    for start in range(first, max(stop, first + 1), step):
        parts = [read_rows(array, start, min(start + step, stop)) for array in features]
        flat = [part.reshape(len(part), -1) for part in parts]
        yield start, np.concatenate(flat, axis=1) if len(flat) > 1 else flat[0]


def usable_bins(bins: Bins, known: Bool[np.ndarray, ' bins'], trials: bool) -> Bins:
    """Leave out bins without features, and trials that have such a bin.

    Args:
        bins: bins of time.
        known: whether each bin has features.
        trials: whether the groups of the bins are trials.

    Returns:
        the other bins; stretches of a continuous recording are numbered anew.

    Raises:
        BeastError: if none is left.
    """
    if trials:
        lost = np.unique(bins.group[~known])
        known = ~np.isin(bins.group, lost)
    if not known.any():
        raise BeastError(
            f'none of the {len(bins)} bins has features: the frames are further apart than '
            'beast.encoding.max_gap_s, or the clocks do not agree; raise it, or set '
            'beast.encoding.clock_offset_s'
        )
    rest = bins.part(known)
    group = rest.group if trials else _stretches(rest.times, rest.width)
    return Bins(rest.times, rest.width, group)


def _stretches(times: Float[np.ndarray, ' bins'], width: float) -> Int[np.ndarray, ' bins']:
    """Number the unbroken stretches of bins."""
    return np.concatenate([[0], np.cumsum(np.diff(times) > 1.5 * width)])
