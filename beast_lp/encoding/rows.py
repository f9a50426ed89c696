"""When the rows of a session's sources were taken: frames of its video, own times, or trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from beast_lp.config.encoding import EncodingConfig
from beast_lp.encoding.activity import Activity, Binned
from beast_lp.encoding.align import Near, frames_near
from beast_lp.encoding.bins import Bins, camera_clock
from beast_lp.encoding.number_files import read_times
from beast_lp.encoding.sources import file_of
from beast_lp.errors import BeastError
from beast_lp.features.frames import FrameFeatures

Views = Sequence[FrameFeatures]


@dataclass(frozen=True)
class RowTimes:
    """When the rows of all sources of a session were taken.

    Attributes:
        span: seconds of the first and the last row of all, in which bins can have features.
        times: seconds of each source's rows; those of its events for a row per trial.
        per_trial: names of the sources with a row per trial.
        note: sentence about a possible fault in the times; empty if there is none.
    """

    span: tuple[float, float]
    times: Mapping[str, Float[np.ndarray, ' rows']]
    per_trial: frozenset[str]
    note: str

    def near(self, source: str, views: Views, bins: Bins, config: EncodingConfig) -> Near:
        """Find the rows of a source around the centres of bins.

        Args:
            source: name of the source.
            views: its features.
            bins: bins of time; each group is a trial where there are trials.
            config: settings of the stage.
        """
        arrays, times = [view.values for view in views], self.times[source]
        if source not in self.per_trial:
            return frames_near(arrays, times, bins, config.max_gap_s)
        _, first, group = np.unique(bins.group, return_index=True, return_inverse=True)
        starts = bins.times[first] - bins.width / 2 - config.trials.window[0]
        trial = np.nanargmin(np.abs(times - starts[:, None]), axis=1)[group]
        (values,) = arrays
        known = np.asarray(np.isfinite(values[trial]).all(axis=1))
        return Near(trial, trial, np.zeros(len(trial), np.float32), known)


def row_times(
    name: str,
    activity: Activity,
    features: Mapping[str, Views],
    events: Float[np.ndarray, ' events'] | None,
    config: EncodingConfig,
) -> RowTimes:
    """Tell when the rows of each source were taken.

    A table with times of its own has those. A table with as many rows as there are events has one
    for each trial, and all else one for each frame of the video.

    Args:
        name: name of the session.
        activity: neurons of the session.
        features: features of each view, by source.
        events: seconds of the events; None for a continuous recording.
        config: settings of the stage.

    Raises:
        BeastError: if the times do not fit the rows, or there are none.
    """
    own = {source: views[0].clock for source, views in features.items()}
    filmed = {source: views for source, views in features.items() if own[source] is None}
    per_trial = {source for source, views in filmed.items() if _is_per_trial(views, events)}
    filmed = {source: views for source, views in filmed.items() if source not in per_trial}
    times = {source: clock for source, clock in own.items() if clock is not None}
    note = ''
    if filmed:
        _check_lengths(name, filmed, events)
        camera = Path(config.camera_times).expanduser() if config.camera_times else None
        every = [view for views in filmed.values() for view in views]
        frames, note = frame_times(name, activity, every, camera, config.clock_offset_s)
        times |= {source: frames[views[0].frame] for source, views in filmed.items()}
        spans = [(float(frames[0]), float(frames[-1]))]
    else:
        spans = [(float(clock[0]), float(clock[-1])) for clock in times.values()]
    span = activity.span
    if spans:
        span = max(low for low, _ in spans), min(high for _, high in spans)
    if events is not None:
        times |= dict.fromkeys(per_trial, events)
    return RowTimes(span, times, frozenset(per_trial), note)


def _is_per_trial(views: Views, events: Float[np.ndarray, ' events'] | None) -> bool:
    return (
        events is not None
        and len(views) == 1
        and views[0].is_table
        and len(views[0].values) == len(events)
    )


def _check_lengths(
    name: str, features: Mapping[str, Views], events: Float[np.ndarray, ' events'] | None
) -> None:
    """Refuse features of videos of different lengths.

    Raises:
        BeastError: naming the lengths.
    """
    lengths = {source: views[0].frames_in_video for source, views in features.items()}
    # predictions that may end early only say how long the video is at least
    whole = {lengths[s] for s, views in features.items() if not views[0].may_end_early}
    if len(whole) > 1 or (whole and max(lengths.values()) > max(whole)):
        found = ', '.join(f'{source} {length}' for source, length in lengths.items())
        trials = '' if events is None else f', and there are {len(events)} trials'
        raise BeastError(
            f'the features of session {name!r} belong to videos of different lengths ({found} '
            f'frames{trials}); give features of one and the same video'
        )


def frame_times(
    session: str,
    activity: Activity,
    features: Sequence[FrameFeatures],
    camera_times: Path | None,
    offset: float,
) -> tuple[Float[np.ndarray, ' frames'], str]:
    """Return when each frame of a session's video was taken, on the clock of the spikes.

    Given camera times take precedence over those beside the counts, and these over the video's.

    Args:
        session: name of the session.
        activity: neurons of the session.
        features: features of the session's video, from all sources and views.
        camera_times: path that `numbers_of` takes; None for no file.
        offset: seconds to add.

    Returns:
        one time per frame of the video in seconds, and a sentence about a possible fault in them
        (empty if there is none).

    Raises:
        BeastError: if the times do not fit the video, or there are none.
    """
    frames = max(item.frames_in_video for item in features)
    open_ended = all(item.may_end_early for item in features)
    given, notes = _given_times(session, activity, camera_times, offset)
    if given is not None:
        stamps, source = given
        frames = max(frames, len(stamps)) if open_ended else frames
        surplus = len(stamps) - frames
        times = camera_clock(stamps, frames, offset, source)
        if surplus > 0:
            notes.append(
                f'{source} holds {len(stamps)} camera times for a video of {frames} frames, and '
                f'the last {surplus} were cut off; if frames are missing before the end of the '
                'video, the times of all that follow are wrong'
            )
        return times, '; '.join(notes)
    for item in features:
        if item.time is not None:
            # the times of frames without features are unknown, and not needed
            times = np.interp(np.arange(frames), item.frame, item.time) + offset
            # an offset shows that the user knows of the two clocks
            return times, '' if offset else (
                'no camera times were given, so the times in the video file are used, as if the '
                f'first frame had been filmed at {times[0]:g} s on the clock of the neurons; '
                'unless it was, set beast.encoding.camera_times or clock_offset_s'
            )
    raise BeastError(
        f'the times of the frames of session {session!r} are unknown, since keypoint files have '
        'none; set beast.encoding.camera_times, or add the features of a store'
    )


def _given_times(
    session: str, activity: Activity, camera_times: Path | None, offset: float
) -> tuple[tuple[Float[np.ndarray, ' frames'], Path] | None, list[str]]:
    """Return the camera times that were given, with their file, and notes about them."""
    if camera_times is not None:
        file = file_of(camera_times, session)
        stamps, dated = read_times(file, 'camera times')
        # an offset shows that the user knows of the two clocks
        if not dated or offset:
            return (stamps, file), []
        return (stamps, file), [
            f'{file} holds dates, which were counted from the first one, as if the first frame '
            'had been filmed at 0 s on the clock of the neurons; unless it was, set '
            'beast.encoding.clock_offset_s'
        ]
    if isinstance(activity, Binned) and activity.frame_times is not None:
        return (activity.frame_times, activity.source), []
    return None, []
