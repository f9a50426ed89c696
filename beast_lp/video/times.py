"""Times of the frames of a video: the one rule of how its time stamps are read and mended."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from beast_lp.video.containers import VideoError

logger = logging.getLogger(f'lightning_pose.{__name__}')

# Share of unusable time stamps from which on they may be those of another order of the frames: an
# AVI file has no room for the order of B-frames, so that a third of its stamps go backwards.
_SHUFFLED_SHARE = 0.1
# frames by which a codec may reorder its packets (H.264 and HEVC)
MOST_REORDERED = 16
# frames of a gap that counts as a clock that started again, if it takes less time than half as
# many frames of the video usually do
_RESTART_FRAMES, _RESTART_SHARE = 10, 0.5


class FrameTimes(NamedTuple):
    """Times of all frames of a video.

    Attributes:
        seconds: (frames,) seconds since the first frame, rising.
        mended: number of frames whose own time stamp is missing or out of order.
        source: origin of the times, in words: `time stamps`, how many of them are mended, or
            `frame rate`.
    """

    seconds: Float[np.ndarray, ' frames']
    mended: int
    source: str


def frame_times(video: Path, stamps: Sequence[float] | np.ndarray, fps: float) -> FrameTimes:
    """Turn the time stamps of a video's frames into times, and log what had to be mended.

    Time stamps that are missing, doubled or out of order are replaced: the frames get times
    between those of the nearest frames with usable ones. Where most are unusable, or the clock
    starts again within the video, all times follow from the frame rate.

    Args:
        video: video file, for messages.
        stamps: time stamp of each frame in the order of the frames, in seconds from anywhere; NaN
            where a frame has none.
        fps: average frames per second; NaN where that is unknown.

    Raises:
        VideoError: if the frame rate is needed and unknown.

    Examples:
        >>> found = frame_times(Path('mouse.mkv'), [5.0, 5.1, 9.0, 9.0, 9.2], fps=10)
        >>> found.seconds.round(3).tolist(), found.mended
        ([0.0, 0.1, 4.0, 4.1, 4.2], 1)
    """
    given = np.asarray(stamps, np.float64)
    count = len(given)
    usable = _usable(given)
    if count - usable.sum() > _SHUFFLED_SHARE * count and _is_shuffled(given):
        logger.info(
            f'beast: {video} stores the time stamps of its frames in another order than the '
            'frames; they are put in order'
        )
        given = np.sort(given)
        usable = _usable(given)
    mended = count - int(usable.sum())
    if mended == 0:
        return FrameTimes(given - given[:1], 0, 'time stamps')
    if mended * 2 <= count and count - mended > 1:
        seconds = _interpolated(given, usable)
        if not _starts_again(seconds, usable):
            logger.warning(
                f'beast: {video} has {mended} of {count} time stamps that are missing, doubled or '
                'out of order; these frames get times between those of their neighbours'
            )
            source = f'time stamps, {mended} of {count} mended'
            return FrameTimes(seconds - seconds[0], mended, source)
    if not fps > 0:
        raise VideoError(
            f'{video} has neither usable time stamps nor a frame rate; convert it, for example '
            'with `ffmpeg -i video -r RATE video.mp4`'
        )
    logger.warning(
        f'beast: {video} has no usable time stamps ({mended} of {count} are missing, doubled or '
        f'out of order); the times of its frames follow from its frame rate of {fps:g} per second'
    )
    return FrameTimes(np.arange(count) / fps, mended, 'frame rate')


def _usable(stamps: Float[np.ndarray, ' frames']) -> Bool[np.ndarray, ' frames']:
    """Mark the most time stamps that rise from one to the next; of equal ones, the first."""
    finite = np.flatnonzero(np.isfinite(stamps))
    values = stamps[finite]
    marked = np.zeros(len(stamps), bool)
    if not (np.diff(values) <= 0).any():
        marked[finite] = True
        return marked
    # longest rising subsequence: lowest end of a chain of each length, and how it got there
    ends = np.full(len(values) + 1, np.inf)
    at_end = np.empty(len(values) + 1, np.int64)
    before = np.empty(len(values), np.int64)
    longest = 0
    for index, value in enumerate(values):
        length = int(np.searchsorted(ends[:longest], value))
        before[index] = at_end[length - 1] if length else -1
        if value < ends[length]:
            ends[length], at_end[length] = value, index
            longest = max(longest, length + 1)
    index = int(at_end[longest - 1])
    while index >= 0:
        marked[finite[index]] = True
        index = int(before[index])
    return marked


def _is_shuffled(stamps: Float[np.ndarray, ' frames']) -> bool:
    """Return whether the stamps are good ones, each a few frames from its place."""
    if not np.isfinite(stamps).all():
        return False
    places = np.argsort(stamps, kind='stable')
    near = np.abs(places - np.arange(len(stamps))).max() <= MOST_REORDERED
    return bool(near and len(np.unique(stamps)) == len(stamps))


def _interpolated(
    stamps: Float[np.ndarray, ' frames'], usable: Bool[np.ndarray, ' frames']
) -> Float[np.ndarray, ' frames']:
    frames, known = np.arange(len(stamps)), np.flatnonzero(usable)
    step = float(np.median(np.diff(stamps[known]) / np.diff(known)))
    outside = frames - np.clip(frames, known[0], known[-1])
    return np.interp(frames, known, stamps[known]) + step * outside


def _starts_again(
    seconds: Float[np.ndarray, ' frames'], usable: Bool[np.ndarray, ' frames']
) -> bool:
    known = np.flatnonzero(usable)
    gaps = np.diff(known)
    steps = np.diff(seconds[known]) / gaps
    usual = np.median(np.diff(seconds))
    return bool(((gaps > _RESTART_FRAMES) & (steps < _RESTART_SHARE * usual)).any())
