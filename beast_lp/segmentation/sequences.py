"""Stretches of frames that are read at once, for training and for prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from beast_lp.features.store import read_rows
from beast_lp.segmentation.classes import UNSCORED

Features = Float[np.ndarray, 'frames *tokens channels']


@dataclass(frozen=True)
class Window:
    """Frames `start` to `stop` count; `first` to `last` are read, with context around them.

    All are numbers of stored frames of one video; the ends are not included. Beyond `first` and
    `last` the video ends, or begins what the model must not see.
    """

    video: int
    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Batch:
    """Windows side by side, padded at the end to the longest.

    Attributes:
        features: zeros where there is no frame.
        target: `UNSCORED` where nothing was scored, in the context and in the padding.
        valid: true where there is a frame.
    """

    features: Float[Tensor, 'batch frames *tokens channels']
    target: Int[Tensor, 'batch frames']
    valid: Bool[Tensor, 'batch frames']


def stretches(mask: Bool[np.ndarray, ' frames']) -> list[tuple[int, int]]:
    """Return start and stop of each run of true frames, in order."""
    padded = np.concatenate([[False], mask, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def cut(
    video: int,
    start: int,
    stop: int,
    length: int,
    context: int,
    offset: int = 0,
) -> list[Window]:
    """Cut a stretch into windows that cover each of its frames once.

    Args:
        video: number of the video.
        start: first frame of the stretch.
        stop: frame after the last one.
        length: frames of a window.
        context: frames to read on either side, as far as the stretch reaches.
        offset: 0 to `length` - 1; so much shorter is the first window.
    """
    edges = [start, *range(start + length - offset, stop, length), stop]
    return [
        Window(video, a, b, max(start, a - context), min(stop, b + context))
        for a, b in zip(edges[:-1], edges[1:], strict=True)
        if b > a
    ]


def training_windows(
    train: Sequence[Bool[np.ndarray, ' frames']],
    length: int,
    context: int,
    rng: np.random.Generator,
) -> list[Window]:
    """Cut all training frames into windows, at random places, in random order."""
    windows = [
        window
        for video, mask in enumerate(train)
        for start, stop in stretches(mask)
        for window in cut(video, start, stop, length, context, int(rng.integers(length)))
    ]
    return [windows[i] for i in rng.permutation(len(windows))]


def balanced_windows(
    train: Sequence[Bool[np.ndarray, ' frames']],
    targets: Sequence[Int[np.ndarray, ' frames']],
    length: int,
    context: int,
    rng: np.random.Generator,
) -> list[Window]:
    """Draw as many windows as `training_windows` cuts, around frames of all classes alike.

    The class is drawn first, then one of its frames, which lies anywhere in the window.
    """
    count = sum(
        max(1, -(-(stop - start) // length)) for mask in train for start, stop in stretches(mask)
    )
    labels = np.concatenate(
        [np.where(mask, target, UNSCORED) for mask, target in zip(train, targets, strict=True)]
    )
    ends = np.cumsum([len(mask) for mask in train])
    where = [np.flatnonzero(labels == label) for label in np.unique(labels[labels != UNSCORED])]
    runs = [np.array(stretches(mask)) for mask in train]
    windows = []
    for number in rng.integers(len(where), size=count):
        place = int(where[number][rng.integers(len(where[number]))])
        video = int(np.searchsorted(ends, place, 'right'))
        frame = place - int(ends[video]) + len(train[video])
        low, high = map(int, runs[video][np.searchsorted(runs[video][:, 1], frame, 'right')])
        start = int(np.clip(frame - rng.integers(length), low, max(low, high - length)))
        stop = min(high, start + length)
        windows.append(
            Window(video, start, stop, max(low, start - context), min(high, stop + context))
        )
    return windows


def read_batch(
    windows: Sequence[Window],
    features: Sequence[Features],
    targets: Sequence[Int[np.ndarray, ' frames']] | None = None,
    stretch: Sequence[float] | None = None,
) -> Batch:
    """Read windows from the (memory-mapped) features of their videos.

    Args:
        windows: at least one.
        features: of each video.
        targets: of each video; None for prediction.
        stretch: of each window, how much faster the animal shall seem (2: every other frame, 0.5:
            every frame twice); None for no change.
    """
    frames = [
        _frames(window, 1.0 if stretch is None else stretch[i]) for i, window in enumerate(windows)
    ]
    longest = max(map(len, frames))
    shape = features[windows[0].video].shape[1:]
    batch = Batch(
        torch.zeros(len(windows), longest, *shape),
        torch.full((len(windows), longest), UNSCORED),
        torch.zeros(len(windows), longest, dtype=torch.bool),
    )
    for row, (window, chosen) in enumerate(zip(windows, frames, strict=True)):
        first = chosen[0]
        block = read_rows(features[window.video], first, chosen[-1] + 1)
        batch.features[row, : len(chosen)] = torch.from_numpy(block[chosen - first])
        batch.valid[row, : len(chosen)] = True
        if targets is not None:
            target = targets[window.video][chosen].copy()
            target[(chosen < window.start) | (chosen >= window.stop)] = UNSCORED
            batch.target[row, : len(chosen)] = torch.from_numpy(target)
    return batch


def _frames(window: Window, speed: float) -> Int[np.ndarray, ' frames']:
    """Return the frames to read, in order."""
    count = max(1, round((window.last - window.first) / speed))
    steps = np.floor(np.arange(count) * speed).astype(np.int64)
    return window.first + np.minimum(steps, window.last - window.first - 1)
