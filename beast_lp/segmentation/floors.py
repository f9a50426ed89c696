"""Floors: what the scores of a head have to beat on the same frames.

Two models that take a second: always the commonest class (where there are several at once, the
commoner of shown and absent for each behaviour), and logistic regression on a window of frames of
the same features. A head below either has learned nothing that they do not know.

Adding a new floor: give `Floor.predict` another entry, by the name that tables show, and the
fields of `Floor` and `fit_floor` what it needs; scores, report and evaluation take every entry.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from jaxtyping import Bool, Float, Int
from scipy.linalg import block_diag
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file
from beast_lp.segmentation.labelling import EXCLUSIVE, UNSCORED, Labelling
from beast_lp.segmentation.sequences import stretches
from beast_lp.segmentation.streams import Streams, widths
from beast_lp.segmentation.training_data import TrainingData
from beast_lp.vit.safe_load import read_tensors

COMMONEST, LOGISTIC = 'commonest class', 'logistic regression'
# frames before and after a frame that logistic regression sees, too
_REACH = 3
# principal components of each stream of a frame's features, fitted on so many training frames
_COMPONENTS, _BASIS_FRAMES = 64, 1024
# inverse strength of the penalty, on components of which the first has variance 1: of 0.001, 0.01,
# 0.1 and 1 the best on held-out blocks of a fly, for PCA features and for patch tokens
_PENALTY = 0.1
# scored frames that logistic regression is fitted to at most, spread over all of them
_MOST_FRAMES = 20_000
# frames that are projected at once
_PIECE = 256


@dataclass(frozen=True)
class Floor:
    """Both floors, fitted on training frames.

    Attributes:
        shares: share of each class in the scored training frames.
        mean: mean of the features.
        basis: components of each stream, divided by the deviation of its first one.
        weights: weights of logistic regression for the components of all frames of the window.
        bias: biases of logistic regression.
        share: weight of logistic regression in the predictions of its fold; 0 for none.
        labelling: what the logits of logistic regression mean.
    """

    shares: Float[np.ndarray, ' classes']
    mean: Float[np.ndarray, ' values']
    basis: Float[np.ndarray, 'values components']
    weights: Float[np.ndarray, 'window classes']
    bias: Float[np.ndarray, ' classes']
    share: Float[np.ndarray, '']
    labelling: Labelling = EXCLUSIVE

    def predict(
        self,
        features: Streams,
        visible: Bool[np.ndarray, ' rows'],
    ) -> dict[str, Float[np.ndarray, 'rows classes']]:
        """Return the probabilities of each floor by its name; NaN in rows that are not visible.

        Args:
            features: frames that have features.
            visible: rows that may be looked at, run by run.
        """
        logits = np.full((len(features), len(self.bias)), np.nan)
        constant = logits.copy()
        constant[visible] = self.shares
        values = _project(features, visible, self.mean, self.basis)
        taps = _taps(visible, np.flatnonzero(visible))
        parts = np.split(self.weights, len(taps))
        logits[visible] = self.bias + sum(
            values[tap] @ part for tap, part in zip(taps, parts, strict=True)
        )
        fitted = self.labelling.probabilities(torch.from_numpy(logits))
        return {COMMONEST: constant, LOGISTIC: fitted}

    def mixed(
        self,
        probabilities: Float[np.ndarray, '*models rows classes'],
        predicted: Mapping[str, Float[np.ndarray, 'rows classes']],
    ) -> Float[np.ndarray, '*models rows classes']:
        """Return the probabilities of networks, averaged with logistic regression by its share.

        Args:
            probabilities: probabilities by each network.
            predicted: what `predict` returns for the same rows.
        """
        if self.share == 0:
            return probabilities
        return averaged(probabilities, predicted[LOGISTIC], float(self.share), self.labelling)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return all numbers by the names of their fields."""
        return {
            name: np.array(value, order='C')
            for name, value in vars(self).items()
            if name != 'labelling'
        }

    def save(self, path: Path) -> None:
        """Write the numbers as one safetensors file."""
        with finished_file(path) as part:
            safetensors.numpy.save_file(self.tensors(), part)

    @staticmethod
    def load(
        path: Path,
        values: int,
        classes: int,
        labelling: Labelling = EXCLUSIVE,
    ) -> 'Floor':
        """Read what `save` wrote.

        Args:
            path: the file.
            values: number of values of a frame's features.
            classes: number of classes.
            labelling: that of the run.

        Raises:
            BeastError: if it holds anything else, or the floor of other features or classes.
        """
        tensors, _ = read_tensors(path)
        found = {name: tuple(value.shape) for name, value in tensors.items()}
        components = found.get('basis', (0, 0))[-1]
        wanted = {
            'shares': (classes,),
            'mean': (values,),
            'basis': (values, components),
            'weights': ((2 * _REACH + 1) * components, classes),
            'bias': (classes,),
            'share': (),
        }
        if found != wanted:
            raise BeastError(
                f'{path} does not hold the floor of this run; restore the file, or train again'
            )
        numbers = {name: value.numpy() for name, value in tensors.items()}
        return Floor(**numbers, labelling=labelling)


