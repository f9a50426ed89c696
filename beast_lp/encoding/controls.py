"""Controls that a score must exceed before it means anything.

Slow changes in two unrelated recordings correlate (Harris 2021, "Nonsense correlations in
neuroscience"), so what features add to slow drift is compared with what shifted copies of them
add, by the same encoder, which chooses and fits anew for each copy.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from beast_lp.encoding.samples import slices

# seconds: longer than most behaviours last, so that a shifted bin has other behaviour
LEAST_SHIFT_S = 10.0


class Band(NamedTuple):
    """The middle 95 % of the scores of a control."""

    low: float
    high: float


def band(scores: Float[np.ndarray, ' draws']) -> Band:
    """Return the 2.5 % and the 97.5 % quantile of scores; NaN if none is finite.

    Examples:
        >>> band(np.arange(1001.0))
        Band(low=25.0, high=975.0)
    """
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return Band(np.nan, np.nan)
    low, high = np.quantile(finite, [0.025, 0.975])
    return Band(float(low), float(high))


def least_shift(units: int, seconds: float) -> int:
    """Return by how many bins, or trials, a circular shift moves at least, either way round.

    Args:
        units: number of bins or trials of the recording.
        seconds: seconds from one to the next.

    Returns:
        `LEAST_SHIFT_S`, or a sixth of the recording where that is shorter; at least 1.

    Examples:
        >>> least_shift(3000, seconds=0.02), least_shift(60, seconds=0.04)
        (500, 10)
    """
    return max(1, min(round(LEAST_SHIFT_S / seconds), units // 6))


def circular_shifts(
    bins: int,
    count: int,
    least: int,
    rng: np.random.Generator,
    length: int = 1,
) -> Iterator[Int[np.ndarray, ' bins']]:
    """Draw orders that rotate a recording, each at most once.

    The recording is followed by its mirror image, so that where its end meets its beginning there
    is no jump, which no recording has.

    Args:
        bins: number of bins of the recording.
        count: number of shifts; fewer where the recording has no more.
        least: number of trials, or bins, that a shift moves at least, either way round.
        rng: source of the draws.
        length: bins of a trial, of which a shift moves whole ones.

    Yields:
        for each bin the index of the bin whose features it gets.
    """
    units = bins // length
    ring = np.concatenate([np.arange(units), np.arange(units)[::-1]])
    possible = max(0, 2 * units - 2 * least + 1)
    for offset in least + rng.choice(possible, size=min(count, possible), replace=False):
        unit = np.roll(ring, -offset)[:units]
        yield (unit[:, None] * length + np.arange(length)).ravel()


def permutations(
    group: Int[np.ndarray, ' bins'],
    count: int,
    rng: np.random.Generator,
) -> Iterator[Int[np.ndarray, ' bins']]:
    """Draw orders that give each trial, or block, the features of another one.

    Args:
        group: number of each bin's trial. A trial is exchanged with others of the same length and
            stays in place if there is none.
        count: number of permutations.
        rng: source of the draws.

    Yields:
        for each bin the index of the bin whose features it gets.
    """
    stretches = slices(group)
    lengths = np.array([stretch.stop - stretch.start for stretch in stretches])
    for _ in range(count):
        order = np.arange(len(group))
        for length in np.unique(lengths):
            alike = np.flatnonzero(lengths == length)
            # a cycle in random order moves every trial
            cycle = rng.permutation(alike)
            for target, origin in zip(cycle, np.roll(cycle, 1), strict=True):
                order[stretches[target]] = np.arange(len(group))[stretches[origin]]
        yield order
