"""Which anchors are held out for validation: whole videos, or blocks of time."""

import math

import numpy as np
import pandas as pd

from beast_lp.errors import BeastError
from beast_lp.runs.seeds import numpy_generator

# from so many videos on, `auto` holds whole videos out: one of them is then a fifth of the data at
# most. With fewer, training would lose more than validation gains.
WHOLE_VIDEOS_FROM = 5


def split_windows(
    table: pd.DataFrame,
    fraction: float,
    seed: int,
    how: str = 'auto',
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the anchors for training and those that are held out.

    Neighbouring frames are near copies of each other, so a random split would test on the training
    frames. Every project of a joint run is split by itself.

    Args:
        table: the store's table, one row per window with `video_id`, `frame` and `project`.
        fraction: share of the anchors to hold out.
        seed: places the blocks, chooses the videos.
        how: `videos` holds whole videos out, as few as give the fraction; `blocks` holds out one
            contiguous block of every video's anchors, with a gap of one anchor on both sides;
            `auto` is `videos` from `WHOLE_VIDEOS_FROM` videos on, else `blocks`.

    Returns:
        rows for training and rows held out; none are held out where the fraction is 0.

    Raises:
        BeastError: if nothing is left to train on, or whole videos are asked for and there is one.
    """
    table = table.reset_index(drop=True)
    parts = [
        _split_project(project, fraction, seed, how)
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
    how: str,
) -> tuple[np.ndarray, np.ndarray]:
    videos = [
        group.sort_values('frame').index.to_numpy()
        for _, group in table.groupby('video_id', sort=True)
    ]
    if fraction == 0:
        return table.index.to_numpy(), np.empty(0, np.int64)
    if how == 'auto':
        how = 'videos' if len(videos) >= WHOLE_VIDEOS_FROM else 'blocks'
    if how == 'blocks':
        return _split_blocks(videos, fraction, seed)
    if len(videos) < 2:
        raise BeastError(
            'beast.training.validation=videos needs two videos, one of which is held out, but '
            'only one gives anchors; use beast.training.validation=blocks'
        )
    return _split_videos(videos, fraction, seed)


def _split_videos(
    videos: list[np.ndarray],
    fraction: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Hold videos out until the fraction is reached, but never all."""
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
    videos: list[np.ndarray],
    fraction: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a block of every video; one too short for that is for training only."""
    draw = numpy_generator(seed, 'split')
    train: list[np.ndarray] = []
    held_out: list[np.ndarray] = []
    for rows in videos:
        size = math.ceil(len(rows) * fraction)
        if len(rows) < size + 3:
            train.append(rows)
            continue
        start = int(draw.integers(0, len(rows) - size + 1))
        held_out.append(rows[start : start + size])
        train += [rows[: max(start - 1, 0)], rows[start + size + 1 :]]
    nothing = [np.empty(0, np.int64)]
    return np.concatenate(nothing + train), np.concatenate(nothing + held_out)
