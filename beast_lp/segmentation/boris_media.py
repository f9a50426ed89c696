"""Where in which video a bout of a BORIS observation was."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from beast_lp.config.checks import nearest
from beast_lp.errors import BeastError
from beast_lp.segmentation.boris_table import MEDIA, BorisTable, Observation, media_stem

# s; times from here on are dates: the date of the media was chosen as their offset
_DATE = 1e8
# s by which the media that a row names may be beside the one at its time: at a border of two
_BESIDE = 0.5
# s, and frames, by which two frame numbers and two times may differ
_LATE, _LATE_FRAMES = 0.25, 2
_TIMES_OF_VIDEO = (
    '; if the times count from the start of this video, delete the columns Observation type, '
    'Source and Media file name'
)


class Edge(NamedTuple):
    """The start or the end of a bout.

    Attributes:
        time: s, as the table has it.
        frame: number of the frame in its media file; None where the table has none.
    """

    time: float
    frame: int | None


@dataclass(frozen=True)
class Bout:
    """A bout of an observation; a point event starts and stops at one time."""

    behavior: str
    subject: str
    observation: Observation
    medium: str
    start: Edge
    stop: Edge


class Span(NamedTuple):
    """Where a bout is in a video; the fields are those of `Event`."""

    start: float
    stop: float
    start_frame: int | None
    stop_frame: int | None
    rate: float | None
    media_duration: float | None


def rows_of_video(table: BorisTable, video: str) -> list[bool]:
    """Return for each row whether it belongs to an observation of a video.

    Args:
        table: rows, and the observation of each.
        video: name of the video file without suffix.

    Raises:
        BeastError: if no row does, or it is not certain which do.
    """
    path, observations = table.path, table.observations
    if not observations:
        raise BeastError(
            f'{path} has no events, so that all of {video} would count as background; export the '
            'events again, or leave the video out'
        )
    names = list(dict.fromkeys(name for own in observations for name in own.media))
    fits = [video in map(media_stem, own.media) for own in observations]
    without = [not own.media for own in observations]
    not_video = sum(not own.is_video for own in observations)
    if table.column(MEDIA) is None and not names and not not_video:
        # a table that names no media at all serves one video
        return [True] * len(fits)
    unnamed = [
        behavior
        for behavior, own, no_name in zip(
            table.rows['Behavior'], observations, without, strict=True
        )
        if no_name and own.is_video
    ]
    if unnamed:
        raise BeastError(
            f'{path}: {len(unnamed)} of {len(fits)} rows (the first is of {unnamed[0]}) name no '
            'media file, so that it is not certain which video they belong to; fill in the cells, '
            'or delete the rows'
        )
    if not any(fits):
        raise BeastError(
            f'{path}: none of its {len(fits)} rows belongs to the video {video}'
            f'{_found(names, not_video)}, so that the whole video would count as background'
            f'{_TIMES_OF_VIDEO if not_video == len(fits) else ""}'
            f'{nearest(video, [media_stem(name) for name in names])}'
        )
    own = [name for name in names if media_stem(name) == video]
    similar = [n for n in names if media_stem(n) != video and _alike(media_stem(n), video)]
    if similar:
        raise BeastError(
            f'{path} names the media files {own[0]} and {similar[0]}, of which only the first is '
            f'called as the video {video}; give both names the same spelling, or rename one'
        )
    longest = max(own, key=len)
    other = next((name for name in own if not _ends_with(longest, name)), None)
    if other is not None:
        raise BeastError(
            f'{path} names two media files that are called {video} ({longest} and {other}), so '
            'that their events would be mixed; rename one of them, or export them apart'
        )
    return fits


def in_video(path: Path, bout: Bout, video: str) -> Span | None:
    """Return the part of a bout that is in a video; None if no part is.

    Args:
        path: file of the bout, for the message.
        bout: bout of an observation of the video.
        video: name of the video file without suffix.

    Raises:
        BeastError: if it is not certain where the bout was.
    """
    observation = bout.observation
    media = observation.media or (video,)
    found = [number for number, name in enumerate(media) if media_stem(name) == video]
    if observation.media and len(found) != 1:
        raise BeastError(
            f'{path}: the observation {observation.name} plays {video} {len(found)} times, so '
            'that it is not certain which of them an event belongs to; export them apart'
        )
    own = found[0] if found else 0
    rate = observation.rates[own] if observation.rates else math.nan
    known_rate = rate if rate > 0 else None
    duration = observation.durations[own] if observation.durations else None
    start, stop = (round(edge.time - observation.offset, 6) for edge in (bout.start, bout.stop))
    if start >= _DATE:
        return _by_frames(path, bout, video, known_rate, duration)
    if len(media) > 1 and not observation.durations:
        raise BeastError(
            f'{path}: the observation {observation.name or ""} plays {len(media)} media files '
            f'({", ".join(map(media_stem, media[:3]))}), but the table does not say how long each '
            'is (a column Media duration (s)), so that the times of its events in '
            f'{video} cannot be told; export with BORIS 8.20 or later, or one observation per '
            'video'
        )
    borders = [0.0]
    for length in observation.durations if len(media) > 1 else ():
        borders.append(round(borders[-1] + length, 6))
    _check_named(path, bout, media, borders)
    first, last = borders[own], borders[own + 1] if own + 1 < len(media) else math.inf
    # what is before the first file or after the last is not cut off: it is an error
    low = first if own else -math.inf
    inside = low <= start < last if start == stop else start < last and stop > low
    if not inside:
        return None
    return Span(
        round(max(start, low) - first, 6),
        round(min(stop, last) - first, 6),
        _own_frame(bout.start.frame, start, first, known_rate) if start >= low else None,
        _own_frame(bout.stop.frame, stop, first, known_rate) if stop < last else None,
        known_rate,
        duration,
    )


def _own_frame(
    frame: int | None,
    time: float,
    first: float,
    rate: float | None,
) -> int | None:
    """Return the number of a frame in its file; None where it counts from the first file."""
    if frame is None or rate is None or not first:
        return frame
    own, of_all = (abs(frame / rate - seconds) for seconds in (time - first, time))
    # such a number says no more than the time
    return None if of_all < own and of_all <= _LATE else frame


def _by_frames(
    path: Path,
    bout: Bout,
    video: str,
    rate: float | None,
    duration: float | None,
) -> Span | None:
    """Return where a bout is whose times are dates, from its numbers of frames."""
    if len(bout.observation.media) > 1 and media_stem(bout.medium) != video:
        return None
    first, last = bout.start.frame, bout.stop.frame
    seconds = bout.stop.time - bout.start.time
    if first is None or last is None or rate is None:
        problem = 'the columns Image index and FPS do not say which frames are meant'
    elif abs((last - first) / rate - seconds) > max(_LATE, _LATE_FRAMES / rate):
        problem = f'it lasts {seconds:g} s, but {last - first} frames at {rate:g} per second'
    else:
        return Span(first / rate, last / rate, first, last, rate, duration)
    raise BeastError(
        f'{path}: the times of {bout.behavior} ({bout.start.time:.3f}) are dates, not seconds of '
        f'{video}, and {problem}; export again without the creation date of the media as offset'
    )


def _check_named(path: Path, bout: Bout, media: Sequence[str], borders: Sequence[float]) -> None:
    """Check that the file that a row names is the one at its time."""
    if not bout.medium:
        return
    # BORIS looks the name up at the time with its offset
    times = (bout.start.time, bout.start.time - bout.observation.offset)
    ends = [*borders[1 : len(media)], math.inf]
    at_time = {
        media_stem(name)
        for name, begin, end in zip(media, borders, ends, strict=False)
        for time in times
        if len(media) == 1 or begin - _BESIDE <= time <= end + _BESIDE
    }
    if media_stem(bout.medium) not in at_time and times[1] >= 0:
        raise BeastError(
            f'{path}: the row of {bout.behavior} at {bout.start.time:g} s names the media file '
            f'{bout.medium}, but the columns Source, Media duration (s) and Time offset (s) tell '
            f'of {" or ".join(sorted(at_time))}; correct the table, or export it again'
        )


def _found(names: Sequence[str], not_video: int) -> str:
    """Return, for a message, what a table has."""
    parts = []
    if names:
        parts.append(f'its media files are {", ".join(names[:3])}')
    if not_video:
        parts.append(f'{not_video} rows are of live observations or pictures')
    return f' ({"; ".join(parts)})'


def _alike(name: str, other: str) -> bool:
    return name.strip().casefold() == other.strip().casefold()


def _ends_with(path: str, part: str) -> bool:
    """Return whether a path ends with another, folder by folder."""
    parts, own = (PurePosixPath(name.replace('\\', '/')).parts for name in (path, part))
    return parts[len(parts) - len(own) :] == own
