"""Common parts of all encoders: their interface, their inputs and their target."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int

from beast_lp.encoding.metrics import RATE_FLOOR, bits_per_spike, variance_explained
from beast_lp.encoding.samples import Samples, Scaler, add_lags, smooth

# lowest predictions of encoders without a log link, as shares of a neuron's mean rate
FLOORS = (0.02, 0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True)
class Options:
    """Settings of all encoders.

    Attributes:
        is_counts: whether the responses are spike counts; traces, of any sign, otherwise.
        lags: number of bins before and after each that are inputs too.
        smoothing: sigma in bins of the Gaussian over the responses of squared-error encoders.
        seed: seed of random draws.
        device: device that computes.
    """

    is_counts: bool = True
    lags: int = 4
    smoothing: float = 2.0
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device('cpu'))


class Encoder(ABC):
    """Predicts responses from features.

    Attributes:
        chosen: hyper-parameters that `fit` chose, by name.
    """

    def __init__(self, options: Options) -> None:
        """Store the settings; nothing is fitted yet."""
        self.options = options
        self.chosen: dict[str, float] = {}

    @abstractmethod
    def fit(self, train: Samples, validation: Samples) -> None:
        """Fit the training part with the hyper-parameters that predict validation best."""

    @abstractmethod
    def refit(self, train: Samples) -> None:
        """Fit other samples with the hyper-parameters that `fit` chose."""

    @abstractmethod
    def predict(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return expected spikes per bin, above 0, or predicted traces.

        Args:
            features: features of the bins.
            run: run of each bin, as in `Samples`.
        """


def score(samples: Samples, predictions: Float[np.ndarray, 'bins neurons'], counts: bool) -> float:
    """Return the score by which hyper-parameters are chosen.

    Args:
        samples: samples that were predicted.
        predictions: expected spikes per bin, or predicted traces.
        counts: whether the responses are spike counts.

    Returns:
        pooled bits per spike, or the mean variance explained of traces; -inf for a model that
        diverged.
    """
    if counts:
        value = bits_per_spike(samples.responses, predictions).pooled
    else:
        explained = variance_explained(samples.responses, predictions)
        value = float(np.mean(explained[np.isfinite(explained)])) if len(explained) else np.nan
    return value if np.isfinite(value) else -np.inf


@dataclass(frozen=True)
class Reader:
    """Converts features to the inputs of a regression: z-scored by the training part, with lags.

    Attributes:
        scaler: mean and deviation of the training part.
        lags: number of bins before and after each that are inputs too.
    """

    scaler: Scaler
    lags: int

    @classmethod
    def fit(cls, features: Float[np.ndarray, 'bins features'], lags: int) -> 'Reader':
        """Measure the features of the training part."""
        return cls(Scaler.fit(features), lags)

    def __call__(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
    ) -> Float[np.ndarray, 'bins inputs']:
        """Return the inputs; lags do not reach across runs."""
        return add_lags(self.scaler(features), run, self.lags)


@dataclass(frozen=True)
class Target:
    """Converts responses to the smoothed, z-scored target of a regression, and predictions back.

    Attributes:
        scaler: mean and deviation of the smoothed responses of the training part.
        mean: mean response of each neuron in the training part.
        is_counts: whether the responses are spike counts.
    """

    scaler: Scaler
    mean: Float[np.ndarray, ' neurons']
    is_counts: bool

    @classmethod
    def fit(
        cls,
        train: Samples,
        options: Options,
    ) -> tuple['Target', Float[np.ndarray, 'bins neurons']]:
        """Measure the training part; return the converter and the training part's target."""
        sigma = options.smoothing if options.is_counts else 0.0
        smoothed = smooth(np.asarray(train.responses, dtype=np.float64), train.run, sigma)
        scaler = Scaler.fit(smoothed)
        return cls(scaler, train.responses.mean(axis=0), options.is_counts), scaler(smoothed)

    def undo(
        self,
        scaled: Float[np.ndarray, 'bins neurons'],
        floor: float,
    ) -> Float[np.ndarray, 'bins neurons']:
        """Convert predictions to the unit of the responses.

        Args:
            scaled: predicted target.
            floor: lowest rate, as a share of a neuron's mean. One spike at a predicted rate of
                zero would cost more than a whole recording can gain.
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
        """Return the floor that predicts the validation part best."""
        if not self.is_counts:
            return 0.0
        return max(FLOORS, key=lambda floor: score(validation, self.undo(scaled, floor), True))
