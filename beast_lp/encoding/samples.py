"""Aligned features and responses, and what respects their breaks in time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d


@dataclass(frozen=True)
class Samples:
    """Bins in the order of time, features and responses side by side.

    Bins of one run follow each other without a break: a trial, or what is left of a recording
    between two gaps. Nothing (smoothing, lags, convolutions) may reach across runs.
    """

    features: Float[np.ndarray, 'bins features']
    # spike counts, or traces of calcium imaging
    responses: Float[np.ndarray, 'bins neurons']
    run: Int[np.ndarray, ' bins']

    def __len__(self) -> int:
        """Return the number of bins."""
        return len(self.run)

    def part(self, chosen: Bool[np.ndarray, ' bins']) -> 'Samples':
        """Return the chosen bins; runs that lose bins in their middle become several."""
        return Samples(
            self.features[chosen], self.responses[chosen], number_runs(self.run, chosen)[chosen]
        )


def number_runs(
    group: Int[np.ndarray, ' bins'],
    chosen: Bool[np.ndarray, ' bins'],
) -> Int[np.ndarray, ' bins']:
    """Number the stretches of chosen bins that follow each other within one group.

    Args:
        group: a number that changes where time breaks.
        chosen: the bins that count.

    Returns:
        0, 1, … for the chosen bins; the others have no meaning.
    """
    starts = chosen & np.concatenate([[True], ~chosen[:-1] | (np.diff(group) != 0)])
    return np.cumsum(starts) - 1


def slices(run: Int[np.ndarray, ' bins']) -> list[slice]:
    """Return the stretch of each run, in order."""
    edges = np.flatnonzero(np.diff(run)) + 1
    return [
        slice(int(start), int(stop))
        for start, stop in zip([0, *edges], [*edges, len(run)], strict=True)
        if stop > start
    ]


def smooth(
    responses: Float[np.ndarray, 'bins neurons'],
    run: Int[np.ndarray, ' bins'],
    sigma: float,
) -> Float[np.ndarray, 'bins neurons']:
    """Smooth each run by itself with a Gaussian; `sigma` in bins, 0 for none."""
    if sigma <= 0:
        return responses
    return np.concatenate(
        [
            gaussian_filter1d(responses[stretch], sigma, axis=0, mode='nearest')
            for stretch in slices(run)
        ]
    )


def add_lags(
    features: Float[np.ndarray, 'bins features'],
    run: Int[np.ndarray, ' bins'],
    lags: int,
) -> Float[np.ndarray, 'bins lagged']:
    """Put the features of the bins around each bin beside its own.

    Where a run begins or ends, its first or last bin stands in for what lies beyond.

    Args:
        features: one row per bin.
        run: the bins' runs.
        lags: bins before and after.

    Returns:
        2 * lags + 1 copies of the features side by side, the earliest first.
    """
    if lags == 0:
        return features
    at = np.arange(len(run))
    first, last = (np.zeros(len(run), dtype=int) for _ in range(2))
    for stretch in slices(run):
        first[stretch], last[stretch] = stretch.start, stretch.stop - 1
    return np.concatenate(
        [features[np.clip(at + lag, first, last)] for lag in range(-lags, lags + 1)], axis=1
    )


@dataclass(frozen=True)
class Scaler:
    """Subtracts a mean and divides by a standard deviation, both of the training part."""

    mean: Float[np.ndarray, ' columns']
    deviation: Float[np.ndarray, ' columns']

    @classmethod
    def fit(cls, values: Float[np.ndarray, 'bins columns']) -> 'Scaler':
        """Measure the columns; one that never changes is only centred."""
        deviation = values.std(axis=0, dtype=np.float64)
        # a constant in float32 has a deviation of rounding errors
        constant = deviation <= 1e-6 * np.abs(values).max(axis=0, initial=0)
        return cls(values.mean(axis=0, dtype=np.float64), np.where(constant, 1.0, deviation))

    def __call__(
        self,
        values: Float[np.ndarray, 'bins columns'],
    ) -> Float[np.ndarray, 'bins columns']:
        """Scale values."""
        return (values - self.mean) / self.deviation

    def undo(
        self,
        scaled: Float[np.ndarray, 'bins columns'],
    ) -> Float[np.ndarray, 'bins columns']:
        """Return scaled values to their own unit."""
        return scaled * self.deviation + self.mean
