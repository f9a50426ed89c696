"""Features at the times of bins: by time stamp, never by index."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from beast_lp.encoding.bins import Bins
from beast_lp.errors import BeastError
from beast_lp.features.store import read_rows
from beast_lp.runs.keys import digest

# bytes of features that are read at a time
_BLOCK_BYTES = 2**26


@dataclass(frozen=True)
class Near:
    """Frames around the centres of bins.

    Attributes:
        before: row of the frame before each centre.
        after: row of the frame after each centre.
        weight: weight of the frame after, from 0 to 1.
        known: False for bins without features.
    """

    before: Int[np.ndarray, ' bins']
    after: Int[np.ndarray, ' bins']
    weight: Float[np.ndarray, ' bins']
    known: Bool[np.ndarray, ' bins']

    def part(self, chosen: Bool[np.ndarray, ' bins'] | slice) -> 'Near':
        """Return the frames around the chosen bins."""
        return Near(
            self.before[chosen], self.after[chosen], self.weight[chosen], self.known[chosen]
        )


def frames_near(
    features: Sequence[Float[np.ndarray, 'frames ...']],
    frame_times: Float[np.ndarray, ' frames'],
    bins: Bins,
    max_gap: float,
) -> Near:
    """Find the two frames between which the features of each bin are interpolated.

    Args:
        features: arrays side by side, one row per frame that has features; a row with a NaN
            counts as a dropped frame.
        frame_times: seconds of these frames, ascending.
        bins: bins of time.
        max_gap: seconds; a bin has no features if the frames around it are further apart (frames
            were dropped) and it lies on neither, or if it lies more than half of this beyond the
            first or last frame.

    Returns:
        the frames around each bin's centre.

    Raises:
        BeastError: if each frame has a NaN.

    Examples:
        >>> bins = Bins(np.array([0.01, 0.05]), 0.04, np.array([0, 0]))
        >>> near = frames_near([np.eye(3)], np.array([0.0, 0.04, 0.08]), bins, max_gap=0.1)
        >>> near.before.tolist(), near.after.tolist(), near.weight.tolist()
        ([0, 1], [1, 2], [0.25, 0.25])
    """
    whole = np.concatenate([np.isfinite(block).all(axis=1) for _, block in _blocks(features)])
    if not whole.any():
        raise BeastError(
            f'each of the {len(whole)} frames has a NaN among its features; mend the source, '
            'or leave out keypoints that are never seen'
        )
    rows, times = np.flatnonzero(whole), frame_times[whole]
    after = (
        np.clip(np.searchsorted(times, bins.times), 1, len(times) - 1)
        if len(times) > 1
        else (np.zeros(len(bins), dtype=int))
    )
    before = np.maximum(after - 1, 0)
    distance = times[after] - times[before]
    inside = (bins.times >= times[0]) & (bins.times <= times[-1])
    outside = np.maximum(times[0] - bins.times, bins.times - times[-1])
    # time stamps vary in their last digits
    slack = 1e-6
    known = np.where(inside, distance <= max_gap + slack, outside <= max_gap / 2 + slack)
    weight = np.clip((bins.times - times[before]) / np.where(distance > 0, distance, 1), 0, 1)
    # a bin on the time of a frame has that frame, however far the next one is
    for at, share in ((before, 0.0), (after, 1.0)):
        on = np.abs(bins.times - times[at]) <= slack
        known, weight = known | on, np.where(on, share, weight)
    return Near(rows[before], rows[after], weight.astype(np.float32), known)


def features_in(
    features: Sequence[Float[np.ndarray, 'frames ...']],
    near: Near,
) -> Float[np.ndarray, 'bins features']:
    """Interpolate features at the centres of bins.

    Arrays on disk are read in parts, from the first frame that is needed to the last, so memory
    holds little more than the result.

    Args:
        features: the arrays that `frames_near` was given.
        near: result of `frames_near`, or a part of it.

    Examples:
        >>> bins = Bins(np.array([0.01, 0.05]), 0.04, np.array([0, 0]))
        >>> features = [np.array([[0.0], [4.0], [8.0]])]
        >>> near = frames_near(features, np.array([0.0, 0.04, 0.08]), bins, max_gap=0.1)
        >>> features_in(features, near).tolist()
        [[1.0], [5.0]]
    """
    result = np.zeros((len(near.known), row_width(features)), dtype=np.float32)
    if not near.known.any():
        return result
    first, last = near.before[near.known].min(), near.after[near.known].max()
    for start, block in _blocks(features, int(first), int(last) + 1):
        for rows, share in ((near.before, 1 - near.weight), (near.after, near.weight)):
            here = np.flatnonzero(near.known & (rows >= start) & (rows < start + len(block)))
            result[here] += share[here, None] * block[rows[here] - start]
    return result


@dataclass(frozen=True)
class Aligned:
    """Features at the centres of bins, read on demand.

    Attributes:
        arrays: the arrays that `frames_near` was given.
        near: result of `frames_near`, or a part of it.
    """

    arrays: Sequence[Float[np.ndarray, 'frames ...']]
    near: Near

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of bins and of features."""
        return len(self.near.known), row_width(self.arrays)

    def __getitem__(self, bins: slice) -> Float[np.ndarray, 'bins features']:
        """Read the features of some bins."""
        return features_in(self.arrays, self.near.part(bins))


def row_width(features: Sequence[Float[np.ndarray, 'frames ...']]) -> int:
    """Return the number of features of a frame."""
    return sum(math.prod(array.shape[1:]) for array in features)


def features_digest(
    features: Sequence[Float[np.ndarray, 'frames ...']],
    frame_times: Float[np.ndarray, ' frames'],
) -> str:
    """Return a hash of features and their times, by which a resumed run detects changes.

    It covers the features as they were read. Components of them would not do: their last digits
    depend on the machine and the number of threads.
    """
    content = digest(frame_times.tobytes())
    for _, block in _blocks(features):
        content.update(str((block.shape[1], block.dtype)).encode())
        content.update(np.ascontiguousarray(block).data)
    return content.hexdigest()


def _blocks(
    features: Sequence[Float[np.ndarray, 'frames ...']],
    first: int = 0,
    stop: int | None = None,
) -> Iterator[tuple[int, Float[np.ndarray, 'rows features']]]:
    """Read blocks of rows with their features side by side.

    Args:
        features: arrays of one length.
        first: first row.
        stop: row after the last one; None for all.

    Yields:
        number of a block's first row, and the block.
    """
    stop = len(features[0]) if stop is None else stop
    row_bytes = sum(array[:1].nbytes for array in features)
    step = max(1, _BLOCK_BYTES // max(row_bytes, 1))
    for start in range(first, max(stop, first + 1), step):
        parts = [read_rows(array, start, min(start + step, stop)) for array in features]
        flat = [part.reshape(len(part), -1) for part in parts]
        yield start, np.concatenate(flat, axis=1) if len(flat) > 1 else flat[0]
