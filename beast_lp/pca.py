"""Principal components of data that are larger than memory.

Rows come in batches and are read several times: for their mean, for the sums of products about it,
and, where there are fewer rows than channels, for the axes. Every row counts and nothing is
approximated; an incremental PCA, which keeps the leading components of what it has seen, would be
both approximate and slower.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh

# channels up to which their covariance is computed even if there are fewer rows
_FEW_CHANNELS = 2048
# batches whose inner products with all the others are computed in one pass
_BATCHES_A_PASS = 4

Batches = Callable[[], Iterable[Float[np.ndarray, 'rows channels']]]


@dataclass(frozen=True)
class Components:
    """Principal components of some rows.

    Attributes:
        mean: mean of the rows.
        axes: orthonormal columns, by descending variance.
        variances: variance along each axis.
        total: variance along all axes, the left-out ones included.
    """

    mean: Float[np.ndarray, ' channels']
    axes: Float[np.ndarray, 'channels kept']
    variances: Float[np.ndarray, ' kept']
    total: float


def principal_components(batches: Batches, most: int) -> Components:
    """Compute the leading principal components of rows that come in batches.

    Products within a batch are computed in its own precision and summed in double precision.
    Memory grows with the square of the number of channels, or of rows where they are fewer.

    Args:
        batches: function that returns an iterable over batches of floating-point numbers, at least
            one and the same ones at every call.
        most: number of components; fewer where there are fewer rows or channels.

    Examples:
        >>> data = np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0], [6.0, 6.0]])
        >>> found = principal_components(lambda: [data[:3], data[3:]], most=1)
        >>> found.mean.tolist(), found.variances.round(3).tolist()
        ([3.0, 3.0], [10.0])
        >>> np.abs(found.axes).round(3).tolist()
        [[0.707], [0.707]]
    """
    rows, sums = 0, 0.0
    for batch in batches():
        rows += len(batch)
        sums = sums + batch.sum(axis=0, dtype=np.float64)
    mean = np.asarray(sums) / rows

    def centred() -> Iterator[Float[np.ndarray, 'rows channels']]:
        for batch in batches():
            yield batch - mean.astype(batch.dtype)

    by_channel = len(mean) <= max(rows, _FEW_CHANNELS)
    size = len(mean) if by_channel else rows
    products = np.zeros((size, size))
    if by_channel:
        for batch in centred():
            products += batch.T @ batch
    else:
        _fill_lower_triangle(products, centred)
    total = float(np.trace(products)) / rows
    values, vectors = _leading(products, min(most, rows))
    axes = vectors if by_channel else _axes(centred, vectors)
    return Components(mean, axes, values / rows, total)


def _fill_lower_triangle(products: Float[np.ndarray, 'rows rows'], centred: Batches) -> None:
    """Compute the inner products of all rows, of which a few batches are in memory at a time."""
    stop = 0
    for part in _joined(centred()):
        first, stop = stop, stop + len(part)
        start = 0
        for batch in centred():
            if start >= stop:
                break
            products[first:stop, start : start + len(batch)] = part @ batch.T
            start += len(batch)
        # else it would be held while the next one is read
        del part


def _leading(
    products: Float[np.ndarray, 'n n'],
    most: int,
) -> tuple[Float[np.ndarray, ' kept'], Float[np.ndarray, 'n kept']]:
    """Return the largest eigenvalues and their eigenvectors; overwrites the matrix."""
    size = len(products)
    # the leading ones alone take a third of the time, and the lower triangle is enough
    values, vectors = eigh(
        products, subset_by_index=[max(0, size - most), size - 1], overwrite_a=True
    )
    return np.maximum(values[::-1], 0), np.ascontiguousarray(vectors[:, ::-1])


def _axes(
    centred: Batches,
    vectors: Float[np.ndarray, 'rows kept'],
) -> Float[np.ndarray, 'channels kept']:
    """Turn eigenvectors of the rows' inner products into axes."""
    axes, start = np.zeros(()), 0
    for batch in centred():
        axes = axes + batch.T @ vectors[start : start + len(batch)]
        start += len(batch)
    # an axis without variance is zero but for rounding errors, and gets a direction of its own
    return np.linalg.qr(axes)[0]


def _joined(
    batches: Iterable[Float[np.ndarray, 'rows channels']],
) -> Iterator[Float[np.ndarray, 'rows channels']]:
    """Join a few batches at a time."""
    remaining = iter(batches)
    for part in remaining:
        # the first batch is not held beside its copy
        part = np.concatenate([part, *islice(remaining, _BATCHES_A_PASS - 1)])
        yield part
