"""Bins of time: of a continuous recording or of its trials, and what neurons did in them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from beast_lp.encoding.activity import Activity, Binned
from beast_lp.errors import BeastError


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
