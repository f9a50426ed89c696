"""Event tables that BORIS exports: bouts in seconds, and the labels of frames from them."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from beast_lp.errors import BeastError
from beast_lp.segmentation.classes import Labels
from beast_lp.segmentation.one_hot import column_separator

# the names of columns differ between versions of BORIS
_START = ('Start (s)', 'Start')
_STOP = ('Stop (s)', 'Stop')
_TIME = ('Time', 'Time (s)')
_STATUS = ('Behavior type', 'Status', 'Type')
_MEDIA = ('Media file name', 'Media file path', 'Media file')


@dataclass(frozen=True)
class Event:
    """One bout of a BORIS table, in seconds of its video; a point event has no length."""

    behavior: str
    start: float
    stop: float


def read_boris(path: Path, video: str, subject: str | None = None) -> list[Event]:
    """Read the events of one video from a BORIS export (tabular or aggregated events).

    Args:
        path: text separated by commas, semicolons or tabs; lines above the column names are
            skipped.
        video: name of the video file without suffix; where the table names media files, only its
            rows count.
        subject: where the table names subjects, only its rows count; None takes all.

    Returns:
        the events in the order of their starts; may be empty.

    Raises:
        BeastError: if it is not such a table, a cell is empty, or a START has no STOP.
    """
    table = _event_table(path)
    stems = _media_stems(table)
    if stems is not None:
        table = table.loc[[stem == video for stem in stems]]
    if subject is not None and 'Subject' in table:
        table = table.loc[table['Subject'].astype(str) == subject]
    if (table['Behavior'].str.strip() == '').any():
        raise BeastError(
            f'{path} has a row without a behaviour; correct it in BORIS and export again'
        )
    start, stop = _column(table, _START), _column(table, _STOP)
    if start is not None and stop is not None:
        names = table['Behavior'].astype(str)
        starts, stops = (_seconds(path, table, name) for name in (start, stop))
        events = [Event(*row) for row in zip(names, starts, stops, strict=True)]
    else:
        events = _pair_events(path, table)
    backwards = next((event for event in events if event.stop < event.start), None)
    if backwards:
        raise BeastError(
            f'{path}: {backwards.behavior} stops at {backwards.stop:g} s, before it starts '
            f'({backwards.start:g} s); correct it in BORIS and export again'
        )
    return sorted(events, key=lambda event: event.start)


def coded_videos(path: Path) -> tuple[str, ...] | None:
    """Return the names of the videos in a BORIS table.

    Args:
        path: table, as for `read_boris`.

    Returns:
        names of the video files without suffix, or None where the table names no media files.

    Raises:
        BeastError: if it is not such a table.
    """
    stems = _media_stems(_event_table(path))
    return None if stems is None else tuple(dict.fromkeys(stems))


def events_to_labels(
    events: Sequence[Event],
    classes: Sequence[str],
    times: Float[np.ndarray, ' frames'],
    source: Path,
) -> Labels:
    """Label every frame with the behaviour at its time, or else as `background`.

    A point event labels the one frame that is shown at that moment.

    Args:
        events: events of one video, in the order of their starts.
        classes: names, `background` first.
        times: times of all frames, s.
        source: file of the events, for the messages.

    Raises:
        BeastError: if two events overlap, or one starts after the end of the video.

    >>> events = [Event('walk', 0.2, 0.4)]
    >>> times = np.arange(5) / 10
    >>> events_to_labels(events, ['background', 'walk'], times, Path('a.csv')).target.tolist()
    [0, 0, 1, 1, 0]
    """
    for before, after in zip(events, events[1:], strict=False):
        if after.start < before.stop:
            raise BeastError(
                f'{source}: {before.behavior} ({before.start:g} to {before.stop:g} s) and '
                f'{after.behavior} (from {after.start:g} s) overlap; a frame has one behaviour, '
                'so correct the events, or choose one animal with beast.segmentation.subject'
            )
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    target = np.zeros(len(times), dtype=np.int64)
    for event in events:
        first = int(np.searchsorted(times, event.start, 'left'))
        if event.start == event.stop:
            first = max(0, int(np.searchsorted(times, event.start, 'right')) - 1)
        if event.start > times[-1] + step:
            raise BeastError(
                f'{source}: {event.behavior} starts at {event.start:g} s, but the video ends at '
                f'{times[-1]:.2f} s; the events are longer than the video, so check that they '
                'belong to it'
            )
        last = max(first + 1, int(np.searchsorted(times, event.stop, 'left')))
        target[first : last if event.stop > event.start else first + 1] = list(classes).index(
            event.behavior
        )
    return Labels(tuple(classes), target)


def _event_table(path: Path) -> pd.DataFrame:
    """Read the rows below the column names as text; an empty cell stays empty."""
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise BeastError(f'{path} cannot be read as text ({error}); export it again') from error
    lines = text.splitlines()
    for number, line in enumerate(lines):
        separator = column_separator(line)
        names = [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
        if 'Behavior' in names:
            rows = csv.reader(io.StringIO('\n'.join(lines[number + 1 :])), delimiter=separator)
            filled = [_event_row(path, row, names) for row in rows if any(map(str.strip, row))]
            table = pd.DataFrame(filled, columns=pd.Index(names), dtype=str)
            return table.loc[:, ~table.columns.duplicated()]
    raise BeastError(
        f'{path} is no BORIS event table: no line of it names a column Behavior; use '
        '"Export events" in BORIS, tabular or aggregated, as CSV or TSV'
    )


def _media_stems(table: pd.DataFrame) -> list[str] | None:
    media = _column(table, _MEDIA)
    if media is None:
        return None
    return [Path(name.replace('\\', '/')).stem for name in table[media].astype(str)]


def _event_row(path: Path, row: list[str], names: Sequence[str]) -> list[str]:
    """Pad or cut a row to the number of columns."""
    # a separator at the end of a row adds an empty cell, and some programs leave such cells out
    filled = [*row, *[''] * (len(names) - len(row))]
    if any(map(str.strip, filled[len(names) :])):
        raise BeastError(
            f'{path} has {len(names)} columns, but a row of {len(row)} cells '
            f'({", ".join(row[:4])}, ...); put text that holds a separator into quotes, or export '
            'again'
        )
    return filled[: len(names)]


def _pair_events(path: Path, table: pd.DataFrame) -> list[Event]:
    """Turn rows of START, STOP and POINT into events."""
    time, status = _column(table, _TIME), _column(table, _STATUS)
    if time is None or status is None:
        raise BeastError(
            f'{path} has neither Start and Stop columns nor Time and Status columns '
            f'(found {", ".join(table.columns)}); export tabular or aggregated events from BORIS'
        )
    events: list[Event] = []
    running: dict[tuple[str, str], float] = {}
    subjects = table['Subject'].astype(str) if 'Subject' in table else [''] * len(table)
    rows = zip(
        subjects,
        table['Behavior'].astype(str),
        _seconds(path, table, time),
        table[status].astype(str).str.strip().str.upper(),
        strict=True,
    )
    for subject, behavior, seconds, kind in rows:
        key = subject, behavior
        if kind == 'START' and key not in running:
            running[key] = seconds
        elif kind == 'STOP' and key in running:
            events.append(Event(behavior, running.pop(key), seconds))
        elif kind == 'POINT':
            events.append(Event(behavior, seconds, seconds))
        else:
            problem = {'START': 'a second START', 'STOP': 'a STOP without START'}.get(
                kind, f'the unknown type {kind!r}'
            )
            raise BeastError(
                f'{path}: {behavior} has {problem} at {seconds:g} s; correct it in BORIS and '
                'export again'
            )
    if running:
        (_, behavior), seconds = next(iter(running.items()))
        raise BeastError(
            f'{path}: {behavior} starts at {seconds:g} s and never stops; correct it in BORIS and '
            'export again'
        )
    return events


def _column(table: pd.DataFrame, names: Iterable[str]) -> str | None:
    return next((name for name in names if name in table), None)


def _seconds(path: Path, table: pd.DataFrame, name: str) -> list[float]:
    seconds = []
    for value, behavior in zip(table[name], table['Behavior'], strict=True):
        try:
            seconds.append(float(value))
        except ValueError:
            seconds.append(math.nan)
        if not math.isfinite(seconds[-1]):
            raise BeastError(
                f'{path}: the column {name} must hold seconds, found {value!r} for {behavior}; '
                'choose seconds as the time format in BORIS, or fill the cell'
            )
    return seconds
