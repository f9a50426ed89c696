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
        base: responses that covariates lead to expect; features explain the rest.
    """

    features: Float[np.ndarray, 'bins features']
    responses: Float[np.ndarray, 'bins neurons']
    run: Int[np.ndarray, ' bins']
    base: Float[np.ndarray, 'bins neurons']

    def __len__(self) -> int:
        """Return the number of bins."""
        return len(self.run)

    def part(self, chosen: Bool[np.ndarray, ' bins']) -> 'Samples':
        """Return the chosen bins; a run that loses bins in its middle becomes several."""
        return Samples(
            self.features[chosen],
            self.responses[chosen],
            number_runs(self.run, chosen)[chosen],
            self.base[chosen],
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
    step: int = 1,
) -> Float[np.ndarray, 'bins lagged']:
    """Replace each feature by its values around each bin.

    The first and last bins of a run are repeated beyond its ends.

    Args:
        features: one row per bin.
        run: run of each bin.
        lags: number of bins before and after; no more than a run has.
        step: bins between two values. Each is the sum over the bins that are nearer than a step,
            weighted by a triangle, so that filters which are linear between two values are all
            there.

    Returns:
        as many columns as there are values in place of each column, the earliest first.

    Examples:
        >>> add_lags(np.array([[1.0], [2.0], [3.0]]), np.zeros(3, int), lags=1).tolist()
        [[1.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 3.0]]
    """
    centres = lag_centres(run, lags, step)
    if len(centres) == 1:
        return features
    at = np.arange(len(run))
    first, last = (np.zeros(len(run), dtype=int) for _ in range(2))
    for stretch in slices(run):
        first[stretch], last[stretch] = stretch.start, stretch.stop - 1
    values = np.zeros((len(run), features.shape[1], len(centres)), dtype=features.dtype)
    for lag in range(-centres[-1], centres[-1] + 1):
        shifted = features[np.clip(at + lag, first, last)]
        for number, centre in enumerate(centres):
            weight = 1 - abs(lag - centre) / step
            if weight > 0:
                values[..., number] += weight * shifted
    return values.reshape(len(run), -1)


def lag_centres(run: Int[np.ndarray, ' bins'], lags: int, step: int = 1) -> list[int]:
    """Return the lags at which `add_lags` takes values.

    Examples:
        >>> lag_centres(np.zeros(9, int), lags=4, step=2)
        [-4, -2, 0, 2, 4]
        >>> lag_centres(np.arange(9), lags=4)
        [0]
    """
    longest = max((stretch.stop - stretch.start for stretch in slices(run)), default=1)
    most = min(lags, longest - 1) // step
    return [step * number for number in range(-most, most + 1)]


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
