"""Fewer features: the leading principal components of the training part."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float

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


def check_size(source: str, train: int, features: int, most: int | None) -> None:
    """Refuse features whose components would need too large a matrix, before they are read.

    Args:
        source: name of the source of the features, for the message.
        train: number of bins of the training part.
        features: number of features of a frame.
        most: number of components that are kept; None for all, which are not computed.

    Raises:
        BeastError: if the matrix would exceed `MOST_BYTES`.
    """
    size = 8 * min(train, features) ** 2
    if most is not None and features > most and size > MOST_BYTES:
        raise BeastError(
            f'the components of the {features} features of {source!r} in {train} bins need a '
            f'matrix of {size / 2**30:.1f} GiB, and at most {MOST_BYTES / 2**30:g} are taken; '
            'store fewer channels of a patch with `litpose embed --patch_dim`, or set '
            'beast.encoding.tokens=cls'
        )


def leading_components(
    features: Rows,
    train: Bool[np.ndarray, ' bins'],
    most: int | None,
) -> Float[np.ndarray, 'bins components']:
    """Return the leading principal components of features of one unit, such as a network's.

    Features are not z-scored first, which would amplify channels that hardly change. Means and
    axes come from the training part alone. Axes without variance, which fewer bins than features
    leave, are left out: z-scored later, their rounding errors would become inputs.

    Features are read several times, a few bins at a time, since the patches of an hour exceed the
    memory of most machines.

    Args:
        features: features of all bins.
        train: whether each bin belongs to the training part.
        most: number of components; None for all features as they are, which are also returned if
            there are no more than that.

    Returns:
        components of all bins, by descending variance.

    Examples:
        >>> features = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
        >>> np.abs(leading_components(features, np.array([True, False, True]), most=1)).tolist()
        [[2.0], [0.0], [2.0]]
    """
    bins, channels = features.shape
    if most is None or channels <= most:
        return features[:]
    step = max(1, _PIECE_BYTES // (8 * channels))
    pieces = [slice(start, min(start + step, bins)) for start in range(0, bins, step)]

    def training() -> Iterator[Float[np.ndarray, 'rows features']]:
        for piece in pieces:
            # only pieces that hold bins of the training part are read
            if train[piece].any():
                yield features[piece][train[piece]].astype(np.float64)

    found = principal_components(training, most)
    axes = found.axes[:, found.variances > _LEAST_VARIANCE * found.variances[0]]
    return np.concatenate([(features[piece] - found.mean) @ axes for piece in pieces])
