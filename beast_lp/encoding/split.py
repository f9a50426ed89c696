"""Folds: whole trials or blocks of time, never single bins.

Neighbouring bins have similar behaviour and similar slow changes of the brain; a split by frame
would test on what it trained on. Each fold is predicted once, by a model that was fitted to the
others. Hyper-parameters are chosen within the others: a model that leaves out two neighbouring
folds predicts both, so that each fold has two folds to choose by, and as many models serve all
choices as there are folds.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from beast_lp.encoding.bins import Bins
from beast_lp.errors import BeastError

UNUSED = -1
LEAST_FOLDS = 3


@dataclass(frozen=True)
class Folds:
    """Assignment of bins to folds.

    Attributes:
        fold: number of each bin's fold; `UNUSED` for a bin that is neither fitted nor predicted.
        core: whether a bin is fitted to; those near a border between two folds are only predicted.
    """

    fold: Int[np.ndarray, ' bins']
    core: Bool[np.ndarray, ' bins']

    @property
    def count(self) -> int:
        """Number of folds, at least `LEAST_FOLDS`."""
        return int(self.fold.max()) + 1

    @property
    def scored(self) -> Bool[np.ndarray, ' bins']:
        """Whether each bin is predicted."""
        return self.fold != UNUSED

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of neighbouring folds, each of which is left out together once."""
        return [(number, (number + 1) % self.count) for number in range(self.count)]

    def rows(self, number: int) -> Int[np.ndarray, ' rows']:
        """Return the bins of one fold that are fitted to."""
        return np.flatnonzero(self.core & (self.fold == number))

    def without(self, *left_out: int) -> Bool[np.ndarray, ' bins']:
        """Return whether each bin is fitted to by a model that leaves out some folds.

        Examples:
            >>> folds = Folds(np.array([0, 1, 2, -1]), np.array([True, True, True, False]))
            >>> folds.without(1).tolist()
            [True, False, True, False]
        """
        return self.core & self.scored & ~np.isin(self.fold, left_out)


def fold_trials(
    group: Int[np.ndarray, ' bins'],
    folds: int,
    seed: int,
) -> Int[np.ndarray, ' bins']:
    """Assign whole trials to folds at random, so that each fold has trials of all times.

    Args:
        group: number of each bin's trial.
        folds: number of folds; fewer where there are fewer trials.
        seed: seed of the draw.

    Returns:
        the fold of each bin.

    Raises:
        BeastError: if there are fewer than three trials.

    Examples:
        >>> trials = np.repeat(np.arange(10), 3)
        >>> np.bincount(fold_trials(trials, folds=5, seed=0)).tolist()
        [6, 6, 6, 6, 6]
    """
    trials, at = np.unique(group, return_inverse=True)
    if len(trials) < LEAST_FOLDS:
        raise BeastError(
            f'{len(trials)} trial is too few to train, validate and test on; give at least 3 '
            '(better 50), or leave beast.encoding.trials.events out to split by time'
            if len(trials) == 1
            else f'{len(trials)} trials are too few to train, validate and test on; give at '
            'least 3'
        )
    return _assign(len(trials), folds, seed)[at]


def fold_blocks(
    bins: Bins,
    folds: int,
    block_s: float,
    seed: int,
) -> Int[np.ndarray, ' bins']:
    """Cut a recording into blocks of time and assign them to folds at random.

    Args:
        bins: bins in the order of time.
        folds: number of folds; fewer where there are fewer blocks.
        block_s: length of a block in seconds.
        seed: seed of the draw.

    Returns:
        the fold of each bin.

    Raises:
        BeastError: if the recording has fewer than three blocks.

    Examples:
        >>> bins = Bins(np.arange(1000) * 0.02, 0.02, np.zeros(1000, int))
        >>> np.bincount(fold_blocks(bins, folds=5, block_s=2.0, seed=0)).tolist()
        [200, 200, 200, 200, 200]
    """
    block = number_blocks(bins, block_s)
    present, block = np.unique(block, return_inverse=True)
    if len(present) < LEAST_FOLDS:
        raise BeastError(
            f'{len(bins) * bins.width:.1f} s of recording make {len(present)} block(s) of '
            f'{block_s:g} s, too few to train, validate and test on; lower '
            'beast.encoding.split.block_s'
        )
    return _assign(len(present), folds, seed)[block]


def keep_apart(
    bins: Bins,
    fold: Int[np.ndarray, ' bins'],
    gap_s: float,
) -> Folds:
    """Take bins within `gap_s` of a border between two folds out of what is fitted to.

    Args:
        bins: bins in the order of time.
        fold: fold of each bin.
        gap_s: seconds on each side of a border; 0 for none.

    Raises:
        BeastError: if there are fewer than three folds, or gaps leave nothing of one.
    """
    core = fold != UNUSED
    half = bins.width / 2
    for border in np.flatnonzero(np.diff(fold)) if gap_s > 0 else ():
        moment = (bins.times[border] + bins.times[border + 1]) / 2
        core &= np.abs(bins.times - moment) >= gap_s - half / 100
    used = np.unique(fold[fold != UNUSED])
    if len(used) < LEAST_FOLDS or not np.array_equal(used, np.arange(len(used))):
        raise BeastError(
            f'a split needs {LEAST_FOLDS} folds or more, numbered 0, 1, …; found '
            f'{", ".join(map(str, used.tolist())) or "none"}'
        )
    for number in used:
        if not (core & (fold == number)).any():
            raise BeastError(
                f'no bin is left of fold {number}: gaps of {gap_s:g} s take all of its blocks; '
                'raise beast.encoding.split.block_s'
            )
    return Folds(fold, core)


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


def _assign(count: int, folds: int, seed: int) -> Int[np.ndarray, ' count']:
    """Give each run of as many trials or blocks as there are folds all folds, in random order."""
    folds, rng = min(folds, count), np.random.default_rng(seed)
    drawn = [rng.permutation(folds) for _ in range(-(-count // folds))]
    return np.concatenate(drawn)[:count]
