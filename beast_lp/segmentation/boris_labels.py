"""Labels of the frames of a video, from events in seconds and, where known, in frames."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from beast_lp.errors import BeastError
from beast_lp.segmentation.classes import Labels
from beast_lp.segmentation.labelling import BACKGROUND, EXCLUSIVE, Labelling

# s by which an event may end after its video: the sound of a video may be longer than its frames
_PAST_END = 1.0
# share of its length by which the media file that was scored and the video may differ
_LENGTH_SHARE = 0.02
# s; BORIS rounds times to milliseconds
_ROUNDED = 0.0005
# s by which the number of a frame and the time of an event may differ: BORIS reads the two one
# after the other while the video runs
_LATE = 0.25


@dataclass(frozen=True)
class Event:
    """One bout in a video; a point event has no length.

    Attributes:
        behavior: name of the behaviour.
        start: s from the start of the video.
        stop: s from the start of the video.
        start_frame: number of the first frame, where the table has it.
        stop_frame: number of the frame after the last, where the table has it.
        rate: frames per second by which BORIS counted the frames; None where unknown.
        media_duration: s of the media file that was scored; None where unknown.
    """

    behavior: str
    start: float
    stop: float
    start_frame: int | None = field(default=None, compare=False)
    stop_frame: int | None = field(default=None, compare=False)
    rate: float | None = field(default=None, compare=False)
    media_duration: float | None = field(default=None, compare=False)


def events_to_labels(
    events: Sequence[Event],
    classes: Sequence[str],
    times: Float[np.ndarray, ' frames'],
    source: Path,
    ignored: Collection[str] = (),
    labelling: Labelling = EXCLUSIVE,
) -> Labels:
    """Label every frame with what is shown at its time, or else as `background`.

    A point event labels the one frame that is shown at that moment. Where an event has the numbers
    of its frames, these take precedence over its times, which are rounded.

    Args:
        events: events of one video, in the order of their starts.
        classes: names, `background` first.
        times: times of all frames, s.
        source: file of the events, for the messages.
        ignored: behaviours over which others take precedence.
        labelling: whether a frame has one behaviour or all that are shown.

    Raises:
        BeastError: if two events overlap where a frame has one behaviour, one is not in the video,
            or its frame and its time contradict each other.

    Examples:
        >>> events = [Event('walk', 0.2, 0.4)]
        >>> times = np.arange(5) / 10
        >>> events_to_labels(events, ['background', 'walk'], times, Path('a.csv')).target.tolist()
        [0, 0, 1, 1, 0]
    """
    kept = [event for event in events if event.behavior not in ignored]
    if not labelling.allows_several:
        check_overlaps(kept, source)
    shown = np.zeros((len(times), len(classes)), dtype=bool)
    points: dict[int, str] = {}
    for event in [*(event for event in events if event.behavior in ignored), *kept]:
        first, last = _frames(event, times, source)
        if not labelling.allows_several:
            if event.start == event.stop and event.behavior not in ignored:
                _check_point(points, first, event, source)
            shown[first:last] = False
        shown[first:last, list(classes).index(event.behavior)] = True
    shown[:, list(classes).index(BACKGROUND)] |= ~shown.any(axis=1)
    return Labels(tuple(classes), labelling.from_flags(shown), labelling)


def _check_point(points: dict[int, str], frame: int, event: Event, source: Path) -> None:
    """Note a point event, and refuse it where another behaviour's is in the same frame."""
    other = points.setdefault(frame, event.behavior)
    if other != event.behavior:
        raise BeastError(
            f'{source}: {other} and {event.behavior} (at {event.start:g} s) are both in frame '
            f'{frame}; a frame has one behaviour, so keep one of them, or set '
            'beast.segmentation.ignore, or beast.segmentation.multi_label=true'
        )


def check_overlaps(events: Sequence[Event], source: Path) -> None:
    """Check that no two behaviours are at one time.

    Args:
        events: events of one video, in the order of their starts.
        source: file of the events, for the message.

    Raises:
        BeastError: if two events of different behaviours overlap.
    """
    lasting: dict[str, Event] = {}
    for after in events:
        for behavior, before in lasting.items():
            together = after.start < before.stop or after.start == before.start
            if together and behavior != after.behavior:
                raise BeastError(
                    f'{source}: {before.behavior} ({before.start:g} to {before.stop:g} s) and '
                    f'{after.behavior} (from {after.start:g} s) overlap; a frame has one '
                    'behaviour, so correct the events, leave one behaviour out with '
                    'beast.segmentation.ignore, choose one animal with '
                    'beast.segmentation.subject, or set beast.segmentation.multi_label=true if '
                    'they can be shown at once'
                )
        own = lasting.get(after.behavior)
        if own is None or after.stop >= own.stop:
            lasting[after.behavior] = after


def _frames(
    event: Event,
    times: Float[np.ndarray, ' frames'],
    source: Path,
) -> tuple[int, int]:
    """Return the first frame of an event and the one after its last."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    end = float(times[-1]) + step
    length = event.media_duration
    if length is not None and abs(length - end) > max(_PAST_END, _LENGTH_SHARE * length):
        raise BeastError(
            f'{source} was scored on a video of {length:g} s (Media duration (s)), but this one '
            f'has {end:.2f} s; give the video that was scored, or score this one'
        )
    if event.start < -_ROUNDED:
        raise BeastError(
            f'{source}: {event.behavior} starts at {event.start:g} s, before its video; correct '
            'it in BORIS (check the time offset) and export again'
        )
    late = event.stop if math.isfinite(event.stop) else event.start
    if event.start > end or late > end + _PAST_END:
        verb, when = ('starts', event.start) if event.start > end else ('stops', event.stop)
        raise BeastError(
            f'{source}: {event.behavior} {verb} at {when:g} s, but the video ends at '
            f'{times[-1]:.2f} s; the events are longer than the video, so check that they '
            'belong to it'
        )
    if event.start == event.stop:
        shown = max(0, int(np.searchsorted(times, event.start + _ROUNDED, 'right')) - 1)
        first = _chosen_frame(event, event.start, event.start_frame, shown, times, source)
        first = min(first, len(times) - 1)
        return first, first + 1
    first, last = (
        _chosen_frame(event, time, frame, by_time, times, source)
        for time, frame in (
            (event.start, event.start_frame),
            (event.stop, event.stop_frame),
        )
        for by_time in [int(np.searchsorted(times, time - _ROUNDED, 'left'))]
    )
    return first, max(first + 1, last)


def _chosen_frame(
    event: Event,
    time: float,
    frame: int | None,
    by_time: int,
    times: Float[np.ndarray, ' frames'],
    source: Path,
) -> int:
    """Return the frame that a table names, or the one at a time if frames were only estimated."""
    if frame is None:
        return by_time
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    beyond = max(0, frame - len(times) + 1)
    off = abs(float(times[min(frame, len(times) - 1)]) + beyond * step - time)
    counted = abs(frame / event.rate - time) if event.rate else math.inf
    # BORIS's player counts frames as time by rate, which is wrong where the rate varies
    if counted + step < off and counted <= _LATE:
        return by_time
    if off <= max(_LATE, 2 * step):
        return frame
    raise BeastError(
        f'{source}: {event.behavior} is at {time:g} s of its video by its time, but that is frame '
        f'{by_time}, not that of its Image index ({frame}); correct one of them, or delete the '
        'columns of the image index'
    )
