"""Ridge and reduced-rank regression in closed form, from covariance matrices alone.

Reduced-rank regression (Izenman 1975; with a ridge penalty Mukherjee & Zhu 2011) solves the ridge
problem and keeps the leading principal directions of the *fitted* values. Both need only X'X and
X'Y, so one eigendecomposition serves all penalties and ranks.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Moments:
    """Second moments of centred features and responses, in the eigenbasis of the features.

    Attributes:
        eigenvalues: eigenvalues of X'X per bin, ascending.
        basis: eigenvectors of X'X, as columns.
        projected: basis' X'Y per bin.
    """

    eigenvalues: Float[np.ndarray, ' features']
    basis: Float[np.ndarray, 'features features']
    projected: Float[np.ndarray, 'features neurons']

    @classmethod
    def of(
        cls,
        x: Float[np.ndarray, 'bins features'],
        y: Float[np.ndarray, 'bins neurons'],
    ) -> 'Moments':
        """Measure features and responses.

        Args:
            x: features with a mean of zero.
            y: responses with a mean of zero.
        """
        eigenvalues, basis = np.linalg.eigh(np.asarray(x.T @ x, dtype=np.float64) / len(x))
        projected = basis.T @ (np.asarray(x.T @ y, dtype=np.float64) / len(x))
        return cls(np.maximum(eigenvalues, 0), basis, projected)


def ridge(moments: Moments, penalty: float) -> Float[np.ndarray, 'features neurons']:
    """Minimise the mean squared error + penalty * squared weights.

    Args:
        moments: moments of features and responses.
        penalty: weight above 0; a penalty of 1 halves the weight of a single feature of unit
            variance.

    Returns:
        the weights.

    Examples:
        >>> x = np.array([[1.0], [-1.0]])
        >>> ridge(Moments.of(x, 3 * x), penalty=1.0).tolist()
        [[1.5]]
    """
    return moments.basis @ _ridge_in_basis(moments, penalty)


def reduced_rank(
    moments: Moments,
    penalty: float,
    rank: int,
) -> tuple[Float[np.ndarray, 'features rank'], Float[np.ndarray, 'rank neurons']]:
    """Minimise the loss of `ridge` over weights of a given rank (Mukherjee & Zhu 2011).

    Args:
        moments: moments of features and responses.
        penalty: weight of the squared weights, above 0.
        rank: rank of the weights, at least 1; the rank of the full solution is the upper limit.

    Returns:
        two factors, whose product is the weights: directions in the space of the features, and
        each neuron's weights of these directions (orthonormal rows).

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(500, 4))
        >>> weights = np.outer([1.0, -1.0, 0.0, 2.0], [0.5, 1.0, -1.0])
        >>> left, right = reduced_rank(Moments.of(x, x @ weights), penalty=1e-9, rank=1)
        >>> left.shape, right.shape, bool(np.allclose(left @ right, weights))
        ((4, 1), (1, 3), True)
    """
    full = _ridge_in_basis(moments, penalty)
    # the penalty acts like more rows of X, sqrt(penalty) * identity, with Y = 0; the truncation is
    # optimal for the fitted values of all rows
    fitted = full.T @ ((moments.eigenvalues + penalty)[:, None] * full)
    directions = np.linalg.eigh(fitted)[1][:, ::-1][:, :rank]
    return moments.basis @ (full @ directions), directions.T


def _ridge_in_basis(moments: Moments, penalty: float) -> Float[np.ndarray, 'features neurons']:
    return moments.projected / (moments.eigenvalues + penalty)[:, None]
