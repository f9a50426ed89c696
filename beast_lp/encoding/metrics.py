"""How well predicted rates explain recorded activity: pure functions on arrays.

Bits per spike follow Pei et al. 2021 (Neural Latents Benchmark): what a model gains over a rate
that never changes, by the Poisson likelihood, per spike and in bits. Two averages are in use and
differ: `pooled` over all spikes (that benchmark) and the `mean` of the neurons (the BEAST paper).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

# expected spikes per bin that a rate of zero is taken for
RATE_FLOOR = 1e-9


class BitsPerSpike(NamedTuple):
    """Bits per spike of a population."""

    # NaN for a neuron without a spike in these bins
    per_neuron: Float[np.ndarray, ' neurons']
    # over all spikes of all neurons that fired
    pooled: float
    # over the neurons that fired
    mean: float


def bits_per_spike(
    counts: Shaped[np.ndarray, 'bins neurons'],
    rates: Float[np.ndarray, 'bins neurons'],
    null: Float[np.ndarray, ' neurons'] | None = None,
) -> BitsPerSpike:
    """Measure what rates tell about spikes beyond a constant rate.

    (NLL of the null - NLL of the rates) / spikes / ln 2, NLL = rate - n ln(rate) + lgamma(n + 1),
    whose last term cancels. A neuron that never fires in these bins has no bits per spike: it is
    NaN and counts in neither average.

    Args:
        counts: spikes per bin.
        rates: expected spikes per bin; below `RATE_FLOOR` they count as that.
        null: the constant rates compared with; by default each neuron's mean over these bins, the
            standard definition. A mean over other bins (the training part) flatters the model.

    Returns:
        the neurons' values and both averages, NaN where no neuron fired.
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
    """Return 1 - Var(residual) / Var(response) per neuron, NaN where a response never changes.

    A constant error costs nothing here; see `r_squared`.
    """
    responses = np.asarray(responses, dtype=np.float64)
    return _share(np.var(responses - predictions, axis=0), np.var(responses, axis=0))


def r_squared(
    responses: Shaped[np.ndarray, 'bins neurons'],
    predictions: Float[np.ndarray, 'bins neurons'],
) -> Float[np.ndarray, ' neurons']:
    """Return 1 - squared error / squared deviation from these bins' mean, per neuron.

    NaN where a response never changes.
    """
    responses = np.asarray(responses, dtype=np.float64)
    return _share(np.mean((responses - predictions) ** 2, axis=0), np.var(responses, axis=0))


def _share(
    unexplained: Float[np.ndarray, ' neurons'],
    total: Float[np.ndarray, ' neurons'],
) -> Float[np.ndarray, ' neurons']:
    changes = total > 0
    return np.where(changes, 1 - unexplained / np.where(changes, total, 1), np.nan)
