"""Common parts of all encoders: their interface, what they are given, and their floor."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int

from beast_lp.encoding.metrics import RATE_FLOOR
from beast_lp.encoding.nested import Given

# lowest predictions of encoders without a log link, as shares of a neuron's mean rate
FLOORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
# bins by which a floor is chosen, at most
_FLOOR_BINS = 4000
# numbers of principal components to choose from, beside all of them
COMPONENTS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Options:
    """Settings of all encoders.

    Attributes:
        is_counts: whether the responses are spike counts; traces, of any sign, otherwise.
        smoothing: sigma in bins of the Gaussian over the responses of squared-error encoders.
        seed: seed of random draws.
        device: device that computes.
    """

    is_counts: bool = True
    smoothing: float = 2.0
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device('cpu'))


@dataclass(frozen=True)
class Task:
    """What an encoder predicts, and from what.

    Attributes:
        inputs: features of each bin, whose leading component has a variance of 1; components by
            descending variance, each with its lags.
        width: number of columns of a component.
        responses: spike counts or traces.
        run: run of each bin, as in `Samples`.
        given: folds, covariates, and the model of the covariates alone.
        order: for each bin the index of the bin whose inputs it gets.
    """

    inputs: Float[np.ndarray, 'bins inputs']
    width: int
    responses: Float[np.ndarray, 'bins neurons']
    run: Int[np.ndarray, ' bins']
    given: Given
    order: Int[np.ndarray, ' bins']

    @property
    def sizes(self) -> list[int]:
        """Numbers of leading columns to choose from."""
        every = self.inputs.shape[1]
        return [size for n in COMPONENTS if (size := n * self.width) < every] + [every]


@dataclass(frozen=True)
class Prediction:
    """Prediction of every bin by a model that was fitted to other folds.

    Attributes:
        rates: expected spikes per bin, above 0, or predicted traces; NaN for bins without a fold.
        chosen: hyper-parameters that each fold chose, by name.
    """

    rates: Float[np.ndarray, 'bins neurons']
    chosen: Mapping[str, Float[np.ndarray, ' folds']]


class Encoder(ABC):
    """Predicts each fold from features, by models of the other folds.

    Attributes:
        uses_lags: whether each component comes with its lags.
        most_draws: number of draws of a control at most, since each fits all folds once more.
        edges: values of chosen hyper-parameters beyond which better ones might lie, by name.
    """

    uses_lags: ClassVar[bool] = True
    most_draws: ClassVar[int] = 10_000
    edges: ClassVar[Mapping[str, float]] = {}

    def __init__(self, options: Options) -> None:
        """Store the settings; nothing is fitted yet."""
        self.options = options

    @abstractmethod
    def predict(self, task: Task) -> Prediction:
        """Choose hyper-parameters within the other folds of each fold, fit them and predict it."""


def floored(
    values: Float[np.ndarray, 'bins neurons'],
    mean: Float[np.ndarray, ' neurons'],
    floor: float,
) -> Float[np.ndarray, 'bins neurons']:
    """Return rates no lower than a share of each neuron's mean.

    One spike at a predicted rate of zero would cost more than a whole recording can gain.
    """
    return np.maximum(values, np.maximum(floor * mean, RATE_FLOOR))


def best_floor(
    values: Float[np.ndarray, 'bins neurons'],
    counts: Float[np.ndarray, 'bins neurons'],
    mean: Float[np.ndarray, ' neurons'],
) -> float:
    """Return the floor that predicts counts best, by the Poisson likelihood.

    Args:
        values: predictions, of any sign.
        counts: spikes per bin; of many bins, some are taken.
        mean: mean rate of each neuron.
    """
    step = -(-len(values) // _FLOOR_BINS)
    values, counts = values[::step], counts[::step]

    def likelihood(floor: float) -> float:
        rates = floored(values, mean, floor)
        return float((counts * np.log(rates) - rates).sum())

    return max(FLOORS, key=likelihood)
