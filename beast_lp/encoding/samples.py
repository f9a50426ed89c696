"""Aligned features and responses, and operations that respect breaks in time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d


@dataclass(frozen=True)
class Samples:
    """Features and responses of bins in the order of time.

    Attributes:
        features: features of each bin.
        responses: spike counts, or traces of calcium imaging.
        run: number of each bin's run. Bins of one run follow each other without a break: a trial,
            or a stretch of a recording between two gaps. Smoothing, lags and convolutions may not
            reach across runs.
    """

    features: Float[np.ndarray, 'bins features']
    responses: Float[np.ndarray, 'bins neurons']
    run: Int[np.ndarray, ' bins']

    def __len__(self) -> int:
        """Return the number of bins."""
        return len(self.run)

    def part(self, chosen: Bool[np.ndarray, ' bins']) -> 'Samples':
        """Return the chosen bins; a run that loses bins in its middle becomes several."""
        return Samples(
            self.features[chosen], self.responses[chosen], number_runs(self.run, chosen)[chosen]
        )


def number_runs(
    group: Int[np.ndarray, ' bins'],
    chosen: Bool[np.ndarray, ' bins'],
) -> Int[np.ndarray, ' bins']:
    """Number the stretches of chosen bins that follow each other within one group.

    Args:
        group: number that changes where time breaks.
        chosen: whether each bin is chosen.

    Returns:
        0, 1, … for the chosen bins; the values of the others have no meaning.

    Examples:
        >>> chosen = np.array([True, True, False, True, True])
        >>> number_runs(np.array([0, 0, 0, 0, 1]), chosen)[chosen].tolist()
        [0, 0, 1, 2]
    """
    starts = chosen & np.concatenate([[True], ~chosen[:-1] | (np.diff(group) != 0)])
    return np.cumsum(starts) - 1


def slices(run: Int[np.ndarray, ' bins']) -> list[slice]:
    """Return the slice of each run, in order.

    Examples:
        >>> slices(np.array([0, 0, 3]))
        [slice(0, 2, None), slice(2, 3, None)]
    """
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
    """Smooth each run with a Gaussian.

    Args:
        responses: one row per bin.
        run: run of each bin.
        sigma: standard deviation in bins; 0 for no smoothing.
    """
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
    """Add the features of the bins around each bin to its own.

    The first and last bins of a run are repeated beyond its ends.

    Args:
        features: one row per bin.
        run: run of each bin.
        lags: number of bins before and after.

    Returns:
        2 * lags + 1 copies of the features side by side, the earliest first.

    Examples:
        >>> add_lags(np.array([[1.0], [2.0], [3.0]]), np.zeros(3, int), lags=1).tolist()
        [[1.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 3.0]]
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
    """Z-scores columns by the mean and deviation of the training part.

    Attributes:
        mean: mean of each column.
        deviation: standard deviation of each column; 1 where it never changes.
    """

    mean: Float[np.ndarray, ' columns']
    deviation: Float[np.ndarray, ' columns']

    @classmethod
    def fit(cls, values: Float[np.ndarray, 'bins columns']) -> 'Scaler':
        """Measure the columns."""
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
        """Return scaled values in their own unit."""
        return scaled * self.deviation + self.mean