def fit_floor(data: TrainingData, classes: int) -> Floor:
    """Fit both floors to the scored training frames.

    Args:
        data: at least one scored frame of every answer.
        classes: number of classes.
    """
    labelling, counts, scored = data.labelling, data.answers(classes), len(data.codes())
    mean, basis = _fit_basis(data)
    step = max(1, scored // _MOST_FRAMES)
    rows, labels = [], []
    for features, target, mask in zip(data.features, data.target, data.train, strict=True):
        chosen = np.flatnonzero(mask & (target != UNSCORED))[::step]
        if len(chosen):
            values = _project(features, mask, mean, basis)
            rows.append(np.concatenate([values[tap] for tap in _taps(mask, chosen)], axis=1))
            labels.append(target[chosen])
    window = np.concatenate(rows)
    answers = labelling.answers(np.concatenate(labels), classes)
    weights, biases = zip(*(_fit_logistic(window, own) for own in answers), strict=True)
    return Floor(
        labelling.join([own / own.sum() for own in counts]),
        mean,
        basis,
        labelling.join(weights),
        labelling.join(biases),
        np.zeros(()),
        labelling,
    )


def _fit_logistic(
    window: Float[np.ndarray, 'frames values'],
    answers: Int[np.ndarray, ' frames'],
) -> tuple[Float[np.ndarray, 'values answers'], Float[np.ndarray, ' answers']]:
    """Return the weights and biases for the answers to one question, balanced between them."""
    with warnings.catch_warnings():
        # a floor need not be at its optimum to the last digit
        warnings.simplefilter('ignore', ConvergenceWarning)
        fitted = LogisticRegression(C=_PENALTY, class_weight='balanced', max_iter=300).fit(
            window, answers
        )
    weights, bias = fitted.coef_, fitted.intercept_
    if len(weights) == 1:
        # the odds of the second of two answers
        weights, bias = np.stack([0 * weights[0], weights[0]]), np.array([0.0, bias[0]])
    return weights.T, bias


def _fit_basis(data: TrainingData) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the scaled components of frames spread over all training frames.

    Each stream has components of its own, so that regression sees beside each other what it would
    see of each alone, whatever their units.
    """
    step = max(1, sum(int(mask.sum()) for mask in data.train) // _BASIS_FRAMES)
    some = np.concatenate(
        [
            features.read_flat(row, row + 1)
            for features, mask in zip(data.features, data.train, strict=True)
            for row in np.flatnonzero(mask)[::step]
        ]
    )
    edges = np.cumsum(widths(data.features[0].shapes))[:-1]
    means, bases = zip(*map(_components, np.split(some, edges, axis=1)), strict=True)
    return np.concatenate(means), np.asarray(block_diag(*bases))


def _components(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the scaled components of a stream."""
    components = min(_COMPONENTS, *rows.shape)
    fitted = PCA(components, svd_solver='randomized', random_state=0).fit(rows)
    deviation = np.sqrt(max(float(fitted.explained_variance_.max()), 1e-12))
    return fitted.mean_, (fitted.components_ / deviation).T


def _project(
    features: Streams,
    mask: Bool[np.ndarray, ' rows'],
    mean: np.ndarray,
    basis: np.ndarray,
) -> Float[np.ndarray, 'chosen components']:
    """Return the components of the frames in a mask, reading some frames at a time."""
    pieces: list[np.ndarray] = [np.zeros((0, basis.shape[1]), np.float32)]
    for start, stop in stretches(mask):
        for first in range(start, stop, _PIECE):
            some = features.read_flat(first, min(stop, first + _PIECE))
            pieces.append(((some - mean) @ basis).astype(np.float32))
    return np.concatenate(pieces)


def _taps(
    mask: Bool[np.ndarray, ' rows'],
    chosen: Int[np.ndarray, ' frames'],
) -> list[Int[np.ndarray, ' frames']]:
    """Return, for each frame of the window, its place among the rows in the mask.

    Args:
        mask: rows that may be looked at; beyond the ends of a run, its last frame is repeated.
        chosen: rows in the mask.
    """
    place = np.cumsum(mask) - 1
    first, last = np.zeros(len(mask), int), np.zeros(len(mask), int)
    for start, stop in stretches(mask):
        first[start:stop], last[start:stop] = place[start], place[stop - 1]
    return [
        np.clip(place[chosen] + shift, first[chosen], last[chosen])
        for shift in range(-_REACH, _REACH + 1)
    ]


def averaged(
    probabilities: Float[np.ndarray, '*models rows classes'],
    floor: Float[np.ndarray, 'rows classes'],
    share: float,
    labelling: Labelling = EXCLUSIVE,
) -> Float[np.ndarray, '*models rows classes']:
    """Return the weighted geometric mean of the probabilities of models and of a floor.

    Args:
        probabilities: probabilities by each network; NaN in rows that are not visible.
        floor: probabilities by logistic regression.
        share: weight of the floor, 0 to 1.
        labelling: which probabilities sum to 1.

    Examples:
        >>> averaged(np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]]), 0.5).round(2).tolist()
        [[0.75, 0.25]]
    """
    parts = []
    for own, other in zip(labelling.split(probabilities), labelling.split(floor), strict=True):
        mean = np.maximum(own, 1e-12) ** (1 - share) * np.maximum(other, 1e-12) ** share
        parts.append(mean / mean.sum(axis=-1, keepdims=True))
    return labelling.join(parts).astype(probabilities.dtype)


def mean_floor(
    predicted: Sequence[Mapping[str, Float[np.ndarray, 'rows classes']]],
) -> dict[str, Float[np.ndarray, 'rows classes']]:
    """Average what the floors of several folds predict.

    Args:
        predicted: probabilities by the names of the floors, fold by fold; may be empty.
    """
    names = predicted[0] if predicted else ()
    return {name: np.mean([one[name] for one in predicted], axis=0) for name in names}
