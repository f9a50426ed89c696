"""Events that people scored in BORIS: bouts in seconds of their video, and labels of its frames.

`boris_table` reads the table, `boris_media` finds where in which video an event was.
"""

import logging
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float

from beast_lp.config.checks import nearest
from beast_lp.errors import BeastError
from beast_lp.segmentation.boris_media import Bout, Edge, in_video, rows_of_video
from beast_lp.segmentation.boris_table import (
    FRAME,
    MEDIA,
    START,
    START_FRAME,
    STATUS,
    STOP,
    STOP_FRAME,
    TIME,
    BorisTable,
    media_stem,
    read_table,
)
from beast_lp.segmentation.classes import Labels
from beast_lp.segmentation.labelling import BACKGROUND, EXCLUSIVE, Labelling

logger = logging.getLogger(f'lightning_pose.{__name__}')

# how the two layouts of BORIS name events without an animal
_NO_SUBJECT = 'No focal subject'
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


def read_boris(path: Path, video: str, subject: str | None = None) -> list[Event]:
    """Read the events of one video from a BORIS export (tabular or aggregated events).

    Args:
        path: text separated by commas, semicolons or tabs; lines above the column names are
            skipped, but for what they say of media files and time offset.
        video: name of the video file without suffix; where the table names media files, only its
            events count.
        subject: where the table names subjects, only its rows count; None takes all.

    Returns:
        the events in the order of their starts; at least one.

    Raises:
        BeastError: if it is not such a table, a cell is empty, a START has no STOP, it is not
            certain when or in which video an event was, or the video or the subject has no rows.
    """
    table = read_table(path)
    if subject is not None:
        named = table.column(['Subject']) is not None
        check_subject(path, table.cells(['Subject']) if named else None, subject)
    bouts = _bouts(table, rows_of_video(table, video))
    placed = [(bout, span) for bout in bouts if (span := in_video(path, bout, video)) is not None]
    if not placed:
        raise BeastError(
            f'{path}: none of its events is in {video}, so that the whole video would count as '
            'background; leave the video out, or correct the table'
        )
    _check_observations(path, [bout for bout, _ in placed], video)
    if subject is not None:
        chosen = [pair for pair in placed if _same_subject(pair[0].subject, subject)]
        if not chosen:
            raise BeastError(
                f'{path}: none of the {len(placed)} events of {video} has the subject '
                f'{subject!r} (found {_counted(bout.subject for bout, _ in placed)}), so that the '
                'whole video would count as background; change beast.segmentation.subject, or '
                'leave the video out'
            )
        placed = chosen
    elif len({bout.subject for bout, _ in placed}) > 1:
        logger.warning(
            f'beast: {path} has events of several subjects in {video} '
            f'({_counted(bout.subject for bout, _ in placed)}), and all count; choose one with '
            'beast.segmentation.subject'
        )
    events = [Event(bout.behavior, *span) for bout, span in placed]
    return sorted(events, key=lambda event: event.start)


def check_subject(path: Path, subjects: Collection[str] | None, subject: str) -> None:
    """Check that a table has rows of a subject.

    Args:
        path: file of the table, for the message.
        subjects: subject of each row; None if the table has no such column.
        subject: subject that is asked for.

    Raises:
        BeastError: if no row is of it, or some rows spell it otherwise.
    """
    if subjects is None:
        raise BeastError(
            f'{path} has no column Subject, but beast.segmentation.subject={subject} asks for one '
            'animal; export that column, or set the setting to null'
        )
    found = [name for name in subjects if _same_subject(name, subject)]
    known = list(dict.fromkeys(name or _NO_SUBJECT for name in subjects))
    if not found:
        raise BeastError(
            f'{path}: none of its {len(subjects)} rows has the subject {subject!r} (found '
            f'{_counted(subjects)}){nearest(subject, known)}'
        )
    other = [
        name
        for name in subjects
        if not _same_subject(name, subject) and name.casefold() == subject.casefold()
    ]
    if other:
        raise BeastError(
            f'{path} has {len(found)} rows of the subject {subject!r} and {len(other)} of '
            f'{other[0]!r}, which seem to be one animal; give both the same name'
        )


def coded_videos(path: Path) -> dict[str, int] | None:
    """Return the videos in a BORIS table.

    Args:
        path: table, as for `read_boris`.

    Returns:
        number of rows by the name of the video file without suffix (of several media of one
        observation, the rows count for the one that each names, else for the first); None where
        the table names no media files.

    Raises:
        BeastError: if it is not such a table.
    """
    table = read_table(path)
    counts: dict[str, int] = {}
    for own, medium in zip(table.observations, table.media, strict=True):
        stems = [media_stem(name) for name in own.media]
        for stem in stems:
            counts.setdefault(stem, 0)
        named = media_stem(medium)
        fits = named if named in stems else next(iter(stems), '')
        counts[fits] = counts.get(fits, 0) + 1
    return counts if any(counts) or table.column(MEDIA) is not None else None


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


