"""Split of the anchors into training and validation: whole videos, or blocks of time."""

import math

import numpy as np
import pandas as pd

from beast_lp.errors import BeastError
from beast_lp.runs.seeds import numpy_generator

# smallest number of videos of which whole ones are held out: one is then about a fifth of the data
# at most. With fewer, training would lose more than validation gains.
WHOLE_VIDEOS_FROM = 5
# seconds between a held-out block and the training frames: a posture lasts that long. In a short
# video, no more than this share of its length, which would else leave little to train on.
GAP_SECONDS, MOST_GAP = 1.0, 0.1


def split_windows(
    table: pd.DataFrame,
    fraction: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the anchors for training and those that are held out.

    From `WHOLE_VIDEOS_FROM` videos on, whole videos are held out, as few as give the fraction;
    with fewer videos, one contiguous block of every video's anchors, with a gap of a second on
    both sides between the frames of its windows and those of training (a tenth of the video where
    that is shorter), and of at least one anchor. Neighbouring frames are near copies of each
    other, so a random split would validate on the training frames. Every project of a joint run
    is split by itself.

    Args:
        table: the store's table, one row per window with `video_id`, `frame`, `project`, and
            `step` and `fps`, which may be missing or NaN: the gap is then one anchor.
        fraction: share of the anchors to hold out.
        seed: seed of the draw of videos or blocks.

    Returns:
        rows for training and rows held out; none are held out where the fraction is 0.

    Raises:
        BeastError: if nothing is left to train on.

    Examples:
        >>> frames = {'video_id': 'a', 'project': '', 'frame': range(10)}
        >>> training, held_out = split_windows(pd.DataFrame(frames), fraction=0.2, seed=0)
        >>> training.tolist(), held_out.tolist()
        ([4, 5, 6, 7, 8, 9], [1, 2])
    """
    table = table.reset_index(drop=True)
    parts = [
        _split_project(project, fraction, seed)
        for _, project in table.groupby('project', sort=True)
    ]
    training, held_out = (
        np.concatenate([np.empty(0, np.int64), *part]) for part in zip(*parts, strict=True)
    )
    if len(training) < 2:
        raise BeastError(
            f'the videos give only {len(table)} anchors, too few to train on; add videos'
        )
    return training, held_out


def _split_project(
    table: pd.DataFrame,
    fraction: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    groups = [group.sort_values('frame') for _, group in table.groupby('video_id', sort=True)]
    if fraction == 0:
        return table.index.to_numpy(), np.empty(0, np.int64)
    if len(groups) >= WHOLE_VIDEOS_FROM:
        return _split_videos([group.index.to_numpy() for group in groups], fraction, seed)
    return _split_blocks(groups, fraction, seed)


def _split_videos(
    videos: list[np.ndarray],
    fraction: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out videos until the fraction is reached, but never all."""
    order = numpy_generator(seed, 'split').permutation(len(videos))
    wanted = fraction * sum(map(len, videos))
    held_out: list[np.ndarray] = []
    for i in order[:-1]:
        if held_out and sum(map(len, held_out)) >= wanted:
            break
        held_out.append(videos[i])
    return np.concatenate([videos[i] for i in sorted(order[len(held_out) :])]), np.concatenate(
        held_out
    )


def _split_blocks(
    videos: list[pd.DataFrame],
    fraction: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a block of every video, except those too short for it."""
    draw = numpy_generator(seed, 'split')
    train: list[np.ndarray] = []
    held_out: list[np.ndarray] = []
    for video in videos:
        rows, frames = video.index.to_numpy(), video['frame'].to_numpy()
        size = math.ceil(len(rows) * fraction)
        if len(rows) < size + 3:
            train.append(rows)
            continue
        start = int(draw.integers(0, len(rows) - size + 1))
        stop, gap = start + size, _gap(video)
        before = min(start - 1, int(np.searchsorted(frames, frames[start] - gap)))
        after = max(stop + 1, int(np.searchsorted(frames, frames[stop - 1] + gap, side='right')))
        left = [rows[: max(before, 0)], rows[after:]]
        if not sum(map(len, left)):
            train.append(rows)
            continue
        held_out.append(rows[start:stop])
        train += left
    nothing = [np.empty(0, np.int64)]
    return np.concatenate(nothing + train), np.concatenate(nothing + held_out)


def _gap(video: pd.DataFrame) -> float:
    """Return the least distance of anchors on two sides of a gap, in frames; 0 where unknown."""
    if not {'fps', 'step'} <= set(video) or not video['fps'].iloc[0] > 0:
        return 0.0
    length = video['frame'].iloc[-1] - video['frame'].iloc[0]
    # the windows of both sides reach into the gap
    return 2 * video['step'].iloc[0] + min(GAP_SECONDS * video['fps'].iloc[0], MOST_GAP * length)
