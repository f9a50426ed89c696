"""Training, validation and test parts: whole trials or blocks of time, never single bins.

Neighbouring bins have similar behaviour and similar slow changes of the brain; a split by frame
would test on what it trained on.
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
    """Assign whole trials to the three parts at random.

    Args:
        group: number of each bin's trial.
        shares: shares of the trials for training, validation and test.
        seed: seed of the draw.

    Returns:
        the part of each bin: `TRAIN`, `VALIDATION` or `TEST`.

    Raises:
        BeastError: if there are fewer than three trials.

    Examples:
        >>> trials = np.repeat(np.arange(10), 3)
        >>> part = split_trials(trials, (0.7, 0.1, 0.2), seed=0)
        >>> [int((part == number).sum()) for number in (TRAIN, VALIDATION, TEST)]
        [21, 3, 6]
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
    """Cut a recording into blocks of time and assign them to the three parts at random.

    Args:
        bins: bins in the order of time.
        shares: shares of the blocks for training, validation and test.
        block_s: length of a block in seconds.
        gap_s: seconds on each side of a border between two parts that belong to neither.
        seed: seed of the draw.

    Returns:
        the part of each bin: `TRAIN`, `VALIDATION`, `TEST` or, in a gap, `UNUSED`.

    Raises:
        BeastError: if the recording has fewer than three blocks, or gaps leave nothing of a part.

    Examples:
        >>> bins = Bins(np.arange(1000) * 0.02, 0.02, np.zeros(1000, int))
        >>> part = split_blocks(bins, (0.7, 0.1, 0.2), block_s=2.0, gap_s=0.2, seed=0)
        >>> sorted(set(part.tolist())) == [UNUSED, TRAIN, VALIDATION, TEST]
        True
    """
    block = number_blocks(bins, block_s)
    present, block = np.unique(block, return_inverse=True)
    if len(present) < 3:
        raise BeastError(
            f'{len(bins) * bins.width:.1f} s of recording make {len(present)} block(s) of '
            f'{block_s:g} s, too few to train, validate and test on; lower '
            'beast.encoding.split.block_s'
        )
    parts = np.random.default_rng(seed).permutation(_assign(len(present), shares))
    return _with_gaps(bins, parts[block], gap_s)


def number_blocks(bins: Bins, block_s: float) -> Int[np.ndarray, ' bins']:
    """Number the blocks of a recording by time.

    Args:
        bins: bins in the order of time. Where bins were dropped, a block is shorter or missing.
        block_s: length of a block in seconds.

    Returns:
        the block of each bin.
    """
    length = max(1, round(block_s / bins.width))
    at = np.floor((bins.times - bins.times[0]) / bins.width + 0.5).astype(int)
    return at // length


def _assign(count: int, shares: tuple[float, float, float]) -> Int[np.ndarray, ' count']:
    """Divide a number of trials or blocks among the parts, at least one to each."""
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
    """Take bins within `gap_s` of a border between two parts out of both."""
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
                'raise beast.encoding.split.block_s'
            )
    return result
