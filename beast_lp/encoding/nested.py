"""Sums of products over folds, from which the models of all folds are solved in closed form.

A model has covariates D (a constant, or a constant and slow drift) and inputs X. A model of D
alone comes first; X explains the rest with that part of itself that D does not explain on the bins
of the fit (Frisch & Waugh 1933), so that nothing that follows from D counts for X. All of it needs
X'X, X'D and X'Y of each fold alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from beast_lp.encoding.split import Folds

# penalty of a direction of the inputs, as a share of that part of its variance which covariates
# explain: what is drift but for a hundredth counts as drift
NEARLY = 0.03

# a fold, and the folds that its model leaves out
Key = tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Given:
    """Covariates, responses and the model of the covariates alone, which no shift changes.

    Attributes:
        folds: folds of the session.
        design: covariates of each bin, of which the first is 1.
        target: smoothed responses.
        weights: weights of the covariates in the model of the covariates alone.
        dd: products of the covariates over each fold.
        dy: products of covariates and target.
        yy: sum of squares of the target.
        bins: number of bins of each fold that are fitted to.
    """

    folds: Folds
    design: Float[np.ndarray, 'bins covariates']
    target: Float[np.ndarray, 'bins neurons']
    weights: Mapping[Key, Float[np.ndarray, 'covariates neurons']]
    dd: Float[np.ndarray, 'folds covariates covariates']
    dy: Float[np.ndarray, 'folds covariates neurons']
    yy: Float[np.ndarray, 'folds neurons']
    bins: Int[np.ndarray, ' folds']

    @classmethod
    def of(
        cls,
        folds: Folds,
        design: Float[np.ndarray, 'bins covariates'],
        target: Float[np.ndarray, 'bins neurons'],
        weights: Mapping[Key, Float[np.ndarray, 'covariates neurons']],
    ) -> 'Given':
        """Sum the products over each fold."""
        rows = [folds.rows(number) for number in range(folds.count)]
        d, y = ([values[r].astype(np.float64) for r in rows] for values in (design, target))
        return cls(
            folds,
            design,
            target,
            weights,
            np.array([one.T @ one for one in d]),
            np.array([one.T @ other for one, other in zip(d, y, strict=True)]),
            np.array([(one**2).sum(axis=0) for one in y]),
            np.array([len(r) for r in rows]),
        )


def constant(folds: Folds, target: Float[np.ndarray, 'bins neurons']) -> Given:
    """Return the model that has nothing but each neuron's mean."""
    given = Given.of(folds, np.ones((len(target), 1), dtype=np.float32), target, {})
    weights = {}
    for key in keys(folds):
        others = _others(folds, key[1])
        weights[key] = given.dy[others].sum(axis=0) / given.bins[others].sum()
    return Given(**{**vars(given), 'weights': weights})


def keys(folds: Folds) -> list[Key]:
    """Return the models of each fold: the final one, and those by which it is chosen."""
    final: list[Key] = [(number, (number,)) for number in range(folds.count)]
    return final + [(number, pair) for pair in folds.pairs for number in pair]


class Sums(NamedTuple):
    """Products of inputs with themselves, the covariates and the target, over each fold."""

    xx: Float[np.ndarray, 'folds inputs inputs']
    xd: Float[np.ndarray, 'folds inputs covariates']
    xy: Float[np.ndarray, 'folds inputs neurons']

    @classmethod
    def of(
        cls,
        inputs: Float[np.ndarray, 'bins inputs'],
        order: Int[np.ndarray, ' bins'],
        given: Given,
    ) -> 'Sums':
        """Sum the products.

        Args:
            inputs: inputs of each bin.
            order: for each bin the index of the bin whose inputs it gets.
            given: covariates and target.
        """
        folds, xx, xd, xy = given.folds, [], [], []
        for number in range(folds.count):
            rows = folds.rows(number)
            x = inputs[order[rows]]
            xx.append(x.T @ x)
            xd.append(x.T @ given.design[rows])
            xy.append(x.T @ given.target[rows])
        return cls(*(np.array(part, dtype=np.float64) for part in (xx, xd, xy)))


class Fit(NamedTuple):
    """What a model is solved from: moments of the part of the inputs that covariates leave.

    Attributes:
        moments: products of the inputs per bin, with the penalty of what is nearly explained.
        products: products of inputs and target per bin.
        explained: weights by which the covariates explain the inputs.
    """

    moments: Float[np.ndarray, 'inputs inputs']
    products: Float[np.ndarray, 'inputs neurons']
    explained: Float[np.ndarray, 'covariates inputs']


class HeldOut(NamedTuple):
    """Quadratic form of the squared error of a held-out fold in the weights of the inputs."""

    moments: Float[np.ndarray, 'inputs inputs']
    products: Float[np.ndarray, 'inputs neurons']
    squares: Float[np.ndarray, ' neurons']


def fit_of(sums: Sums, given: Given, left_out: tuple[int, ...]) -> Fit:
    """Return the moments of a model that leaves out some folds."""
    others = _others(given.folds, left_out)
    xx, xd, xy = (part[others].sum(axis=0) for part in sums)
    dd, dy = given.dd[others].sum(axis=0), given.dy[others].sum(axis=0)
    bins = given.bins[others].sum()
    # the pseudo-inverse, since a short recording may have as many covariates as bins
    explained = np.linalg.pinv(dd, hermitian=True) @ xd.T
    # a constant explains no variance
    mean = xd[:, :1] @ xd[:, :1].T / dd[0, 0]
    drift = xd @ explained - mean
    moments = (xx - xd @ explained + NEARLY * drift) / bins
    return Fit(moments, (xy - explained.T @ dy) / bins, explained)


def held_out_of(sums: Sums, given: Given, fit: Fit, number: int, key: Key) -> HeldOut:
    """Return the error of a held-out fold.

    Args:
        sums: products over each fold.
        given: covariates and target.
        fit: model that leaves the fold out.
        number: number of the fold.
        key: model of the covariates alone.
    """
    weights = given.weights[key]
    dx, dd, dy = sums.xd[number].T, given.dd[number], given.dy[number]
    a = fit.explained
    cross = a.T @ dx
    left = dy - dd @ weights
    return HeldOut(
        sums.xx[number] - cross - cross.T + a.T @ dd @ a,
        sums.xy[number] - dx.T @ weights - a.T @ left,
        given.yy[number] - (weights * (dy + left)).sum(axis=0),
    )


def _others(folds: Folds, left_out: tuple[int, ...]) -> list[int]:
    return [number for number in range(folds.count) if number not in left_out]
