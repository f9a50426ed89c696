"""Reduced-rank regression in closed form: all neurons read the same few directions.

Reduced-rank regression (Izenman 1975; with a ridge penalty Mukherjee & Zhu 2011) solves the ridge
problem and keeps the leading principal directions of the *fitted* values.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from beast_lp.encoding.grid import PENALTIES, ClosedForm, Grid, Solved
from beast_lp.encoding.nested import Key
from beast_lp.encoding.ridge import chosen_keys

# around the paper's rank (3); the rank of ridge regression is a candidate beside them
RANKS = (1, 2, 3, 6, 12, 24, 48)


class ReducedRank(ClosedForm):
    """Ridge regression with low-rank weights, and one penalty for all neurons."""

    def choose(
        self,
        grid: Grid,
        number: int,
    ) -> tuple[Mapping[Key, Float[np.ndarray, 'inputs neurons']], Mapping[str, float]]:
        """Choose the number of inputs and the penalty, and then the rank."""
        errors = grid.errors[number].mean(axis=-1)
        at, which = divmod(int(np.argmin(errors)), errors.shape[1])
        size, keys = grid.sizes[at], chosen_keys(grid, number)
        if which == len(PENALTIES):
            nothing = np.zeros((size, grid.given.target.shape[1]))
            chosen = {'inputs': size, 'penalty': np.inf, 'rank': 0}
            return dict.fromkeys(keys, nothing), chosen
        penalty, deviation = PENALTIES[which], _deviation(grid, number)
        full = {key: grid.solved(key[1], size) for key in keys}
        axes = {key: directions(one, penalty, deviation) for key, one in full.items()}
        most = min(size, len(deviation))
        ranks = [rank for rank in RANKS if rank < most] + [most]

        def weights(key: Key, rank: int) -> Float[np.ndarray, 'inputs neurons']:
            kept, solved = axes[key][:, :rank], full[key]
            own = solved.weights(np.full(1, penalty)) / deviation
            return (solved.basis @ (own @ kept)) @ (kept.T * deviation)

        def error(rank: int) -> float:
            total = 0.0
            for key in keys[1:]:
                own, form = weights(key, rank), grid.form(key)
                squares = form.moments[:size, :size] @ own - 2 * form.products[:size]
                total += float(((own * squares).sum(axis=0) / deviation**2).sum())
            return total

        rank = min(ranks, key=error)
        chosen = {'inputs': size, 'penalty': penalty, 'rank': rank}
        return {key: weights(key, rank) for key in keys}, chosen


def directions(
    solved: Solved,
    penalty: float,
    deviation: Float[np.ndarray, ' neurons'],
) -> Float[np.ndarray, 'neurons directions']:
    """Return the principal directions of the fitted values, as orthonormal columns.

    Args:
        solved: fit in the eigenbasis of its moments.
        penalty: weight of the squared weights.
        deviation: unit of each neuron.
    """
    # the penalty acts like more rows of X, sqrt(penalty) * identity, with Y = 0; the truncation is
    # optimal for the fitted values of all rows
    root = np.sqrt(solved.values[:, None] + penalty)
    fitted = solved.products / deviation / root
    return np.linalg.svd(fitted, full_matrices=False)[2].T


def _deviation(grid: Grid, number: int) -> Float[np.ndarray, ' neurons']:
    """Return the standard deviation of each neuron outside a fold; 1 where it never changes."""
    given = grid.given
    others = np.arange(given.folds.count) != number
    bins = given.bins[others].sum()
    mean = given.dy[others, 0].sum(axis=0) / bins
    variance = given.yy[others].sum(axis=0) / bins - mean**2
    return np.sqrt(np.where(variance > 1e-12 * (mean**2 + 1e-300), variance, 1.0))
