"""What all encoders share: their interface, the input they read and the target they aim at."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int

from beast_lp.encoding.metrics import RATE_FLOOR, bits_per_spike, variance_explained
from beast_lp.encoding.samples import Samples, Scaler, add_lags, smooth

# shares of a neuron's mean rate below which a prediction without a log link is not believed
FLOORS = (0.02, 0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True)
class Options:
    """Settings that every encoder reads."""

    # spike counts, or traces that may be negative
    is_counts: bool = True
    lags: int = 4
    # sigma of the Gaussian that smooths the responses of squared-error encoders, in bins
    smoothing: float = 2.0
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device('cpu'))


class Encoder(ABC):
    """Predicts responses from features.

    Attributes:
        chosen: the hyper-parameters that `fit` took, by name.
    """

    def __init__(self, options: Options) -> None:
        """Keep the settings; nothing is fitted yet."""
        self.options = options
        self.chosen: dict[str, float] = {}

    @abstractmethod
    def fit(self, train: Samples, validation: Samples) -> None:
        """Fit on the training part with the hyper-parameters that predict validation best."""

    @abstractmethod
    def refit(self, train: Samples) -> None:
        """Fit again, on other samples, with the hyper-parameters that `fit` chose."""

    @abstractmethod
    def predict(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return expected spikes per bin, above 0, or predicted traces."""


def score(samples: Samples, predictions: Float[np.ndarray, 'bins neurons'], counts: bool) -> float:
    """Return what hyper-parameters are chosen by: pooled bits per spike, or variance explained."""
    if counts:
        value = bits_per_spike(samples.responses, predictions).pooled
    else:
        explained = variance_explained(samples.responses, predictions)
        value = float(np.mean(explained[np.isfinite(explained)])) if len(explained) else np.nan
    # a model that diverged is the worst of all
    return value if np.isfinite(value) else -np.inf


@dataclass(frozen=True)
class Reader:
    """From features to what a regression reads: z-scored by the training part, and their lags."""

    scaler: Scaler
    lags: int

    @classmethod
    def fit(cls, features: Float[np.ndarray, 'bins features'], lags: int) -> 'Reader':
        """Measure the training part."""
        return cls(Scaler.fit(features), lags)

    def __call__(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
    ) -> Float[np.ndarray, 'bins inputs']:
        """Prepare features, run by run."""
        return add_lags(self.scaler(features), run, self.lags)


@dataclass(frozen=True)
class Target:
    """Smoothed and z-scored responses of the training part, and the way back."""

    scaler: Scaler
    mean: Float[np.ndarray, ' neurons']
    is_counts: bool

    @classmethod
    def fit(
        cls,
        train: Samples,
        options: Options,
    ) -> tuple['Target', Float[np.ndarray, 'bins neurons']]:
        """Return the target and its values in the training part."""
        sigma = options.smoothing if options.is_counts else 0.0
        smoothed = smooth(np.asarray(train.responses, dtype=np.float64), train.run, sigma)
        scaler = Scaler.fit(smoothed)
        return cls(scaler, train.responses.mean(axis=0), options.is_counts), scaler(smoothed)

    def undo(
        self,
        scaled: Float[np.ndarray, 'bins neurons'],
        floor: float,
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return predictions in the responses' unit, rates no lower than a share of the mean.

        One spike where a rate of zero was predicted costs more than a whole recording can gain.
        """
        values = self.scaler.undo(scaled)
        if not self.is_counts:
            return values
        return np.maximum(values, np.maximum(floor * self.mean, RATE_FLOOR))

    def best_floor(
        self,
        scaled: Float[np.ndarray, 'bins neurons'],
        validation: Samples,
    ) -> float:
        """Return the floor that suits validation best."""
        if not self.is_counts:
            return 0.0
        return max(FLOORS, key=lambda floor: score(validation, self.undo(scaled, floor), True))
