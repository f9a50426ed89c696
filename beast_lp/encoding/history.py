"""What a source tells of a neuron beyond the neuron's own past spikes.

A Poisson regression of each neuron on its own past, after Truccolo et al. 2005 (J Neurophysiol 93,
1074-1089), in bins of the stage,

    log rate(t) = a + sum_k b_k drift_k(t) + sum_q c_q past_q(t) [+ log r(t)]

has the mean count in windows of past bins that double in length, `past_q`, and the waves of drift.
With the bracket it begins from the rate r that an encoder predicts for the bin from other folds.
The difference of both scores is what the source adds to history.

Past spikes carry what moved the neuron a moment ago, too. So what a source adds to history is the
least that it tells; what it adds to drift, the most. A source that adds nothing to history may
still drive the neuron, slowly.

Nothing leaks: the past ends at the borders of trials, gaps and folds, and weights come from other
folds. The rates have no weight to be fitted, and count about their mean in each fold: a fold's
rates follow all others, those that are predicted among them, and a weight would learn of these.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from beast_lp.encoding.metrics import RATE_FLOOR
from beast_lp.encoding.samples import number_runs, slices
from beast_lp.encoding.split import Folds

# of the squared weights of columns of variance 1, per bin: enough to keep columns that follow from
# each other apart, too little to matter
_PENALTY = 1e-4
_MOST_STEPS, _LEAST_CHANGE = 50, 1e-8
# exp(15) is 3 million spikes per bin, which only steps on the way exceed
_LARGEST_LOG_RATE = 15.0


def windows(bins: int) -> list[tuple[int, int]]:
    """Return windows of past bins that double in length, the first of one bin.

    Args:
        bins: bins of history; the last window ends there.

    Returns:
        first and last bin of each, counted backwards from the present one.

    Examples:
        >>> windows(10)
        [(1, 1), (2, 3), (4, 7), (8, 10)]
    """
    edges = [2**number for number in range(bins.bit_length())]
    return [(first, min(2 * first - 1, bins)) for first in edges]


def past(
    responses: Float[np.ndarray, 'bins neurons'],
    run: Int[np.ndarray, ' bins'],
    bins: int,
) -> Float[np.ndarray, 'bins neurons windows']:
    """Return the mean count in each window of past bins.

    Args:
        responses: spikes per bin.
        run: number of each bin's run, beyond whose start nothing is known.
        bins: bins of history.

    Returns:
        means over the bins of a window that belong to the run; NaN where there is none.

    Examples:
        >>> past(np.array([[1.0], [2.0], [6.0], [0.0]]), np.zeros(4, int), bins=3)[:, 0].tolist()
        [[nan, nan], [1.0, nan], [2.0, 1.0], [6.0, 1.5]]
    """
    parts = windows(bins)
    result = np.full((*responses.shape, len(parts)), np.nan)
    for stretch in slices(run):
        own = np.asarray(responses[stretch], dtype=np.float64)
        total = np.concatenate([np.zeros((1, own.shape[1])), own.cumsum(axis=0)])
        at = np.arange(len(own))
        for number, (first, last) in enumerate(parts):
            start, stop = np.maximum(at - last, 0), np.maximum(at - first + 1, 0)
            known = np.flatnonzero(stop > start)
            length = (stop - start)[known, None]
            result[stretch.start + known, :, number] = (
                total[stop[known]] - total[start[known]]
            ) / length
    return result


def history_rates(
    responses: Float[np.ndarray, 'bins neurons'],
    group: Int[np.ndarray, ' bins'],
    folds: Folds,
    waves: Float[np.ndarray, 'bins waves'],
    bins: int,
    rates: Float[np.ndarray, 'bins neurons'] | None = None,
) -> Float[np.ndarray, 'bins neurons']:
    """Predict each neuron from drift and its own past, and from an encoder's rates.

    Args:
        responses: spikes per bin.
        group: number of each bin's trial or unbroken stretch.
        folds: folds of the bins.
        waves: result of `covariates.drift`.
        bins: bins of history.
        rates: rates of an encoder, each predicted from other folds; None for history alone.

    Returns:
        expected spikes per bin, each by weights from other folds; NaN in bins without a fold.
    """
    everywhere = np.ones(len(group), dtype=bool)
    run = number_runs(group * (folds.count + 1) + folds.fold + 1, everywhere)
    history = past(responses, run, bins)
    result = np.full(responses.shape, np.nan)
    for neuron in range(responses.shape[1]):
        design = np.concatenate([waves, history[:, neuron]], axis=1)
        start = np.zeros(len(design)) if rates is None else _log_rates(rates[:, neuron], folds)
        for number in range(folds.count):
            rows, train = folds.fold == number, folds.without(number)
            result[rows, neuron] = _fit_and_predict(
                design, start, responses[:, neuron], train, rows
            )
    return result


def _log_rates(
    rates: Float[np.ndarray, ' bins'],
    folds: Folds,
) -> Float[np.ndarray, ' bins']:
    """Return the logarithm of rates, about its mean in each fold."""
    result = np.log(np.maximum(rates, RATE_FLOOR))
    for number in range(folds.count):
        rows = folds.fold == number
        result[rows] -= result[rows].mean()
    return result


def _fit_and_predict(
    design: Float[np.ndarray, 'bins columns'],
    start: Float[np.ndarray, ' bins'],
    counts: Float[np.ndarray, ' bins'],
    train: Bool[np.ndarray, ' bins'],
    rows: Bool[np.ndarray, ' bins'],
) -> Float[np.ndarray, ' rows']:
    """Fit some bins, and predict others; a past that is not known counts as the usual one."""
    known = np.isfinite(design[train])
    means = np.where(known, design[train], 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    filled = np.where(np.isfinite(design), design, means) - means
    deviation = filled[train].std(axis=0)
    scaled = filled / np.where(deviation > 0, deviation, 1.0)
    own = np.asarray(counts[train], dtype=np.float64)
    weights = fit_poisson_regression(scaled[train], own, start[train])
    # an exponential has no upper limit, so predictions end at the largest count
    largest = max(float(own.max(initial=0)), RATE_FLOOR)
    return np.minimum(rates_of(weights, scaled[rows], start[rows]), largest)


def fit_poisson_regression(
    x: Float[np.ndarray, 'bins columns'],
    counts: Float[np.ndarray, ' bins'],
    start: Float[np.ndarray, ' bins'],
    penalty: float = _PENALTY,
) -> Float[np.ndarray, ' weights']:
    """Maximise the mean Poisson log likelihood less penalty / 2 * squared weights, by Newton.

    Args:
        x: columns of zero mean.
        counts: spikes per bin.
        start: logarithm of a rate, to which the columns are added.
        penalty: weight of the squared weights but the constant's.

    Returns:
        the constant and the weight of each column.
    """
    design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 0.0
    weights = np.zeros(design.shape[1])
    weights[0] = np.log(max(float(counts.mean()), RATE_FLOOR) / float(np.exp(start).mean()))

    def loss(candidate: Float[np.ndarray, ' weights']) -> float:
        drive = np.minimum(start + design @ candidate, _LARGEST_LOG_RATE)
        return float((np.exp(drive) - counts * drive).mean() + ridge @ candidate**2 / 2)

    value = loss(weights)
    for _ in range(_MOST_STEPS):
        rate = np.exp(np.minimum(start + design @ weights, _LARGEST_LOG_RATE))
        gradient = design.T @ (rate - counts) / len(x) + ridge * weights
        curvature = (design * rate[:, None]).T @ design / len(x) + np.diag(ridge)
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        # Newton's step may be too far where the rate is far from the optimum
        size = 1.0
        while loss(weights - size * step) > value and size > 1e-6:
            size /= 2
        weights = weights - size * step
        before, value = value, loss(weights)
        if before - value < _LEAST_CHANGE * max(1.0, abs(before)):
            break
    return weights


def rates_of(
    weights: Float[np.ndarray, ' weights'],
    x: Float[np.ndarray, 'bins columns'],
    start: Float[np.ndarray, ' bins'],
) -> Float[np.ndarray, ' bins']:
    """Return the expected spikes per bin by weights of `fit_poisson_regression`."""
    return np.exp(np.minimum(start + weights[0] + x @ weights[1:], _LARGEST_LOG_RATE))
