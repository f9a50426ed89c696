"""Ridge regression: the baseline of the other encoders."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from beast_lp.encoding.grid import PENALTIES, ClosedForm, Grid
from beast_lp.encoding.nested import Key

_CANDIDATES = np.append(PENALTIES, np.inf)


class Ridge(ClosedForm):
    """Squared error on smoothed responses.

    Each neuron has a penalty of its own, by the mean of its own error and that of all neurons; all
    read the same number of components.
    """

    def choose(
        self,
        grid: Grid,
        number: int,
    ) -> tuple[Mapping[Key, Float[np.ndarray, 'inputs neurons']], Mapping[str, float]]:
        """Choose the number of inputs, and the penalty of each neuron."""
        errors = grid.errors[number]
        # one neuron's error alone is noisy where the recording is short
        errors = (errors + errors.mean(axis=-1, keepdims=True)) / 2
        at = int(np.argmin(errors.min(axis=1).mean(axis=-1)))
        penalty = _CANDIDATES[errors[at].argmin(axis=0)]
        weights = {}
        for key in chosen_keys(grid, number):
            solved = grid.solved(key[1], grid.sizes[at])
            weights[key] = solved.basis @ solved.weights(penalty)
        return weights, {
            'inputs': grid.sizes[at],
            # of the neuron in the middle
            'penalty': float(np.quantile(penalty, 0.5, method='lower')),
            'constant': float(np.isinf(penalty).mean()),
        }


def chosen_keys(grid: Grid, number: int) -> list[Key]:
    """Return the final model of a fold, and the models by which it is chosen."""
    pairs = [pair for pair in grid.given.folds.pairs if number in pair]
    return [(number, (number,)), *((number, pair) for pair in pairs)]
