"""p values, standard errors and intervals: pure functions of arrays."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# resamples of an interval
_RESAMPLES = 2000


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def p_values(
    scores: Float[np.ndarray, ' scores'],
    draws: Float[np.ndarray, 'draws scores'],
) -> Float[np.ndarray, ' scores']:
    """Return (1 + number of draws that reach the score) / (1 + number of draws).

    Args:
        scores: scores.
        draws: each score under a control.

    Returns:
        p values; NaN where a score is, or where nothing was drawn.

    Examples:
        >>> draws = np.array([[0.1, 0.0], [0.2, 0.3], [0.5, -1.0]])
        >>> p_values(np.array([0.5, 0.0]), draws).tolist()
        [0.5, 0.75]
    """
    if not len(draws):
        return np.full(len(scores), np.nan)
    reached = (draws >= scores).sum(axis=0)
    return np.where(np.isfinite(scores), (1 + reached) / (1 + len(draws)), np.nan)


def benjamini_hochberg(p: Float[np.ndarray, ' tests']) -> Float[np.ndarray, ' tests']:
    """Return the false discovery rate at which each test is the last that passes.

    Benjamini & Hochberg 1995, as adjusted p values. NaN stay NaN and do not count.

    Examples:
        >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, np.nan])).round(3).tolist()
        [0.03, 0.04, 0.04, nan]
    """
    known = np.flatnonzero(np.isfinite(p))
    adjusted = np.full(len(p), np.nan)
    if len(known):
        order = known[np.argsort(p[known], kind='stable')]
        scaled = p[order] / (np.arange(1, len(order) + 1) / len(order))
        adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def standard_error(values: Float[np.ndarray, ' values']) -> float:
    """Return the standard error of the mean of the finite values; NaN for fewer than two.

    Examples:
        >>> round(standard_error(np.array([1.0, 3.0, np.nan])), 3)
        1.0
    """
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float('nan')
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def mean_interval(values: Float[np.ndarray, ' values']) -> Interval:
    """Return the 95 % interval of a mean, by Student's t.

    Examples:
        >>> interval = mean_interval(np.array([1.0, 2.0, 3.0]))
        >>> round(interval.low, 2), round(interval.high, 2)
        (-0.48, 4.48)
    """
    # imported here because scipy.stats is slow to import
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * standard_error(values)
    return Interval(float(values.mean()) - half, float(values.mean()) + half)


def ratio_interval(
    gains: Float[np.ndarray, ' units'],
    weights: Float[np.ndarray, ' units'],
    seed: int = 0,
) -> Interval:
    """Return the 95 % interval of sum(gains) / sum(weights), by a bootstrap over units.

    Args:
        gains: what each trial or block contributes.
        weights: its share of the denominator.
        seed: seed of the resampling.

    Examples:
        >>> interval = ratio_interval(np.array([1.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.0]))
        >>> interval
        Interval(low=0.5, high=0.5)
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(gains), np.full(len(gains), 1 / len(gains)), size=_RESAMPLES)
    total = drawn @ weights
    ratios = (drawn @ gains)[total > 0] / total[total > 0]
    if not len(ratios):
        return Interval(float('nan'), float('nan'))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(low), float(high))
