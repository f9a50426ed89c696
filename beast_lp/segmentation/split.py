"""What is trained on and what is held out: whole videos, or blocks of frames with gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from beast_lp.errors import BeastError
from beast_lp.runs.seeds import numpy_generator

Masks = Mapping[str, Bool[np.ndarray, ' frames']]


@dataclass(frozen=True)
class Fold:
    """One division of the frames of all videos, by the videos' names.

    Attributes:
        name: of the folder of its models.
        train: frames to learn from.
        test: frames to be scored on; frames in neither (gaps) are used for nothing but context of
            the test frames.
    """

    name: str
    train: Masks
    test: Masks


def whole(lengths: Mapping[str, int]) -> Fold:
    """Train on everything; nothing is held out."""
    return Fold(
        'all',
        {name: np.ones(frames, dtype=bool) for name, frames in lengths.items()},
        {name: np.zeros(frames, dtype=bool) for name, frames in lengths.items()},
    )


def hold_out_videos(lengths: Mapping[str, int], test: Sequence[str], name: str = 'all') -> Fold:
    """Hold out whole videos.

    Args:
        lengths: frames of each video.
        test: names of the videos that are held out.
        name: of the fold.
    """
    return Fold(
        name,
        {video: np.full(frames, video not in test) for video, frames in lengths.items()},
        {video: np.full(frames, video in test) for video, frames in lengths.items()},
    )


def hold_out_blocks(lengths: Mapping[str, int], block: int, every: int, gap: int) -> Fold:
    """Hold out every n-th block of frames of every video.

    Neighbouring frames are almost copies of each other: the frames beside a held-out block, `gap`
    on either side, are not trained on.

    Args:
        lengths: frames of each video.
        block: frames of a block; the last one of a video may be shorter.
        every: n; the blocks n, 2n, ... (counted from 1) are held out.
        gap: frames.

    Raises:
        BeastError: if no video is long enough for one held-out block.
    """
    train, test = {}, {}
    for name, frames in lengths.items():
        held_out = (np.arange(frames) // block) % every == every - 1
        near = held_out.copy()
        for shift in range(1, gap + 1):
            near[shift:] |= held_out[:-shift]
            near[:-shift] |= held_out[shift:]
        train[name], test[name] = ~near, held_out
    if not any(mask.any() for mask in test.values()):
        raise BeastError(
            f'the longest video has {max(lengths.values())} frames, too few to hold out every '
            f'{every}. block of {block} frames; lower beast.segmentation.split.block_frames'
        )
    return Fold('all', train, test)


def fold_videos(lengths: Mapping[str, int], folds: int, seed: int) -> list[Fold]:
    """Hold out each video once, in `folds` groups drawn at random.

    Raises:
        BeastError: if there are fewer videos than folds.
    """
    names = list(lengths)
    if len(names) < folds:
        raise BeastError(
            f'beast.segmentation.split.folds={folds} needs as many videos with labels, found '
            f'{len(names)}; lower it, or use beast.segmentation.split.by=block'
        )
    order = numpy_generator(seed, 'folds').permutation(len(names))
    return [
        hold_out_videos(lengths, [names[i] for i in order[fold::folds]], f'fold_{fold}')
        for fold in range(folds)
    ]