def _bouts(table: BorisTable, chosen: Sequence[bool]) -> list[Bout]:
    """Return the bouts of chosen rows."""
    path = table.path
    if '' in table.rows.loc[list(chosen), 'Behavior'].to_list():
        raise BeastError(
            f'{path} has a row without a behaviour; correct it in BORIS and export again'
        )
    start, stop = table.column(START), table.column(STOP)
    lasting = start is not None and stop is not None
    table = table.only(chosen)
    if lasting:
        bouts = [
            Bout(behavior, subject, observation, medium, *edges)
            for behavior, subject, observation, medium, *edges in zip(
                table.rows['Behavior'],
                table.cells(['Subject']),
                table.observations,
                table.media,
                _edges(table, str(start), START_FRAME),
                _edges(table, str(stop), STOP_FRAME),
                strict=True,
            )
        ]
    else:
        bouts = _pair_events(table)
    backwards = next((bout for bout in bouts if bout.stop.time < bout.start.time), None)
    if backwards:
        raise BeastError(
            f'{path}: {backwards.behavior} stops at {backwards.stop.time:g} s, before it starts '
            f'({backwards.start.time:g} s); correct it in BORIS and export again'
        )
    return bouts


def _edges(table: BorisTable, time: str, frame: Sequence[str]) -> list[Edge]:
    numbers = [int(x) if x >= 0 and x == int(x) else None for x in table.numbers(frame)]
    return [Edge(*edge) for edge in zip(table.seconds(time), numbers, strict=True)]


def _pair_events(table: BorisTable) -> list[Bout]:
    """Turn rows of START, STOP and POINT into bouts."""
    path, time, status = table.path, table.column(TIME), table.column(STATUS)
    if time is None or status is None:
        raise BeastError(
            f'{path} has neither Start and Stop columns nor Time and Status columns '
            f'(found {", ".join(table.rows.columns)}); export tabular or aggregated events from '
            'BORIS'
        )
    bouts: list[Bout] = []
    running: dict[tuple[object, ...], tuple[Edge, str]] = {}
    modifiers = [name for name in table.rows if str(name).lower().startswith('modifier')]
    rows = zip(
        table.observations,
        table.cells(['Subject']),
        table.rows['Behavior'],
        map(tuple, table.rows[modifiers].to_numpy()),
        table.media,
        _edges(table, time, FRAME),
        table.rows[status].str.upper(),
        strict=True,
    )
    for observation, subject, behavior, modifier, medium, edge, kind in rows:
        key = observation, subject, behavior, modifier
        if kind == 'START' and key not in running:
            running[key] = edge, medium
        elif kind == 'STOP' and key in running:
            start, named = running.pop(key)
            bouts.append(Bout(behavior, subject, observation, named, start, edge))
        elif kind == 'POINT':
            bouts.append(Bout(behavior, subject, observation, medium, edge, edge))
        else:
            problem = {'START': 'a second START', 'STOP': 'a STOP without START'}.get(
                kind, f'the unknown type {kind!r}'
            )
            raise BeastError(
                f'{path}: {behavior} has {problem} at {edge.time:g} s; correct it in BORIS and '
                'export again'
            )
    if running:
        (_, _, behavior, _), (edge, _) = next(iter(running.items()))
        raise BeastError(
            f'{path}: {behavior} starts at {edge.time:g} s and never stops; correct it in BORIS '
            'and export again'
        )
    return bouts


def _check_observations(path: Path, bouts: Sequence[Bout], video: str) -> None:
    """Refuse two observations of one stretch of a video that score the same behaviour."""
    own: dict[str, list[Bout]] = {}
    for bout in bouts:
        own.setdefault(bout.observation.name, []).append(bout)
    for (name, some), (other, more) in combinations(own.items(), 2):
        shared = {(b.subject, b.behavior) for b in some} & {(b.subject, b.behavior) for b in more}
        apart = _end(some) <= _begin(more) or _end(more) <= _begin(some)
        if shared and not apart:
            raise BeastError(
                f'{path} has two observations of {video} ({name} and {other}) that both score '
                f'{min(shared)[1]}, as two scorers would; export one of them'
            )


def _begin(bouts: Sequence[Bout]) -> float:
    return min(bout.start.time - bout.observation.offset for bout in bouts)


def _end(bouts: Sequence[Bout]) -> float:
    return max(bout.stop.time - bout.observation.offset for bout in bouts)


def _same_subject(name: str, wanted: str) -> bool:
    return name == wanted or (wanted == _NO_SUBJECT and not name)


def _counted(names: Iterable[str]) -> str:
    """Return names with the number of times that each occurs.

    Examples:
        >>> _counted(['a', 'b', 'a'])
        'a 2, b 1'
    """
    counts = Counter(name or _NO_SUBJECT for name in names)
    return ', '.join(f'{name} {count}' for name, count in counts.most_common(5))
