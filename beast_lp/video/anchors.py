"""Choosing anchor frames from 32x32 grey thumbnails.

The procedure of BEAST (Wang, Yu et al., ICLR 2026, arXiv 2507.09513, and the authors' package):
keep the frames that move, compress them with PCA, cluster them and take the frame nearest each
centre. `farthest` replaces the clusters by greedy k-centre selection (Gonzalez, 1985, Theoretical
Computer Science 38): each frame is the one least like all those before it. Everything that is read
per frame is read in chunks, so thumbnails may be a memory map of any length.

A window is (t-k, t, t+k); `step` is its k.
"""

import hashlib
import mmap
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin_min
from threadpoolctl import threadpool_limits

from beast_lp.config import AnchorConfig
from beast_lp.errors import BeastError
from beast_lp.pca import principal_components

# px, height and width
THUMBNAIL_SIZE = (32, 32)
PCA_COMPONENTS = 32
# frames read at a time: 8 MB of thumbnails as float32
CHUNK = 2048
# candidates up to which k-means sees all of them in every step
EXACT_CANDIDATES = 20_000
# from so many frames on, the authors keep a quarter of the frames instead of a half
LONG_VIDEO = 100_000
# grey levels by which sensor and coding noise change a thumbnail's pixel, which averages many
STILL_LEVELS = 2


@dataclass(frozen=True)
class Anchors:
    """The anchors of one video, arrays of one length K.

    Attributes:
        frame: ordinals in the video, ascending.
        motion_energy: grey levels (0-255), mean absolute difference to the frame k before.
        cluster: number of the k-means cluster, -1 where the strategy does not cluster.
        distance: to the cluster's centre, grey levels in the space of the principal components,
            NaN where the strategy does not cluster.
    """

    frame: Int[np.ndarray, ' k']
    motion_energy: Float32[np.ndarray, ' k']
    cluster: Int[np.ndarray, ' k']
    distance: Float32[np.ndarray, ' k']

    def __len__(self) -> int:
        return len(self.frame)


def motion_energy(
    thumbnails: UInt8[np.ndarray, 'n p'], step: int = 1
) -> Float32[np.ndarray, ' n']:
    """Compute how much each frame differs from the one `step` frames before.

    Args:
        thumbnails: one flattened grey thumbnail per frame, a memory map is fine.
        step: frames; at 1000 frames a second, neighbouring frames differ by noise alone.

    Returns:
        mean absolute difference in grey levels; the first frames' is that of the first that has
        one, and 0 where none has.
    """
    energy = np.zeros(len(thumbnails), np.float32)
    for start, stop in _chunks(len(thumbnails) - step):
        before = _rows(thumbnails, slice(start, stop)).astype(np.int16)
        now = _rows(thumbnails, slice(start + step, stop + step))
        energy[start + step : stop + step] = np.abs(now - before).mean(1, dtype=np.float32)
    energy[:step] = energy[step] if len(energy) > step else 0
    return energy


