"""Encoders that are solved in closed form, for all folds and all penalties at once.

What is chosen within the folds is chosen by the squared error of the smoothed responses, a
quadratic form of the weights, so that no bin is predicted before the choice is made.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from beast_lp.encoding.encoder import Encoder, Prediction, Task, best_floor, floored
from beast_lp.encoding.nested import Fit, Given, HeldOut, Key, Sums, fit_of, held_out_of

# weights of the squared weights, for inputs whose leading component has a variance of 1; a
# constant is a candidate beside them
# share of the squared error by which inputs must lower it, or else a constant is chosen
_LEAST_GAIN = 1e-5
PENALTIES = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)


class Weights(NamedTuple):
    """Weights of covariates and inputs; inputs beyond the last weight have none."""

    covariates: Float[np.ndarray, 'covariates neurons']
    inputs: Float[np.ndarray, 'inputs neurons']


class Solved(NamedTuple):
    """A fit in the eigenbasis of its moments."""

    values: Float[np.ndarray, ' inputs']
    basis: Float[np.ndarray, 'inputs inputs']
    products: Float[np.ndarray, 'inputs neurons']

    @classmethod
    def of(cls, fit: Fit, size: int) -> 'Solved':
        """Decompose the moments of the first inputs."""
        values, basis = np.linalg.eigh(fit.moments[:size, :size])
        return cls(np.maximum(values, 0), basis, basis.T @ fit.products[:size])

    def weights(
        self,
        penalty: Float[np.ndarray, ' neurons'],
    ) -> Float[np.ndarray, 'inputs neurons']:
        """Return the ridge weights in the eigenbasis; those of an infinite penalty are 0."""
        return self.products / (self.values[:, None] + penalty)


class Grid:
    """Errors of held-out folds, for all numbers of inputs and all penalties.

    Attributes:
        sums: products over each fold.
        given: folds, covariates and responses.
        sizes: numbers of leading inputs.
        errors: squared error of each neuron over the two folds by which a fold chooses, as a share
            of the error of the covariates alone, which is the last penalty.
    """

    def __init__(self, sums: Sums, given: Given, sizes: Sequence[int]) -> None:
        """Solve all pairs of folds, and measure their errors."""
        self.sums, self.given, self.sizes = sums, given, sizes
        folds = given.folds
        self._fits: dict[tuple[int, ...], Fit] = {}
        self._solved: dict[tuple[tuple[int, ...], int], Solved] = {}
        self._forms: dict[Key, HeldOut] = {}
        shape = folds.count, len(sizes), len(PENALTIES) + 1, given.target.shape[1]
        errors = np.zeros(shape)
        for pair in folds.pairs:
            fit = self.fit(pair)
            for number, other in (pair, pair[::-1]):
                key = number, pair
                form = self._forms[key] = held_out_of(sums, given, fit, other, key)
                errors[number] += form.squares
            for at, size in enumerate(sizes):
                solved = self.solved(pair, size)
                for number in pair:
                    errors[number, at, :-1] += _gain(solved, self._forms[number, pair])
        least = np.finfo(float).tiny
        self.errors = errors / np.maximum(errors[:, :1, -1:], least)
        self.errors[:, :, -1] -= _LEAST_GAIN

    def fit(self, left_out: tuple[int, ...]) -> Fit:
        """Return the moments of the model that leaves out some folds."""
        if left_out not in self._fits:
            self._fits[left_out] = fit_of(self.sums, self.given, left_out)
        return self._fits[left_out]

    def solved(self, left_out: tuple[int, ...], size: int) -> Solved:
        """Return the model of the first inputs that leaves out some folds."""
        key = left_out, size
        if key not in self._solved:
            self._solved[key] = Solved.of(self.fit(left_out), size)
        return self._solved[key]

    def form(self, key: Key) -> HeldOut:
        """Return the squared error of the other fold of a pair, in the weights of the inputs."""
        return self._forms[key]

    def complete(self, left_out: tuple[int, ...], key: Key, inputs: np.ndarray) -> Weights:
        """Return the weights of the covariates beside those of the inputs."""
        explained = self.fit(left_out).explained[:, : len(inputs)]
        return Weights(self.given.weights[key] - explained @ inputs, inputs)


class ClosedForm(Encoder):
    """An encoder that takes its weights from a `Grid`."""

    edges: ClassVar[Mapping[str, float]] = {'penalty': PENALTIES[-1]}

    @abstractmethod
    def choose(
        self,
        grid: Grid,
        number: int,
    ) -> tuple[Mapping[Key, Float[np.ndarray, 'inputs neurons']], Mapping[str, float]]:
        """Choose for one fold.

        Args:
            grid: errors of all candidates.
            number: number of the fold.

        Returns:
            weights of the inputs in the final model of the fold and in those by which it was
            chosen, and the hyper-parameters by name.
        """

    def models(self, task: Task) -> tuple[dict[Key, Weights], list[Mapping[str, float]]]:
        """Return the weights of all models, and what each fold chose."""
        grid = Grid(Sums.of(task.inputs, task.order, task.given), task.given, task.sizes)
        models: dict[Key, Weights] = {}
        chosen = []
        for number in range(task.given.folds.count):
            weights, own = self.choose(grid, number)
            chosen.append(own)
            models |= {key: grid.complete(key[1], key, inputs) for key, inputs in weights.items()}
        return models, chosen

    def predict(self, task: Task) -> Prediction:
        """Choose, fit and predict each fold."""
        models, chosen = self.models(task)
        folds = task.given.folds
        rates = np.full(task.responses.shape, np.nan)
        floors = []
        for number in range(folds.count):
            rows = np.flatnonzero(folds.fold == number)
            rates[rows] = linear(task, models[number, (number,)], rows)
            if self.options.is_counts:
                floor = self._floor(task, models, number)
                mean = mean_without(task.given, number)
                rates[rows] = floored(rates[rows], mean, floor)
                floors.append(floor)
        found = {name: np.array([one[name] for one in chosen]) for name in chosen[0]}
        if floors:
            found['floor'] = np.array(floors)
        return Prediction(rates, found)

    def _floor(self, task: Task, models: Mapping[Key, Weights], number: int) -> float:
        """Choose the floor of a fold by the folds that it is chosen by."""
        folds, values, counts = task.given.folds, [], []
        for pair in folds.pairs:
            if number in pair:
                rows = folds.rows(pair[0] + pair[1] - number)
                values.append(linear(task, models[number, pair], rows))
                counts.append(task.responses[rows])
        mean = mean_without(task.given, number)
        return best_floor(np.concatenate(values), np.concatenate(counts), mean)


def linear(
    task: Task,
    weights: Weights,
    rows: np.ndarray,
) -> Float[np.ndarray, 'rows neurons']:
    """Return what weights predict for some bins."""
    inputs = task.inputs[task.order[rows], : len(weights.inputs)]
    own = inputs @ weights.inputs.astype(inputs.dtype)
    return task.given.design[rows] @ weights.covariates + own


def mean_without(given: Given, number: int) -> Float[np.ndarray, ' neurons']:
    """Return each neuron's mean response outside a fold."""
    others = np.arange(given.folds.count) != number
    return given.dy[others, 0].sum(axis=0) / given.bins[others].sum()


def _gain(solved: Solved, form: HeldOut) -> Float[np.ndarray, 'penalties neurons']:
    """Return what each penalty adds to the squared error of a held-out fold."""
    size = len(solved.values)
    # single precision: half the time, and errors differ by more than a millionth
    basis = solved.basis.astype(np.float32)
    moments = basis.T @ form.moments[:size, :size].astype(np.float32) @ basis
    products = solved.basis.T @ form.products[:size]
    weights = np.stack([solved.weights(np.full(1, one)) for one in PENALTIES], axis=1)
    flat = weights.reshape(size, -1).astype(np.float32)
    squares = (moments @ flat).reshape(weights.shape)
    return (weights * (squares - 2 * products[:, None])).sum(axis=0)
