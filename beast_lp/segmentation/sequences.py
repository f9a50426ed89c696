"""Sequences of frames that are read at once, for training and for prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.streams import Streams


@dataclass(frozen=True)
class FrameSequence:
    """Frames of one video, and the context that is read around them.

    All frames are numbers of stored frames, and no stop is included. Beyond `first` and `last` the
    video ends, or frames begin that the model must not see.

    Attributes:
        video: number of the video.
        start: first frame that is trained on or predicted.
        stop: frame after the last of those.
        first: first frame that is read.
        last: frame after the last that is read.
    """

    video: int
    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Batch:
    """Sequences side by side, padded at the end to the longest.

    Attributes:
        features: those of each stream, zeros in the padding.
        target: `UNSCORED` in unscored frames, in the context and in the padding.
        valid: false in the padding.
    """

    features: tuple[Float[Tensor, 'batch frames *tokens channels'], ...]
    target: Int[Tensor, 'batch frames']
    valid: Bool[Tensor, 'batch frames']

    def to(self, device: torch.device) -> 'Batch':
        """Return the batch on a device."""
        features = tuple(own.to(device) for own in self.features)
        return Batch(features, self.target.to(device), self.valid.to(device))


def stretches(mask: Bool[np.ndarray, ' frames']) -> list[tuple[int, int]]:
    """Return start and stop of each run of true frames, in order.

    Examples:
        >>> stretches(np.array([True, True, False, True]))
        [(0, 2), (3, 4)]
    """
    padded = np.concatenate([[False], mask, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def cut_sequences(
    video: int,
    start: int,
    stop: int,
    length: int,
    context: int,
    offset: int = 0,
) -> list[FrameSequence]:
    """Cut a stretch into sequences that cover each of its frames once.

    Args:
        video: number of the video.
        start: first frame of the stretch.
        stop: frame after the last one.
        length: frames of a sequence.
        context: frames to read on either side, as far as the stretch reaches.
        offset: 0 to `length` - 1; frames by which the first sequence is shorter.

    Examples:
        >>> [(part.start, part.stop) for part in cut_sequences(0, 0, 25, length=10, context=2)]
        [(0, 10), (10, 20), (20, 25)]
    """
    edges = [start, *range(start + length - offset, stop, length), stop]
    return [
        FrameSequence(video, a, b, max(start, a - context), min(stop, b + context))
        for a, b in zip(edges[:-1], edges[1:], strict=True)
        if b > a
    ]


def training_sequences(
    train: Sequence[Bool[np.ndarray, ' frames']],
    length: int,
    context: int,
    rng: np.random.Generator,
) -> list[FrameSequence]:
    """Cut all training frames into sequences, at random places, in random order.

    Args:
        train: training frames of each video.
        length: frames of a sequence.
        context: frames to read on either side.
        rng: generator of the places and the order.
    """
    sequences = [
        sequence
        for video, mask in enumerate(train)
        for start, stop in stretches(mask)
        for sequence in cut_sequences(
            video, start, stop, length, context, int(rng.integers(length))
        )
    ]
    return [sequences[i] for i in rng.permutation(len(sequences))]


def read_batch(
    sequences: Sequence[FrameSequence],
    features: Sequence[Streams],
    targets: Sequence[Int[np.ndarray, ' frames']] | None = None,
) -> Batch:
    """Read sequences from the (memory-mapped) features of their videos.

    Args:
        sequences: at least one.
        features: features of each video.
        targets: class of each frame of each video; None for prediction.
    """
    longest = max(sequence.last - sequence.first for sequence in sequences)
    shapes = features[sequences[0].video].shapes
    batch = Batch(
        tuple(torch.zeros(len(sequences), longest, *shape) for shape in shapes),
        torch.full((len(sequences), longest), UNSCORED),
        torch.zeros(len(sequences), longest, dtype=torch.bool),
    )
    for row, sequence in enumerate(sequences):
        first, last = sequence.first, sequence.last
        blocks = features[sequence.video].read(first, last)
        for own, block in zip(batch.features, blocks, strict=True):
            own[row, : last - first] = torch.from_numpy(block)
        batch.valid[row, : last - first] = True
        if targets is not None:
            scored = slice(sequence.start - first, sequence.stop - first)
            target = targets[sequence.video][sequence.start : sequence.stop]
            batch.target[row, scored] = torch.from_numpy(target)
    return batch
