"""What a score has to be above before it means anything.

Slow changes in two recordings that have nothing to do with each other correlate (Harris 2021,
"Nonsense correlations in neuroscience"), so every score is compared with that of the same encoder,
fitted again, on data whose relation was destroyed but whose statistics were kept.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from beast_lp.encoding.samples import slices
from beast_lp.errors import BeastError


class Band(NamedTuple):
    """The middle 95 % of the scores of a control."""

    low: float
    high: float


def band(scores: Float[np.ndarray, ' draws']) -> Band:
    """Return the 2.5 % and the 97.5 % quantile, NaN where there is no score."""
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return Band(np.nan, np.nan)
    low, high = np.quantile(finite, [0.025, 0.975])
    return Band(float(low), float(high))


def count_shifts(bins: int, least: int) -> int:
    """Return how many circular shifts a recording has.

    Args:
        bins: of the recording.
        least: bins that a shift moves at least, either way round.

    Raises:
        BeastError: if the recording is too short for any such shift.
    """
    possible = bins - 2 * least + 1
    if possible < 1:
        raise BeastError(
            f'a recording of {bins} bins cannot be shifted by {least} bins either way; record '
            'longer, or lower beast.encoding.controls.least_shift_s'
        )
    return possible


def circular_shifts(
    bins: int,
    count: int,
    least: int,
    rng: np.random.Generator,
) -> Iterator[Int[np.ndarray, ' bins']]:
    """Draw orders that turn a recording around in a circle.

    Args:
        bins: of the recording.
        count: of shifts, all different where the recording is long enough; 0 for none.
        least: bins that a shift moves at least, either way round.
        rng: source of the draws.

    Yields:
        for each bin the bin whose responses it gets.

    Raises:
        BeastError: if the recording is too short for any such shift.
    """
    if not count:
        return
    possible = count_shifts(bins, least)
    offsets = least + rng.choice(possible, size=count, replace=count > possible)
    for offset in offsets:
        yield (np.arange(bins) + offset) % bins


def permutations(
    group: Int[np.ndarray, ' bins'],
    count: int,
    rng: np.random.Generator,
) -> Iterator[Int[np.ndarray, ' bins']]:
    """Draw orders that give each trial (or block) the responses of another one.

    Args:
        group: the trial of each bin. Trials are exchanged with others of the same length; one
            without such another stays.
        count: of permutations.
        rng: source of the draws.

    Yields:
        for each bin the bin whose responses it gets.
    """
    stretches = slices(group)
    lengths = np.array([stretch.stop - stretch.start for stretch in stretches])
    for _ in range(count):
        order = np.arange(len(group))
        for length in np.unique(lengths):
            alike = np.flatnonzero(lengths == length)
            # a cycle in a random order: nothing stays where it was
            cycle = rng.permutation(alike)
            for to, of in zip(cycle, np.roll(cycle, 1), strict=True):
                order[stretches[to]] = np.arange(len(group))[stretches[of]]
        yield order


def drift(
    times: Float[np.ndarray, ' bins'],
    slowest_s: float,
) -> Float[np.ndarray, 'bins waves']:
    """Return slow cosines of time, the covariates of a model that knows the clock alone.

    Args:
        times: of the bins, seconds.
        slowest_s: half a period of the fastest wave, in seconds.

    Returns:
        cosines of 1/2, 1, 3/2, … periods over the recording: at least two, at most 30.
    """
    length = max(float(times[-1] - times[0]), 1e-9)
    waves = int(np.clip(round(length / slowest_s), 2, 30))
    phase = (times - times[0]) / length
    return np.cos(np.pi * phase[:, None] * np.arange(1, waves + 1))
