"""When the rows of a session's sources were taken: frames of its video, own times, or trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from beast_lp.config.encoding import EncodingConfig
from beast_lp.encoding.activity import Activity
from beast_lp.encoding.align import Bins, Near, frames_near
from beast_lp.encoding.sources import frame_times
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
        known = np.isfinite(np.concatenate(arrays, axis=1)).all(axis=1)[trial]
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
