"""Ridge and reduced-rank regression in closed form, from covariance matrices alone.

Reduced rank (Izenman 1975; with a ridge penalty Mukherjee & Zhu 2011): solve the ridge problem,
then keep the leading principal directions of the *fitted* values. Both need only X'X and X'Y, so
that one eigendecomposition serves every penalty and rank.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Moments:
    """Second moments of centred features and responses, the features' in their eigenbasis."""

    # per bin, ascending
    eigenvalues: Float[np.ndarray, ' features']
    basis: Float[np.ndarray, 'features features']
    # basis' X'Y per bin
    projected: Float[np.ndarray, 'features neurons']

    @classmethod
    def of(
        cls,
        x: Float[np.ndarray, 'bins features'],
        y: Float[np.ndarray, 'bins neurons'],
    ) -> 'Moments':
        """Measure features and responses, both with a mean of zero."""
        eigenvalues, basis = np.linalg.eigh(np.asarray(x.T @ x, dtype=np.float64) / len(x))
        projected = basis.T @ (np.asarray(x.T @ y, dtype=np.float64) / len(x))
        return cls(np.maximum(eigenvalues, 0), basis, projected)


def ridge(moments: Moments, penalty: float) -> Float[np.ndarray, 'features neurons']:
    """Minimise the mean squared error + penalty * squared weights.

    Args:
        moments: of the data.
        penalty: above 0; for features of unit variance 1 halves the weight of a lone feature.

    Returns:
        the weights.
    """
    return moments.basis @ _ridge_in_basis(moments, penalty)


def reduced_rank(
    moments: Moments,
    penalty: float,
    rank: int,
) -> tuple[Float[np.ndarray, 'features rank'], Float[np.ndarray, 'rank neurons']]:
    """Minimise the same loss over weights of a rank.

    Args:
        moments: of the data.
        penalty: above 0.
        rank: at least 1; that of the full solution where it is larger.

    Returns:
        two factors, whose product is the weights: the directions of the features that are read,
        and how each neuron weighs them (orthonormal rows).
    """
    full = _ridge_in_basis(moments, penalty)
    # the penalty belongs to the inner product in which the truncation is optimal: it acts like
    # further rows sqrt(penalty) * identity of X, to which Y = 0
    fitted = full.T @ ((moments.eigenvalues + penalty)[:, None] * full)
    directions = np.linalg.eigh(fitted)[1][:, ::-1][:, :rank]
    return moments.basis @ (full @ directions), directions.T


def _ridge_in_basis(moments: Moments, penalty: float) -> Float[np.ndarray, 'features neurons']:
    return moments.projected / (moments.eigenvalues + penalty)[:, None]
