"""Simulated neurons: Poisson counts with known rates, which follow the animal's movement."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# bits per spike that a model with the true rates reaches, in the mean over neurons
TARGET_BITS = 0.4
MEAN_RATE_HZ = (6.0, 16.0)
RANK = 3
# standard deviations, at which covariates are clipped to keep rates plausible
CLIP = 2.0


@dataclass(frozen=True)
class Neurons:
    """A population with a low-rank tuning: counts per bin ~ Poisson(exp(bias + z @ weights))."""

    mean: Float[np.ndarray, ' covariates']
    deviation: Float[np.ndarray, ' covariates']
    weights: Float[np.ndarray, 'covariates neurons']
    bias: Float[np.ndarray, ' neurons']

    def rates(
        self, covariates: Float[np.ndarray, 'bins covariates']
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return the expected number of spikes per bin."""
        z = _standardise(covariates, self.mean, self.deviation)
        return np.exp(self.bias + z @ self.weights)


def make_neurons(
    covariates: Float[np.ndarray, 'bins covariates'],
    count: int,
    bin_width: float,
    rng: np.random.Generator,
) -> Neurons:
    """Draw a population that is tuned to movement.

    The tuning is a linear map of rank 3 of the z-scored covariates. Its gain is set so that a
    model that knows the true rates would reach 0.4 bits per spike in the mean over neurons.

    Args:
        covariates: movement in all bins of the recording, which sets the z-scores and the gain.
        count: number of neurons.
        bin_width: seconds per bin.
        rng: source of all randomness.
    """
    mean, deviation = covariates.mean(axis=0), covariates.std(axis=0)
    # a constant covariate stays 0
    deviation = np.where(deviation > 0, deviation, 1.0)
    z = _standardise(covariates, mean, deviation)
    weights = rng.standard_normal((z.shape[1], RANK)) @ rng.standard_normal((RANK, count))
    weights *= rng.uniform(0.7, 1.3, count) / np.std(z @ weights, axis=0)
    slowest, fastest = np.log(MEAN_RATE_HZ)
    target = np.exp(rng.uniform(slowest, fastest, count)) * bin_width
    low, high = 0.0, 3.0
    gain = 1.0
    for _ in range(40):
        rates = _scaled_to(target, gain * (z @ weights))
        expected = np.sum(rates * np.log(rates / target), axis=0) / rates.sum(axis=0) / np.log(2)
        low, high = (gain, high) if expected.mean() < TARGET_BITS else (low, gain)
        gain = (low + high) / 2
    weights *= gain
    bias = np.log(target) - np.log(np.mean(np.exp(z @ weights), axis=0))
    return Neurons(mean=mean, deviation=deviation, weights=weights, bias=bias)


def _standardise(
    covariates: Float[np.ndarray, 'bins covariates'],
    mean: Float[np.ndarray, ' covariates'],
    deviation: Float[np.ndarray, ' covariates'],
) -> Float[np.ndarray, 'bins covariates']:
    return np.clip((covariates - mean) / deviation, -CLIP, CLIP)


def _scaled_to(
    target: Float[np.ndarray, ' neurons'], drive: Float[np.ndarray, 'bins neurons']
) -> Float[np.ndarray, 'bins neurons']:
    """Turn log-rates, known up to a constant, into rates with the given means."""
    rates = np.exp(drive)
    return rates * target / rates.mean(axis=0)
