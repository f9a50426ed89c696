"""Training, validation and test parts: whole trials or blocks of time, never single bins.

Neighbouring bins are alike in behaviour and in slow changes of the brain; a split by frame would
test on what it trained on.
"""

import numpy as np
from jaxtyping import Int

from beast_lp.encoding.align import Bins
from beast_lp.errors import BeastError

UNUSED, TRAIN, VALIDATION, TEST = -1, 0, 1, 2


def split_trials(
    group: Int[np.ndarray, ' bins'],
    shares: tuple[float, float, float],
    seed: int,
) -> Int[np.ndarray, ' bins']:
    """Draw trials for the three parts.

    Args:
        group: the trial of each bin.
        shares: of the trials for training, validation and test.
        seed: of the draw.

    Returns:
        the part of each bin.

    Raises:
        BeastError: if there are fewer than three trials.
    """
    trials, at = np.unique(group, return_inverse=True)
    if len(trials) < 3:
        raise BeastError(
            f'{len(trials)} trial is too few to train, validate and test on; give at least 3 '
            '(better 50), or leave beast.encoding.trials.events out to split by time'
            if len(trials) == 1
            else f'{len(trials)} trials are too few to train, validate and test on; give at '
            'least 3'
        )
    parts = _assign(len(trials), shares)
    return np.random.default_rng(seed).permutation(parts)[at]


def split_blocks(
    bins: Bins,
    shares: tuple[float, float, float],
    block_s: float,
    gap_s: float,
    seed: int,
) -> Int[np.ndarray, ' bins']:
    """Cut a recording into blocks of time and draw them for the three parts.

    Args:
        bins: in the order of time.
        shares: of the blocks for training, validation and test.
        block_s: seconds of a block.
        gap_s: seconds on each side of a border between two parts that belong to none.
        seed: of the draw.

    Returns:
        the part of each bin.

    Raises:
        BeastError: if the recording has fewer than three blocks, or a gap swallows a part.
    """
    block, count = _blocks(bins, block_s)
    parts = np.random.default_rng(seed).permutation(_assign(count, shares))
    return _with_gaps(bins, parts[block], gap_s)


def split_every(
    bins: Bins,
    every: int,
    validation: float,
    block_s: float,
    gap_s: float,
) -> Int[np.ndarray, ' bins']:
    """Cut a recording into blocks of time and test on every k-th; nothing is drawn.

    Args:
        bins: in the order of time.
        every: k; the k-th, 2k-th, … block is for the test.
        validation: share of all blocks, spread evenly over the others, for validation.
        block_s: seconds of a block.
        gap_s: as in `split_blocks`.

    Returns:
        the part of each bin.

    Raises:
        BeastError: as `split_blocks`, and if there are fewer than k blocks.
    """
    block, count = _blocks(bins, block_s)
    if count < every:
        raise BeastError(
            f'the recording has {count} blocks of {block_s:g} s, so none is the {every}th; lower '
            'beast.encoding.split.block_s or split.test_every'
        )
    parts = np.full(count, TRAIN)
    parts[every - 1 :: every] = TEST
    others = np.flatnonzero(parts == TRAIN)
    wanted = min(max(1, round(validation * count)), len(others) - 1)
    # the middle one of each of `wanted` stretches
    parts[others[((np.arange(wanted) + 0.5) * len(others) / wanted).astype(int)]] = VALIDATION
    return _with_gaps(bins, parts[block], gap_s)


def _blocks(bins: Bins, block_s: float) -> tuple[Int[np.ndarray, ' bins'], int]:
    block = number_blocks(bins, block_s)
    present = np.unique(block)
    if len(present) < 3:
        raise BeastError(
            f'{len(bins) * bins.width:.1f} s of recording make {len(present)} block(s) of '
            f'{block_s:g} s, too few to train, validate and test on; lower '
            'beast.encoding.split.block_s'
        )
    return np.searchsorted(present, block), len(present)


def number_blocks(bins: Bins, block_s: float) -> Int[np.ndarray, ' bins']:
    """Number the blocks of a recording; each spans the same number of bins.

    Bins that were dropped leave a block shorter, or a number out.
    """
    length = max(1, round(block_s / bins.width))
    at = np.floor((bins.times - bins.times[0]) / bins.width + 0.5).astype(int)
    return at // length


def _assign(count: int, shares: tuple[float, float, float]) -> Int[np.ndarray, ' count']:
    """Share out so many trials or blocks, at least one to each part."""
    test = max(1, round(shares[2] * count))
    validation = max(1, round(shares[1] * count))
    while test + validation >= count:
        test, validation = max(1, test - 1), max(1, validation - 1)
    return np.repeat([TRAIN, VALIDATION, TEST], [count - test - validation, validation, test])


def _with_gaps(
    bins: Bins,
    part: Int[np.ndarray, ' bins'],
    gap_s: float,
) -> Int[np.ndarray, ' bins']:
    """Take what is within `gap_s` of a border between two parts out of both."""
    result = part.copy()
    half = bins.width / 2
    for border in np.flatnonzero(np.diff(part)):
        moment = (bins.times[border] + bins.times[border + 1]) / 2
        near = np.abs(bins.times - moment) < gap_s - half / 100
        result[near] = UNUSED
    for number, name in ((TRAIN, 'training'), (VALIDATION, 'validation'), (TEST, 'test')):
        if not (result == number).any():
            raise BeastError(
                f'no bin is left for the {name} part: gaps of {gap_s:g} s take all of its blocks; '
                'lower beast.encoding.split.gap_s, or raise split.block_s'
            )
    return result
