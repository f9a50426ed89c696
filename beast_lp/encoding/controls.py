"""Controls that a score must exceed before it means anything.

Slow changes in two unrelated recordings correlate (Harris 2021, "Nonsense correlations in
neuroscience"), so every score is compared with scores of the same encoder, fitted again to data
whose relation was destroyed and whose statistics were kept.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from beast_lp.encoding.samples import slices

# seconds: longer than most behaviours last, so that a shifted bin has other behaviour
LEAST_SHIFT_S = 10.0
# seconds, half a period of the fastest wave that counts as drift
DRIFT_S = 60.0


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


def least_shift(bins: int, width: float) -> int:
    """Return the number of bins that a circular shift moves at least, either way round.

    Args:
        bins: number of bins of the recording.
        width: width of a bin in seconds.

    Returns:
        `LEAST_SHIFT_S`, or a sixth of the recording where that is shorter.

    Examples:
        >>> least_shift(3000, width=0.02), least_shift(60, width=0.04)
        (500, 10)
    """
    return min(round(LEAST_SHIFT_S / width), bins // 6)


def circular_shifts(
    bins: int,
    count: int,
    least: int,
    rng: np.random.Generator,
) -> Iterator[Int[np.ndarray, ' bins']]:
    """Draw orders that rotate a recording.

    Args:
        bins: number of bins of the recording.
        count: number of shifts, all different where the recording is long enough.
        least: number of bins that a shift moves at least, either way round.
        rng: source of the draws.

    Yields:
        for each bin the index of the bin whose responses it gets.
    """
    possible = bins - 2 * least + 1
    for offset in least + rng.choice(possible, size=count, replace=count > possible):
        yield (np.arange(bins) + offset) % bins


def permutations(
    group: Int[np.ndarray, ' bins'],
    count: int,
    rng: np.random.Generator,
) -> Iterator[Int[np.ndarray, ' bins']]:
    """Draw orders that give each trial, or block, the responses of another one.

    Args:
        group: number of each bin's trial. A trial is exchanged with others of the same length and
            stays in place if there is none.
        count: number of permutations.
        rng: source of the draws.

    Yields:
        for each bin the index of the bin whose responses it gets.
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


def drift(times: Float[np.ndarray, ' bins']) -> Float[np.ndarray, 'bins waves']:
    """Return slow cosines of time, the features of a model that knows nothing but the clock.

    Args:
        times: centres of the bins in seconds.

    Returns:
        cosines of 1/2, 1, 3/2, … periods over the recording, the fastest with half a period in
        `DRIFT_S`; at least two, at most 30.
    """
    length = max(float(times[-1] - times[0]), 1e-9)
    waves = int(np.clip(round(length / DRIFT_S), 2, 30))
    phase = (times - times[0]) / length
    return np.cos(np.pi * phase[:, None] * np.arange(1, waves + 1))
