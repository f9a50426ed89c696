"""Fewer features: the leading principal components of the training part."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import eigh

# share of the first component's variance below which a component is rounding errors of features,
# which come in float32
_LEAST_VARIANCE = 1e-8


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
    centred = features - features[train].mean(axis=0, dtype=np.float64)
    return centred @ _leading_axes(centred[train], most)


def _leading_axes(
    centred: Float[np.ndarray, 'bins features'], most: int,
) -> Float[np.ndarray, 'features components']:
    """Return the leading axes, from the smaller of the two matrices that have them."""
    wide = centred.shape[0] < centred.shape[1]
    gram = centred @ centred.T if wide else centred.T @ centred
    size = len(gram)
    variances, vectors = eigh(gram, subset_by_index=(max(0, size - most), size - 1))
    vary = variances > _LEAST_VARIANCE * variances[-1]
    leading = vectors[:, vary][:, ::-1]
    if not wide:
        return leading
    axes = centred.T @ leading
    return axes / np.linalg.norm(axes, axis=0)
