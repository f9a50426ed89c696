"""Events that people scored in BORIS: bouts in seconds of their video.

`boris_table` reads the table, `boris_media` finds where in which video an event was, and
`boris_labels` labels the frames of the video.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from pathlib import Path

from beast_lp.config.checks import nearest
from beast_lp.errors import BeastError
from beast_lp.segmentation.boris_labels import Event
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

logger = logging.getLogger(f'lightning_pose.{__name__}')

# how the two layouts of BORIS name events without an animal
_NO_SUBJECT = 'No focal subject'


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