def select_anchors(
    thumbnails: UInt8[np.ndarray, 'n p'],
    motion_energy: Float[np.ndarray, ' n'],
    config: AnchorConfig,
    seed: int,
    step: int = 1,
    spool_dir: Path | None = None,
) -> Anchors:
    """Choose the anchors of one video.

    Candidates are the frames k to n-1-k, so that every window (t-k, t, t+k) is complete, and two
    anchors are at least `config.min_spacing` times k frames apart. `distinct` and `farthest`
    follow the module's procedure; of a still stretch one frame counts, identical thumbnails count
    once, and fewer anchors than asked for come back where there are fewer distinct frames or the
    spacing leaves no room. `random` draws from all candidates with equal chance, `uniform` spaces
    them evenly.

    Args:
        thumbnails: one flattened grey thumbnail per frame, a memory map is fine.
        motion_energy: of every frame, grey levels.
        config: strategy, number, motion threshold and spacing.
        seed: equal seeds give equal anchors.
        step: frames, the windows' k.
        spool_dir: folder of a temporary file (128 bytes per candidate), None for the system's.

    Raises:
        BeastError: if there are fewer than 2 k + 1 frames or nothing moves.
    """
    count = len(thumbnails)
    least = 2 * step + 1
    if count < least:
        raise BeastError(
            f'found {count} frame{"s" * (count != 1)}, but an anchor needs a frame {step} before '
            f'and one {step} after it; use a video of at least {least} frames'
            + (', or lower the offset in beast.pairs' if step > 1 else '')
        )
    if _is_motionless(thumbnails):
        raise BeastError(
            f'nothing moves in any of its {count} frames, so there is nothing to learn; '
            'remove the video or check the recording'
        )
    if config.strategy == 'uniform':
        frames = _uniform_frames(count, config, step)
    elif config.strategy == 'random':
        frames = _random_frames(count, config, seed, step)
    else:
        # several threads add up in an order that changes from run to run, and where cores are
        # shared they wait for each other: 14 s were seen instead of 0.2 s
        with threadpool_limits(limits=1):
            return _dissimilar_anchors(thumbnails, motion_energy, config, seed, step, spool_dir)
    return Anchors(
        frame=frames,
        motion_energy=motion_energy[frames].astype(np.float32),
        cluster=np.full(len(frames), -1, np.int64),
        distance=np.full(len(frames), np.nan, np.float32),
    )


def _dissimilar_anchors(
    thumbnails: UInt8[np.ndarray, 'n p'],
    energy: Float[np.ndarray, ' n'],
    config: AnchorConfig,
    seed: int,
    step: int,
    spool_dir: Path | None,
) -> Anchors:
    candidates = moving_frames(energy, config.motion_percentile, step)
    candidates = candidates[first_of_still(thumbnails, candidates)]
    candidates = candidates[first_of_identical(thumbnails, candidates)]
    wanted, spacing = min(config.per_video, len(candidates)), config.min_spacing * step
    with tempfile.TemporaryFile(dir=spool_dir) as spool:
        points = _write_codes(thumbnails, candidates, spool)
        if config.strategy == 'farthest':
            chosen = pick_farthest(points, candidates, wanted, spacing, seed)
            labels = np.full(len(candidates), -1, np.int64)
            distances = np.full(len(candidates), np.nan, np.float32)
        else:
            labels, distances = _cluster(points, wanted, seed)
            chosen = pick_spaced(candidates, labels, distances, spacing)
        del points
    return Anchors(
        frame=candidates[chosen],
        motion_energy=energy[candidates[chosen]].astype(np.float32),
        cluster=labels[chosen],
        distance=distances[chosen],
    )


def moving_frames(
    energy: Float[np.ndarray, ' n'], percentile: float | None, step: int = 1
) -> Int[np.ndarray, ' m']:
    """List the frames with a whole window whose motion energy is above a percentile.

    Args:
        energy: motion energy of every frame of the video, at least one above 0.
        percentile: 0-99; None is the authors' rule, 50, and 75 from 100,000 frames on.
        step: frames, the windows' k.

    Returns:
        ordinals, ascending, at least one. Where no frame lies above the percentile because the
        motion is even, the frames at it.
    """
    if percentile is None:
        percentile = 75.0 if len(energy) >= LONG_VIDEO else 50.0
    inner = energy[step:-step]
    threshold = np.percentile(inner, percentile)
    above = inner > threshold
    if not above.any():
        above = inner >= threshold
    return np.flatnonzero(above) + step


