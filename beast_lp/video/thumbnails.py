"""Thumbnails of a video's frames: how much they move, and which of them differ.

Thumbnails are grey and flattened, one row per frame. They are read in chunks, so that they may be
a memory map of any length. A window is (t-k, t, t+k); `step` is its k.
"""

import hashlib
import mmap
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

# px, height and width
THUMBNAIL_SIZE = (32, 32)
# frames read at a time: 8 MB of thumbnails as float32
CHUNK = 2048
# grey levels by which sensor and coding noise change a thumbnail's pixel, which averages many
STILL_LEVELS = 2
# The authors' package keeps the half of the frames that moves most, and a quarter from 100,000
# frames on.
MOTION_PERCENTILE = 50
LONG_VIDEO, LONG_VIDEO_PERCENTILE = 100_000, 75


def motion_energy(
    thumbnails: UInt8[np.ndarray, 'n p'], step: int = 1
) -> Float32[np.ndarray, ' n']:
    """Compute how much each frame differs from the frame `step` frames before it.

    Args:
        thumbnails: (frames, pixels), which may be a memory map.
        step: number of frames, k. At 1000 frames a second, neighbouring frames differ by noise
            alone.

    Returns:
        (frames,) mean absolute difference in grey levels. The first `step` frames get the value of
        the first frame that has one, and 0 where none has.

    Examples:
        >>> thumbnails = np.array([[10, 10], [10, 14], [20, 14]], np.uint8)
        >>> motion_energy(thumbnails).tolist()
        [2.0, 2.0, 5.0]
    """
    energy = np.zeros(len(thumbnails), np.float32)
    for start, stop in chunks(len(thumbnails) - step):
        before = rows_of(thumbnails, slice(start, stop)).astype(np.int16)
        now = rows_of(thumbnails, slice(start + step, stop + step))
        energy[start + step : stop + step] = np.abs(now - before).mean(1, dtype=np.float32)
    energy[:step] = energy[step] if len(energy) > step else 0
    return energy


def is_motionless(thumbnails: UInt8[np.ndarray, 'n p']) -> bool:
    """Return whether no pixel ever changes by more than coding noise.

    Averaging over a thumbnail's pixel reduces sensor and coding noise to at most a flip between
    two neighbouring grey levels.

    Args:
        thumbnails: (frames, pixels), at least one frame.

    Examples:
        >>> is_motionless(np.array([[10, 20], [11, 20], [10, 21]], np.uint8))
        True
        >>> is_motionless(np.array([[10, 20], [10, 20], [10, 25]], np.uint8))
        False
    """
    low = high = np.asarray(thumbnails[0]).astype(np.int16)
    for start, stop in chunks(len(thumbnails)):
        chunk = rows_of(thumbnails, slice(start, stop))
        low, high = np.minimum(low, chunk.min(0)), np.maximum(high, chunk.max(0))
        if (high - low > 1).any():
            return False
    return True


def moving_frames(energy: Float[np.ndarray, ' n'], step: int = 1) -> Int[np.ndarray, ' m']:
    """List the frames that have a complete window and move more than most others.

    Args:
        energy: (frames,) motion energy of every frame of the video.
        step: number of frames, k.

    Returns:
        ordinals, ascending, at least one: frames with an energy above the percentile of the
        authors' rule. Where the motion is so even that no frame lies above it, frames at the
        percentile.

    Examples:
        >>> moving_frames(np.array([0, 1, 5, 2, 6, 0]))
        array([2, 4])
    """
    inner = energy[step:-step]
    percentile = LONG_VIDEO_PERCENTILE if len(energy) >= LONG_VIDEO else MOTION_PERCENTILE
    threshold = np.percentile(inner, percentile)
    above = inner > threshold
    if not above.any():
        above = inner >= threshold
    return np.flatnonzero(above) + step


def first_of_still(
    thumbnails: UInt8[np.ndarray, 'n p'], candidates: Int[np.ndarray, ' m']
) -> Int[np.ndarray, ' d']:
    """List the positions in `candidates` that differ visibly from the position listed before.

    A still animal gives thousands of frames that differ by noise alone; as candidates they would
    attract clusters of their own.

    Args:
        thumbnails: (frames, pixels), which may be a memory map.
        candidates: frame ordinals, ascending.

    Examples:
        >>> thumbnails = np.array([[10], [11], [40], [41], [10]], np.uint8)
        >>> first_of_still(thumbnails, np.arange(5))
        array([0, 2, 4])
    """
    kept: list[int] = []
    last: np.ndarray | None = None
    for start, stop in chunks(len(candidates)):
        rows = rows_of(thumbnails, candidates[start:stop]).astype(np.int16)
        for at in range(start, stop):
            if last is None or np.abs(rows[at - start] - last).max() > STILL_LEVELS:
                kept.append(at)
                last = rows[at - start]
    return np.asarray(kept)


def first_of_identical(
    thumbnails: UInt8[np.ndarray, 'n p'], candidates: Int[np.ndarray, ' m']
) -> Int[np.ndarray, ' d']:
    """List the positions in `candidates` whose thumbnail does not occur at an earlier position.

    Args:
        thumbnails: (frames, pixels), which may be a memory map.
        candidates: frame ordinals, ascending.

    Examples:
        >>> thumbnails = np.array([[10], [40], [10], [41]], np.uint8)
        >>> first_of_identical(thumbnails, np.arange(4))
        array([0, 1, 3])
    """
    digests = np.empty(len(candidates), 'V16')
    for start, stop in chunks(len(candidates)):
        rows = rows_of(thumbnails, candidates[start:stop])
        digests[start:stop] = [hashlib.blake2b(row, digest_size=16).digest() for row in rows]
    return np.sort(np.unique(digests, return_index=True)[1])


def rows_of(
    thumbnails: UInt8[np.ndarray, 'n ...'], rows: slice | Int[np.ndarray, ' r']
) -> UInt8[np.ndarray, 'r ...']:
    """Copy some rows, and release the memory that reading them from a memory map took.

    Args:
        thumbnails: one row per frame, which may be a memory map or a view of one.
        rows: frames to copy.
    """
    taken = np.array(thumbnails[rows])
    base = thumbnails.base
    while isinstance(base, np.ndarray):
        # of a view
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, 'MADV_DONTNEED'):
        # pages that were read count as this process's memory until another process needs it
        base.madvise(mmap.MADV_DONTNEED)
    return taken


def chunks(count: int, size: int = CHUNK) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of successive chunks of `range(count)`.

    Args:
        count: number of items.
        size: items of a chunk.
    """
    for start in range(0, count, size):
        yield start, min(start + size, count)
