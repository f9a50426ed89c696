"""Fewer features: their leading principal components, on one scale for each source.

Means, axes and scale come from the features of all bins of a session, those of held-out folds
included. No response enters, and a shifted copy of a source has the very same components, so that
a control differs from a score in nothing but the shift.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

from beast_lp.errors import BeastError
from beast_lp.pca import principal_components

# bytes of the largest matrix of products; LAPACK takes about as much again
MOST_BYTES = 2**32
# bytes of features in double precision that are held at a time
_PIECE_BYTES = 2**27

# share of the first component's variance below which a component is rounding errors of features,
# which come in float32
_LEAST_VARIANCE = 1e-8


class Rows(Protocol):
    """Features of bins that can be sliced: an array, or an object that reads them from disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of bins and of features."""
        ...

    def __getitem__(self, bins: slice, /) -> Float[np.ndarray, 'bins features']:
        """Return the features of some bins."""
        ...


def check_size(source: str, bins: int, features: int) -> None:
    """Refuse features whose components would need too large a matrix, before they are read.

    Args:
        source: name of the source of the features, for the message.
        bins: number of bins.
        features: number of features of a frame.

    Raises:
        BeastError: if the matrix would exceed `MOST_BYTES`.
    """
    size = 8 * min(bins, features) ** 2
    if size > MOST_BYTES:
        raise BeastError(
            f'the components of the {features} features of {source!r} in {bins} bins need a '
            f'matrix of {size / 2**30:.1f} GiB, and at most {MOST_BYTES / 2**30:g} are taken; '
            'store fewer channels of a patch with `litpose embed --patch_dim`, or set '
            'beast.encoding.tokens=cls'
        )


def leading_components(features: Rows, most: int | None) -> Float[np.ndarray, 'bins components']:
    """Return the leading principal components of features of one unit, such as a network's.

    Features are not z-scored, before or after, which would amplify what hardly changes. Axes
    without variance, which fewer bins than features leave, are left out.

    Features are read several times, a few bins at a time, since the patches of an hour exceed the
    memory of most machines.

    Args:
        features: features of all bins.
        most: number of components; None for all.

    Returns:
        components of all bins, by descending variance, about a mean of zero.

    Examples:
        >>> features = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
        >>> np.abs(leading_components(features, most=1)).tolist()
        [[2.0], [0.0], [2.0]]
    """
    bins, channels = features.shape
    step = max(1, _PIECE_BYTES // (8 * channels))
    pieces = [slice(start, min(start + step, bins)) for start in range(0, bins, step)]

    def batches() -> Iterator[Float[np.ndarray, 'rows features']]:
        for piece in pieces:
            yield features[piece].astype(np.float64)

    found = principal_components(batches, min(most or channels, channels))
    kept = found.variances > _LEAST_VARIANCE * found.variances[0]
    kept[0] = True
    axes = found.axes[:, kept]
    return np.concatenate([(features[piece] - found.mean) @ axes for piece in pieces])


def scale_units(
    features: Float[np.ndarray, 'bins features'],
    units: Int[np.ndarray, ' features'],
) -> Float[np.ndarray, 'bins features']:
    """Divide the features of each unit by one number, so that their variances have a sum of 1.

    Args:
        features: features of all bins.
        units: number of each feature's unit, such as px, or px per frame.

    Examples:
        >>> scaled = scale_units(np.array([[0.0, 0.0, 5.0], [2.0, 4.0, 9.0]]), np.array([0, 0, 1]))
        >>> scaled.var(axis=0).round(3).tolist()
        [0.2, 0.8, 1.0]
    """
    variance = features.var(axis=0, dtype=np.float64)
    total = np.array([variance[units == unit].sum() for unit in units])
    return features / np.sqrt(np.where(total > 0, total, 1.0))


def to_one_scale(
    parts: Sequence[Float[np.ndarray, 'bins features']],
) -> Float[np.ndarray, 'bins components']:
    """Return the components of a source on one scale: the leading one has a variance of 1.

    Args:
        parts: features of all bins; those of one part have one unit, or were scaled.
    """
    if len(parts) > 1:
        zeros = [np.zeros(part.shape[1], dtype=int) for part in parts]
        parts = [scale_units(part, unit) for part, unit in zip(parts, zeros, strict=True)]
    joined = leading_components(np.concatenate(parts, axis=1), None)
    scale = joined[:, 0].std()
    return (joined / (scale if scale > 0 else 1.0)).astype(np.float32)