def first_of_still(
    thumbnails: UInt8[np.ndarray, 'n p'], candidates: Int[np.ndarray, ' m']
) -> Int[np.ndarray, ' d']:
    """List the positions in `candidates` that differ visibly from the one listed before.

    A still animal gives thousands of frames that differ by noise; as candidates they would draw
    clusters of their own.
    """
    kept: list[int] = []
    last: np.ndarray | None = None
    for start, stop in _chunks(len(candidates)):
        rows = _rows(thumbnails, candidates[start:stop]).astype(np.int16)
        for at in range(start, stop):
            if last is None or np.abs(rows[at - start] - last).max() > STILL_LEVELS:
                kept.append(at)
                last = rows[at - start]
    return np.asarray(kept)


def first_of_identical(
    thumbnails: UInt8[np.ndarray, 'n p'], candidates: Int[np.ndarray, ' m']
) -> Int[np.ndarray, ' d']:
    """List the positions in `candidates` whose thumbnail has not occurred at an earlier one."""
    digests = np.empty(len(candidates), 'V16')
    for start, stop in _chunks(len(candidates)):
        rows = _rows(thumbnails, candidates[start:stop])
        digests[start:stop] = [hashlib.blake2b(row, digest_size=16).digest() for row in rows]
    return np.sort(np.unique(digests, return_index=True)[1])


def _write_codes(
    thumbnails: UInt8[np.ndarray, 'n p'], candidates: Int[np.ndarray, ' m'], spool: BinaryIO
) -> Float32[np.ndarray, 'm c']:
    """Map the candidates to their principal components.

    They take 128 bytes per candidate, on disk for the sake of very long videos, and are written,
    not mapped: a full disk under a map kills the process.
    """

    def batches() -> Iterator[Float32[np.ndarray, 'rows p']]:
        for start, stop in _chunks(len(candidates)):
            yield _rows(thumbnails, candidates[start:stop]).astype(np.float32)

    found = principal_components(batches, PCA_COMPONENTS)
    mean, basis = found.mean.astype(np.float32), found.axes.astype(np.float32)
    for pixels in batches():
        spool.write(((pixels - mean) @ basis).tobytes())
    spool.flush()
    return np.memmap(spool, np.float32, 'r', shape=(len(candidates), basis.shape[1]))


def _cluster(
    points: Float32[np.ndarray, 'm c'], clusters: int, seed: int
) -> tuple[Int[np.ndarray, ' m'], Float32[np.ndarray, ' m']]:
    """Assign every point to its nearest k-means centre; returns its number and distance."""
    if clusters == len(points):
        return np.arange(clusters), np.zeros(clusters, np.float32)
    if len(points) <= EXACT_CANDIDATES:
        model = KMeans(clusters, max_iter=100, random_state=seed)
    else:
        model = MiniBatchKMeans(clusters, max_iter=20, batch_size=4096, random_state=seed)
    centres = model.fit(points).cluster_centers_
    labels = np.empty(len(points), np.int64)
    distances = np.empty(len(points), np.float32)
    for start, stop in _chunks(len(points)):
        labels[start:stop], distances[start:stop] = pairwise_distances_argmin_min(
            points[start:stop], centres
        )
    return labels, distances


def pick_spaced(
    candidates: Int[np.ndarray, ' m'],
    labels: Int[np.ndarray, ' m'],
    distances: Float[np.ndarray, ' m'],
    spacing: int,
) -> Int[np.ndarray, ' k']:
    """Take from each cluster the member nearest its centre that keeps its distance in time.

    Small clusters choose first, since they have the fewest alternatives. A cluster of which every
    member is too near a chosen anchor is left out.

    Args:
        candidates: frame ordinals, ascending.
        labels: cluster of each candidate.
        distances: of each candidate to its cluster's centre.
        spacing: least difference of two chosen ordinals.

    Returns:
        positions in `candidates`, ascending.
    """
    order = np.lexsort((candidates, distances, labels))
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    members = np.split(order, starts[1:])
    blocked = np.zeros(int(candidates[-1]) + 1, bool)
    chosen = []
    for cluster in sorted(members, key=len):
        free = cluster[~blocked[candidates[cluster]]]
        if len(free):
            chosen.append(free[0])
            _block(blocked, int(candidates[free[0]]), spacing)
    return np.sort(np.asarray(chosen))


