"""Which frames are trained on and which are held out: whole videos, or blocks with gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.runs.seeds import numpy_generator

Masks = Mapping[str, Bool[np.ndarray, ' frames']]

# frames of a held-out block, and frames on either side of it that are used for nothing: a block
# lasts several bouts, and frames of less than a second apart are almost copies of each other
BLOCK_FRAMES, GAP_FRAMES = 150, 15


@dataclass(frozen=True)
class Fold:
    """One division of the frames of all videos, by the names of the videos.

    Attributes:
        name: folder of its models.
        train: frames to learn from.
        test: frames to be scored on; frames in neither (gaps) only serve as context of the test
            frames.
    """

    name: str
    train: Masks
    test: Masks


def make_folds(
    lengths: Mapping[str, int],
    config: SegmentationConfig,
    held_out: Sequence[str],
    seed: int,
) -> list[Fold]:
    """Divide the frames of all scored videos as the config says.

    Args:
        lengths: number of frames of each video.
        config: its `split` is read.
        held_out: names of the videos that the config gives as test videos.
        seed: draws the held-out videos, where the config names none.

    Raises:
        BeastError: if no frame would be left for training, or for testing.
    """
    split = config.split
    if split.by == 'none':
        return [hold_out_videos(lengths, ())]
    if split.by == 'block':
        return [hold_out_blocks(lengths, split.folds)]
    if split.by == 'folds':
        return fold_videos(lengths, split.folds, seed)
    names, chosen = list(lengths), list(held_out)
    if split.test_videos is None:
        count = max(1, round(len(names) * split.test_fraction))
        order = numpy_generator(seed, 'split').permutation(len(names))
        chosen = [names[i] for i in order[:count]]
    if not chosen or len(chosen) >= len(names):
        raise BeastError(
            f'{len(names)} videos have labels and {len(chosen)} of them would be held out; score '
            'another video, or hold out blocks of frames (beast.segmentation.split.by=block)'
        )
    return [hold_out_videos(lengths, chosen)]


def hold_out_videos(lengths: Mapping[str, int], test: Sequence[str], name: str = 'all') -> Fold:
    """Hold out whole videos.

    Args:
        lengths: number of frames of each video.
        test: names of the videos that are held out; may be empty.
        name: name of the fold.

    Examples:
        >>> fold = hold_out_videos({'a': 2, 'b': 3}, ['b'])
        >>> fold.train['a'].tolist(), fold.test['b'].tolist()
        ([True, True], [True, True, True])
    """
    return Fold(
        name,
        {video: np.full(frames, video not in test) for video, frames in lengths.items()},
        {video: np.full(frames, video in test) for video, frames in lengths.items()},
    )


def hold_out_blocks(
    lengths: Mapping[str, int],
    every: int,
    block: int = BLOCK_FRAMES,
    gap: int = GAP_FRAMES,
) -> Fold:
    """Hold out every n-th block of frames of every video.

    Neighbouring frames are almost copies of each other: the `gap` frames on either side of a
    held-out block are not trained on.

    Args:
        lengths: number of frames of each video.
        every: n; the blocks n, 2n, ... (counted from 1) are held out.
        block: frames of a block; the last one of a video may be shorter.
        gap: frames between held-out and training frames.

    Raises:
        BeastError: if no video is long enough for one held-out block.

    Examples:
        >>> fold = hold_out_blocks({'a': 9}, every=2, block=3, gap=1)
        >>> np.flatnonzero(fold.test['a']).tolist(), np.flatnonzero(fold.train['a']).tolist()
        ([3, 4, 5], [0, 1, 7, 8])
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
            f'{every}. block of {block} frames; lower beast.segmentation.split.folds, or hold out '
            'whole videos (beast.segmentation.split.by=video)'
        )
    return Fold('all', train, test)


def fold_videos(lengths: Mapping[str, int], folds: int, seed: int) -> list[Fold]:
    """Hold out each video once, in groups drawn at random.

    Args:
        lengths: number of frames of each video.
        folds: number of groups.
        seed: draws the groups.

    Raises:
        BeastError: if there are fewer videos than folds.

    Examples:
        >>> folds = fold_videos(dict.fromkeys('abcd', 9), folds=2, seed=0)
        >>> [[video for video in 'abcd' if fold.test[video].all()] for fold in folds]
        [['a', 'c'], ['b', 'd']]
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
