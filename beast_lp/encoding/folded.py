"""Encoders that are fitted fold by fold, and their target.

Each fold is predicted by a model of the others, whose hyper-parameters predict the next fold best
when neither of the two is fitted.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from beast_lp.encoding.encoder import FLOORS, Encoder, Options, Prediction, Task, floored
from beast_lp.encoding.metrics import bits_per_spike, variance_explained
from beast_lp.encoding.nested import NEARLY, Given
from beast_lp.encoding.samples import Samples, Scaler, smooth


class FoldedEncoder(Encoder):
    """An encoder whose fits are not closed forms.

    Attributes:
        refits: whether the final model of a fold is fitted to the fold that chose its
            hyper-parameters, too.
        chosen: hyper-parameters that `fit` chose, by name.
    """

    # 1 / 20 is the largest p value of a verdict
    most_draws: ClassVar[int] = 19
    refits: ClassVar[bool] = True

    def __init__(self, options: Options) -> None:
        """Store the settings; nothing is fitted yet."""
        super().__init__(options)
        self.chosen: dict[str, float] = {}

    @abstractmethod
    def fit(self, train: Samples, validation: Samples) -> None:
        """Fit the training part with the hyper-parameters that predict validation best."""

    @abstractmethod
    def refit(self, train: Samples) -> None:
        """Fit other samples with the hyper-parameters that `fit` chose."""

    @abstractmethod
    def apply(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
        base: Float[np.ndarray, 'bins neurons'],
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return expected spikes per bin, above 0, or predicted traces.

        Args:
            features: features of the bins.
            run: run of each bin, as in `Samples`.
            base: responses that covariates lead to expect, as in `Samples`.
        """

    def predict(self, task: Task) -> Prediction:
        """Choose, fit and predict each fold."""
        folds = task.given.folds
        inputs = task.inputs[task.order]
        rates = np.full(task.responses.shape, np.nan)
        chosen: list[dict[str, float]] = []
        for number in range(folds.count):
            chosen_by = (number + 1) % folds.count
            left_out = folds.pairs[number]
            every = _samples(task, inputs, (number, left_out), folds.without(*left_out))
            self.chosen = {}
            self.fit(
                every.part(folds.without(*left_out)),
                every.part(folds.core & (folds.fold == chosen_by)),
            )
            if self.refits:
                train = folds.without(number)
                every = _samples(task, inputs, (number, (number,)), train)
                self.refit(every.part(train))
            rows = folds.fold == number
            rates[rows] = self.apply(every.features, task.run, every.base)[rows]
            chosen.append(self.chosen)
        return Prediction(
            rates, {name: np.array([one[name] for one in chosen]) for name in chosen[0]}
        )


def _samples(
    task: Task,
    inputs: Float[np.ndarray, 'bins inputs'],
    key: tuple[int, tuple[int, ...]],
    train: Bool[np.ndarray, ' bins'],
) -> Samples:
    """Return all bins, with that part of the inputs that the covariates do not explain."""
    given = task.given
    base = given.design @ given.weights[key]
    drift = explained(given, inputs, train)
    left = inputs - drift
    # what is nearly drift counts as drift, as in closed forms
    known, rest = (part[train].var(axis=0) for part in (drift, left))
    share = rest / np.maximum(rest + NEARLY * known, np.finfo(np.float32).tiny)
    return Samples(left * share, task.responses, task.run, base)


def explained(
    given: Given,
    inputs: Float[np.ndarray, 'bins inputs'],
    train: Bool[np.ndarray, ' bins'],
) -> Float[np.ndarray, 'bins inputs']:
    """Return what the covariates explain of the inputs, by weights of the training part."""
    weights = np.linalg.lstsq(given.design[train], inputs[train], rcond=None)[0]
    return (given.design @ weights).astype(inputs.dtype)


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
        finite = explained[np.isfinite(explained)]
        value = float(finite.mean()) if len(finite) else np.nan
    return value if np.isfinite(value) else -np.inf


@dataclass(frozen=True)
class Target:
    """Converts responses to the smoothed, z-scored target of a regression, and predictions back.

    Attributes:
        scaler: mean and deviation of what the covariates leave of the smoothed responses.
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
        left = smoothed - train.base
        scaler = Scaler.fit(left)
        return cls(scaler, train.responses.mean(axis=0), options.is_counts), scaler(left)

    def undo(
        self,
        scaled: Float[np.ndarray, 'bins neurons'],
        base: Float[np.ndarray, 'bins neurons'],
        floor: float,
    ) -> Float[np.ndarray, 'bins neurons']:
        """Convert predictions to the unit of the responses.

        Args:
            scaled: predicted target.
            base: responses that covariates lead to expect.
            floor: lowest rate, as a share of a neuron's mean.
        """
        values = base + self.scaler.undo(scaled)
        return floored(values, self.mean, floor) if self.is_counts else values

    def best_floor(
        self,
        scaled: Float[np.ndarray, 'bins neurons'],
        validation: Samples,
    ) -> float:
        """Return the floor that predicts the validation part best."""
        if not self.is_counts:
            return 0.0
        return max(
            FLOORS,
            key=lambda floor: score(validation, self.undo(scaled, validation.base, floor), True),
        )