def pick_farthest(
    points: Float32[np.ndarray, 'm c'],
    candidates: Int[np.ndarray, ' m'],
    wanted: int,
    spacing: int,
    seed: int,
) -> Int[np.ndarray, ' k']:
    """Take again and again the point that is farthest from all points taken so far.

    Args:
        points: one per candidate, a memory map is fine.
        candidates: frame ordinals, ascending.
        wanted: points to take; fewer come back where only copies or too near frames are left.
        spacing: least difference of two chosen ordinals.
        seed: of the first point.

    Returns:
        positions in `candidates`, ascending.
    """
    # squared distance to the nearest point taken, -1 where the spacing forbids the candidate
    nearest = np.full(len(points), np.inf, np.float32)
    latest = int(np.random.default_rng(seed).integers(len(points)))
    chosen = [latest]
    while len(chosen) < wanted:
        for start, stop in _chunks(len(points)):
            difference = points[start:stop] - points[latest]
            squares = np.einsum('ij,ij->i', difference, difference)
            np.minimum(nearest[start:stop], squares, out=nearest[start:stop])
        frame = candidates[latest]
        low, high = np.searchsorted(candidates, (frame - spacing + 1, frame + spacing))
        nearest[low:high] = -1
        latest = int(nearest.argmax())
        if nearest[latest] <= 0:
            break
        chosen.append(latest)
    return np.sort(np.asarray(chosen))


def _uniform_frames(count: int, config: AnchorConfig, step: int) -> Int[np.ndarray, ' k']:
    last = count - 1 - 2 * step
    wanted = min(config.per_video, last // (config.min_spacing * step) + 1)
    if wanted == 1:
        return np.array([step + last // 2])
    return step + np.arange(wanted) * last // (wanted - 1)


def _random_frames(
    count: int, config: AnchorConfig, seed: int, step: int
) -> Int[np.ndarray, ' k']:
    blocked = np.zeros(count, bool)
    chosen = []
    frames = np.arange(step, count - step, dtype=np.int32)
    for frame in np.random.default_rng(seed).permutation(frames):
        if len(chosen) == config.per_video:
            break
        if not blocked[frame]:
            chosen.append(frame)
            _block(blocked, int(frame), config.min_spacing * step)
    return np.sort(np.asarray(chosen, np.int64))


def _block(blocked: np.ndarray, frame: int, spacing: int) -> None:
    blocked[max(0, frame - spacing + 1) : frame + spacing] = True


def _is_motionless(thumbnails: UInt8[np.ndarray, 'n p']) -> bool:
    """Tell whether no pixel ever changes by more than coding noise.

    Averaging over a thumbnail's pixel leaves of sensor and coding noise at most a flip between
    two neighbouring grey levels.
    """
    low = high = np.asarray(thumbnails[0]).astype(np.int16)
    for start, stop in _chunks(len(thumbnails)):
        chunk = _rows(thumbnails, slice(start, stop))
        low, high = np.minimum(low, chunk.min(0)), np.maximum(high, chunk.max(0))
        if (high - low > 1).any():
            return False
    return True


def _rows(
    thumbnails: UInt8[np.ndarray, 'n p'], rows: slice | Int[np.ndarray, ' r']
) -> UInt8[np.ndarray, 'r p']:
    """Copy some rows, and give back the memory of a map that reading them took."""
    taken = np.array(thumbnails[rows])
    if isinstance(thumbnails.base, mmap.mmap) and hasattr(mmap, 'MADV_DONTNEED'):
        # pages that were read count as this process's memory until somebody else needs it
        thumbnails.base.madvise(mmap.MADV_DONTNEED)
    return taken


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of successive chunks of `range(count)`."""
    for start in range(0, count, CHUNK):
        yield start, min(start + CHUNK, count)
