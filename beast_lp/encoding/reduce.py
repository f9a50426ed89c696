"""Fewer features: the leading principal components of the training part."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import eigh

from beast_lp.errors import BeastError

# of the largest matrix whose axes are computed; LAPACK takes about as much again
MOST_BYTES = 2 ** 32
# of features in double precision that are held at a time
_PIECE_BYTES = 2 ** 27

# share of the first component's variance below which a component is rounding errors of features,
# which come in float32
_LEAST_VARIANCE = 1e-8


def check_size(source: str, train: int, features: int, most: int | None) -> None:
    """Refuse features whose components cannot be computed, before they are read.

    Args:
        source: of the features, for the message.
        train: bins of the training part.
        features: of a frame.
        most: components that are kept; None for all, which are not computed.

    Raises:
        BeastError: if the matrix that has the components would be too large.
    """
    size = 8 * min(train, features) ** 2
    if most is not None and features > most and size > MOST_BYTES:
        raise BeastError(
            f'the components of the {features} features of {source!r} in {train} bins need a '
            f'matrix of {size / 2 ** 30:.1f} GiB, and at most {MOST_BYTES / 2 ** 30:g} are taken; '
            'store fewer channels of a patch with `litpose embed --patch_dim`, or set '
            'beast.encoding.tokens=cls'
        )


def leading_components(
    features: Float[np.ndarray, 'bins features'], train: Bool[np.ndarray, ' bins'],
    most: int | None,
) -> Float[np.ndarray, 'bins components']:
    """Return the leading principal components of features of one unit, such as a network's.

    They are not brought to one variance first, which would raise the channels that hardly change.
    Means and axes come from the training part alone. Axes along which nothing varies are left out:
    fewer bins than features leave such axes, and z-scored, their rounding errors would be inputs.

    Args:
        features: of all bins.
        train: the bins to measure.
        most: components; features that are no more, or None, come back as they are.

    Returns:
        components of all bins, the one that varies most first.
    """
    if most is None or features.shape[1] <= most:
        return features
    mean = features.mean(axis=0, dtype=np.float64, where=train[:, None])
    axes = _leading_axes(features, np.flatnonzero(train), mean, most)
    return np.concatenate([
        (features[rows] - mean) @ axes for rows in _pieces(len(features), features.shape[1])
    ])


def _leading_axes(
    features: Float[np.ndarray, 'bins features'], train: Int[np.ndarray, ' train'],
    mean: Float[np.ndarray, ' features'], most: int,
) -> Float[np.ndarray, 'features components']:
    """Return the leading axes, from the smaller of the two matrices that have them.

    Centred features are doubles, of which a piece at a time is held.
    """
    bins, channels = len(train), features.shape[1]
    wide = bins < channels
    size = min(bins, channels)
    gram = np.zeros((size, size))
    if wide:
        for columns in _pieces(channels, bins):
            piece = features[train, columns] - mean[columns]
            gram += piece @ piece.T
    else:
        for rows in _pieces(bins, channels):
            piece = features[train[rows]] - mean
            gram += piece.T @ piece
    variances, vectors = eigh(
        gram, subset_by_index=(max(0, size - most), size - 1), overwrite_a=True
    )
    vary = variances > _LEAST_VARIANCE * variances[-1]
    leading = vectors[:, vary][:, ::-1]
    if not wide:
        return leading
    axes = np.concatenate([
        (features[train, columns] - mean[columns]).T @ leading
        for columns in _pieces(channels, bins)
    ])
    return axes / np.linalg.norm(axes, axis=0)


def _pieces(length: int, across: int) -> list[slice]:
    """Cut rows (or columns) of so many doubles into pieces that are small in memory."""
    step = max(1, _PIECE_BYTES // (8 * across))
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
