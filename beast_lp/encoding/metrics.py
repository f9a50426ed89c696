"""Scores of predicted rates and traces: pure functions of arrays.

Bits per spike follow Pei et al. 2021 (Neural Latents Benchmark): the gain in Poisson likelihood
over a constant rate, per spike and in bits. Two averages are in use and differ: `pooled` over all
spikes (that benchmark) and the `mean` over neurons (the BEAST paper).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

# expected spikes per bin in place of a rate of zero
RATE_FLOOR = 1e-9


class BitsPerSpike(NamedTuple):
    """Bits per spike of a population.

    Attributes:
        per_neuron: bits per spike of each neuron, NaN for one that never fires in these bins.
        pooled: bits per spike over all spikes, NaN if there are none.
        mean: mean over the neurons that fire, NaN if none does.
    """

    per_neuron: Float[np.ndarray, ' neurons']
    pooled: float
    mean: float


def bits_per_spike(
    counts: Shaped[np.ndarray, 'bins neurons'],
    rates: Float[np.ndarray, 'bins neurons'],
    null: Float[np.ndarray, '*bins neurons'] | None = None,
) -> BitsPerSpike:
    """Compute bits per spike beyond a constant rate (Pei et al. 2021).

    (NLL of the null - NLL of the rates) / spikes / ln 2 with NLL = rate - n ln(rate) +
    lgamma(n + 1), whose last term cancels. A neuron that never fires in these bins is NaN and
    counts in neither average.

    Args:
        counts: spikes per bin.
        rates: expected spikes per bin, raised to `RATE_FLOOR` where they are lower.
        null: rates to compare with, of each neuron or of each bin and neuron; None for each
            neuron's mean over these bins, the standard definition. A mean over other bins, such as
            those that were fitted to, gives higher values.

    Returns:
        values of each neuron, and both averages.

    Examples:
        >>> counts = np.array([[0, 1], [0, 1], [2, 1], [2, 1]])
        >>> rates = np.array([[0.5, 1.0], [0.5, 1.0], [1.5, 1.0], [1.5, 1.0]])
        >>> bits = bits_per_spike(counts, rates)
        >>> bits.per_neuron.round(3).tolist(), round(bits.pooled, 3), round(bits.mean, 3)
        ([0.585, 0.0], 0.292, 0.292)
    """
    counts = np.asarray(counts, dtype=np.float64)
    rates = np.maximum(np.asarray(rates, dtype=np.float64), RATE_FLOOR)
    null = np.maximum(counts.mean(axis=0) if null is None else null, RATE_FLOOR)
    spikes = counts.sum(axis=0)
    gain = np.sum(counts * np.log(rates / null) - rates + null, axis=0) / np.log(2)
    fires = spikes > 0
    per_neuron = np.full(len(spikes), np.nan)
    per_neuron[fires] = gain[fires] / spikes[fires]
    if not fires.any():
        return BitsPerSpike(per_neuron, np.nan, np.nan)
    return BitsPerSpike(
        per_neuron, float(gain[fires].sum() / spikes[fires].sum()), float(per_neuron[fires].mean())
    )


def variance_explained(
    responses: Shaped[np.ndarray, 'bins neurons'],
    predictions: Float[np.ndarray, 'bins neurons'],
) -> Float[np.ndarray, ' neurons']:
    """Return 1 - Var(residual) / Var(response) of each neuron.

    A constant error costs nothing; see `r_squared`.

    Args:
        responses: traces, or spikes per bin.
        predictions: predicted traces or spikes per bin.

    Returns:
        scores, NaN where a response never changes or a prediction is not finite.

    Examples:
        >>> responses = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
        >>> variance_explained(responses, responses + 1)
        array([ 1., nan])
    """
    # imported here because scikit-learn is slow to import
    from sklearn.metrics import explained_variance_score

    return _per_neuron(explained_variance_score, responses, predictions)


def r_squared(
    responses: Shaped[np.ndarray, 'bins neurons'],
    predictions: Float[np.ndarray, 'bins neurons'],
) -> Float[np.ndarray, ' neurons']:
    """Return 1 - squared error / squared deviation from the mean of these bins, of each neuron.

    Args:
        responses: traces, or spikes per bin.
        predictions: predicted traces or spikes per bin.

    Returns:
        scores, NaN where a response never changes or a prediction is not finite.

    Examples:
        >>> responses = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
        >>> r_squared(responses, responses + 1)
        array([-0.5,  nan])
    """
    # imported here because scikit-learn is slow to import
    from sklearn.metrics import r2_score

    return _per_neuron(r2_score, responses, predictions)


def _per_neuron(
    score: Callable[..., Any],
    responses: Shaped[np.ndarray, 'bins neurons'],
    predictions: Float[np.ndarray, 'bins neurons'],
) -> Float[np.ndarray, ' neurons']:
    """Score the neurons for which the score is defined."""
    responses, predictions = (np.asarray(part, np.float64) for part in (responses, predictions))
    defined = (np.ptp(responses, axis=0) > 0) & np.isfinite(predictions).all(axis=0)
    values = np.full(responses.shape[1], np.nan)
    if defined.any():
        pair = responses[:, defined], predictions[:, defined]
        values[defined] = score(*pair, multioutput='raw_values')
    return values
