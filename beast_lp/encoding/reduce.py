"""Fewer features: the leading principal components of the training part."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import eigh

from beast_lp.errors import BeastError

# of the largest matrix whose axes are computed; LAPACK takes about as much again
MOST_BYTES = 2**32
# of features in double precision that are held at a time
_PIECE_BYTES = 2**27

# share of the first component's variance below which a component is rounding errors of features,
# which come in float32
_LEAST_VARIANCE = 1e-8


class Rows(Protocol):
    """Features of bins, of which a slice can be had: an array, or what reads it from disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of bins and of features."""
        ...

    def __getitem__(self, bins: slice, /) -> Float[np.ndarray, 'bins features']:
        """Return the features of some bins."""
        ...


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

    They are not brought to one variance first, which would raise the channels that hardly change.
    Means and axes come from the training part alone. Axes along which nothing varies are left out:
    fewer bins than features leave such axes, and z-scored, their rounding errors would be inputs.

    Of the features a few bins are held at a time, and are read again for the mean, the axes and
    the components: those of the patches of an hour are more than the memory of most machines.

    Args:
        features: of all bins.
        train: the bins to measure.
        most: components; features that are no more, or None, come back as they are.

    Returns:
        components of all bins, the one that varies most first.
    """
    bins, channels = features.shape
    if most is None or channels <= most:
        return features[:]
    pieces = _pieces(bins, channels)
    mean = sum(features[rows][train[rows]].sum(axis=0, dtype=np.float64) for rows in pieces)
    centred = _Centred(features, mean / train.sum())
    # what the training part has none of is not read
    measured = [rows for rows in pieces if train[rows].any()]
    axes = _leading_axes(centred, train, measured, most)
    return np.concatenate([centred[rows] @ axes for rows in pieces])


@dataclass(frozen=True)
class _Centred:
    """Features less the mean of the training part, in double precision."""

    features: Rows
    mean: Float[np.ndarray, ' features']

    def __getitem__(self, bins: slice) -> Float[np.ndarray, 'bins features']:
        return self.features[bins] - self.mean


def _leading_axes(
    centred: _Centred,
    train: Bool[np.ndarray, ' bins'],
    pieces: list[slice],
    most: int,
) -> Float[np.ndarray, 'features components']:
    """Return the leading axes, from the smaller of the two matrices that have them."""
    bins, channels = int(train.sum()), len(centred.mean)
    wide = bins < channels
    size = min(bins, channels)
    gram = np.zeros((size, size))
    before = np.concatenate([[0], np.cumsum(train)])

    def among_train(rows: slice) -> slice:
        return slice(before[rows.start], before[rows.stop])

    if wide:
        # larger pieces, against each of which the others have to be read once
        for rows in _pieces(len(train), channels, 4):
            piece = centred[rows][train[rows]]
            # the triangle below the diagonal is the one that eigh reads
            for others in (others for others in pieces if others.start < rows.stop):
                gram[among_train(rows), among_train(others)] = (
                    piece @ centred[others][train[others]].T
                )
    else:
        for rows in pieces:
            piece = centred[rows][train[rows]]
            gram += piece.T @ piece
    variances, vectors = eigh(
        gram, subset_by_index=(max(0, size - most), size - 1), overwrite_a=True
    )
    vary = variances > _LEAST_VARIANCE * variances[-1]
    leading = vectors[:, vary][:, ::-1]
    if not wide:
        return leading
    axes = np.zeros((channels, leading.shape[1]))
    for rows in pieces:
        axes += centred[rows][train[rows]].T @ leading[among_train(rows)]
    return axes / np.linalg.norm(axes, axis=0)


def _pieces(length: int, across: int, times: int = 1) -> list[slice]:
    """Cut rows of so many doubles into pieces that are small in memory, or some times that."""
    step = max(1, times * _PIECE_BYTES // (8 * across))
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
