"""Anchor strategies: which frames of a video become anchors, judged by its thumbnails.

The procedure is that of BEAST (Wang, Yu et al., ICLR 2026, arXiv 2507.09513, and the authors'
package): keep the frames that move, compress them with PCA, cluster them and take the frame
nearest to each centre. `farthest` replaces the clusters by greedy k-centre selection (Gonzalez,
1985, Theoretical Computer Science 38): each frame is the one least like all frames before it.

A window is (t-k, t, t+k); `step` is its k.

Adding a new anchor strategy:

1. write a function of a `Footage`, the number of anchors wanted and a seed that returns a
   `Choice`, here or in a file of its own
2. add it to `STRATEGIES` under the name that users write in `beast.anchors.strategy`
3. add that name and a line of help to the choices of `AnchorConfig.strategy`
   (`beast_lp/config/pretraining.py`), and run `python -m beast_lp.config.document`
4. test it in `tests/video/test_anchors.py`; the tests of every strategy include it already
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from beast_lp.pca import principal_components
from beast_lp.video.thumbnails import (
    chunks,
    first_of_identical,
    first_of_still,
    moving_frames,
    rows_of,
)

PCA_COMPONENTS = 32
# candidates up to which k-means sees all of them in every step
EXACT_CANDIDATES = 20_000
# share of the anchors wanted that a further round of clusters must find to be followed by another
_WORTH_ANOTHER_ROUND = 0.05
# Least distance of two anchors of a video in steps of k. Our choice, the authors have none: from 2
# on, no anchor is the positive of another, and from 3 on, no two windows share a frame.
MIN_SPACING = 3


class Footage(NamedTuple):
    """The material that a strategy chooses from.

    Attributes:
        thumbnails: (frames, pixels), which may be a memory map.
        energy: (frames,) motion energy in grey levels.
        step: number of frames, k.
        spool_dir: folder of temporary files; None for the system's.
    """

    thumbnails: UInt8[np.ndarray, 'n p']
    energy: Float[np.ndarray, ' n']
    step: int = 1
    spool_dir: Path | None = None

    @property
    def spacing(self) -> int:
        """Least distance of two anchors in frames."""
        return MIN_SPACING * self.step


class Choice(NamedTuple):
    """The choice of a strategy.

    Attributes:
        frame: ordinals in the video, ascending: at least one, at most the number wanted, all of
            them with a complete window and no two closer than `Footage.spacing`.
        cluster: cluster of each frame; None where the strategy does not cluster.
        distance: distance of each frame to its cluster's centre; None likewise.
    """

    frame: Int[np.ndarray, ' k']
    cluster: Int[np.ndarray, ' k'] | None = None
    distance: Float32[np.ndarray, ' k'] | None = None


def distinct_frames(footage: Footage, wanted: int, seed: int) -> Choice:
    """Choose one frame of each visual cluster of the moving frames, as the authors do.

    Where these have no room for all that are wanted, the clusters of what is left of all frames
    give the rest.
    """
    chosen = _of_clusters(footage, _moving(footage), wanted, seed)
    while len(chosen.frame) < wanted:
        free = _free_of(_all(footage), chosen.frame, footage.spacing)
        if len(free) == 0:
            break
        more = _of_clusters(footage, free, wanted - len(chosen.frame), seed)
        chosen = _together(chosen, more)
        if len(more.frame) < _WORTH_ANOTHER_ROUND * wanted:
            break
    return chosen


def _of_clusters(
    footage: Footage, candidates: Int[np.ndarray, ' m'], wanted: int, seed: int
) -> Choice:
    """Choose at most one candidate of each of so many clusters."""
    with _compressed(footage, candidates) as points:
        labels, distances = _cluster(points, min(wanted, len(candidates)), seed)
    chosen = pick_spaced(candidates, labels, distances, footage.spacing)
    return Choice(candidates[chosen], labels[chosen], distances[chosen])


def _together(one: Choice, other: Choice) -> Choice:
    """Join two choices of clusters, whose numbers stay apart."""
    assert one.cluster is not None and other.cluster is not None
    assert one.distance is not None and other.distance is not None
    frame = np.concatenate([one.frame, other.frame])
    order = np.argsort(frame)
    cluster = np.concatenate([one.cluster, other.cluster + one.cluster.max() + 1])
    distance = np.concatenate([one.distance, other.distance])
    return Choice(frame[order], cluster[order], distance[order])


def farthest_frames(footage: Footage, wanted: int, seed: int) -> Choice:
    """Choose moving frames, each as unlike those chosen before as can be.

    Where these have no room for all that are wanted, all frames are candidates.
    """
    found = _of_farthest(footage, _moving(footage), wanted, seed)
    if len(found) < wanted:
        found = max(found, _of_farthest(footage, _all(footage), wanted, seed), key=len)
    return Choice(found)


def _of_farthest(
    footage: Footage, candidates: Int[np.ndarray, ' m'], wanted: int, seed: int
) -> Int[np.ndarray, ' k']:
    with _compressed(footage, candidates) as points:
        wanted = min(wanted, len(candidates))
        return candidates[pick_farthest(points, candidates, wanted, footage.spacing, seed)]


def random_frames(footage: Footage, wanted: int, seed: int) -> Choice:
    """Draw frames with equal chance.

    Examples:
        >>> random_frames(Footage(np.zeros((30, 4), np.uint8), np.zeros(30)), 3, seed=0).frame
        array([ 5, 11, 20])
    """
    count = len(footage.thumbnails)
    blocked = np.zeros(count, bool)
    chosen = []
    frames = np.arange(footage.step, count - footage.step, dtype=np.int32)
    for frame in np.random.default_rng(seed).permutation(frames):
        if len(chosen) == wanted:
            break
        if not blocked[frame]:
            chosen.append(frame)
            _block(blocked, int(frame), footage.spacing)
    return Choice(np.sort(np.asarray(chosen, np.int64)))


def uniform_frames(footage: Footage, wanted: int, seed: int) -> Choice:
    """Space frames evenly, from the first frame with a complete window to the last; no seed.

    Examples:
        >>> uniform_frames(Footage(np.zeros((30, 4), np.uint8), np.zeros(30)), 4, seed=0).frame
        array([ 1, 10, 19, 28])
    """
    last = len(footage.thumbnails) - 1 - 2 * footage.step
    wanted = min(wanted, last // footage.spacing + 1)
    if wanted == 1:
        return Choice(np.array([footage.step + last // 2]))
    return Choice(footage.step + np.arange(wanted) * last // (wanted - 1))


# each takes the material, the number of anchors wanted (at least 1) and a seed
STRATEGIES: dict[str, Callable[[Footage, int, int], Choice]] = {
    'distinct': distinct_frames,
    'farthest': farthest_frames,
    'random': random_frames,
    'uniform': uniform_frames,
}


def _moving(footage: Footage) -> Int[np.ndarray, ' m']:
    """List the distinct frames among those that move more than most others."""
    return distinct_candidates(footage, moving_frames(footage.energy, footage.step))


def _all(footage: Footage) -> Int[np.ndarray, ' m']:
    """List the distinct frames among all that have a complete window."""
    inner = np.arange(footage.step, len(footage.thumbnails) - footage.step)
    return distinct_candidates(footage, inner)


def _free_of(
    candidates: Int[np.ndarray, ' m'], chosen: Int[np.ndarray, ' k'], spacing: int
) -> Int[np.ndarray, ' f']:
    """List the candidates that keep their distance to all frames chosen, which ascend."""
    after = np.searchsorted(chosen, candidates)
    padded = np.concatenate([[-spacing], chosen, [candidates[-1] + spacing]])
    near = np.minimum(candidates - padded[after], padded[after + 1] - candidates)
    return candidates[near >= spacing]


def distinct_candidates(
    footage: Footage, candidates: Int[np.ndarray, ' n']
) -> Int[np.ndarray, ' m']:
    """List the frames of which each is the first of its still stretch and of identical thumbnails.

    Args:
        footage: material that the frames are of.
        candidates: ordinals, ascending.

    Returns:
        ordinals, ascending, at least one.
    """
    candidates = candidates[first_of_still(footage.thumbnails, candidates)]
    return candidates[first_of_identical(footage.thumbnails, candidates)]


@contextmanager
def _compressed(
    footage: Footage, candidates: Int[np.ndarray, ' m']
) -> Iterator[Float32[np.ndarray, 'm c']]:
    """Give the principal components of the candidates, from a temporary file."""
    with tempfile.TemporaryFile(dir=footage.spool_dir) as spool:
        yield _write_codes(footage.thumbnails, candidates, spool)


def _write_codes(
    thumbnails: UInt8[np.ndarray, 'n p'], candidates: Int[np.ndarray, ' m'], spool: BinaryIO
) -> Float32[np.ndarray, 'm c']:
    """Map the candidates to their principal components.

    These take 128 bytes per candidate, on disk because videos may be very long. They are written
    to the file, not to a memory map, because a full disk under a map kills the process.
    """

    def batches() -> Iterator[Float32[np.ndarray, 'rows p']]:
        for start, stop in chunks(len(candidates)):
            yield rows_of(thumbnails, candidates[start:stop]).astype(np.float32)

    found = principal_components(batches, PCA_COMPONENTS)
    mean, basis = found.mean.astype(np.float32), found.axes.astype(np.float32)
    for pixels in batches():
        spool.write(((pixels - mean) @ basis).tobytes())
    spool.flush()
    return np.memmap(spool, np.float32, 'r', shape=(len(candidates), basis.shape[1]))


def _cluster(
    points: Float32[np.ndarray, 'm c'], clusters: int, seed: int
) -> tuple[Int[np.ndarray, ' m'], Float32[np.ndarray, ' m']]:
    """Assign every point to its nearest k-means centre.

    Returns:
        number of each point's centre, and the distance to it.
    """
    # imported here because scikit-learn is slow to import and a scan should start reading at once
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.metrics import pairwise_distances_argmin_min

    if clusters == len(points):
        return np.arange(clusters), np.zeros(clusters, np.float32)
    if len(points) <= EXACT_CANDIDATES:
        model = KMeans(clusters, max_iter=100, random_state=seed)
    else:
        model = MiniBatchKMeans(clusters, max_iter=20, batch_size=4096, random_state=seed)
    centres = model.fit(points).cluster_centers_
    labels = np.empty(len(points), np.int64)
    distances = np.empty(len(points), np.float32)
    for start, stop in chunks(len(points)):
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
    """Take from each cluster the member nearest to its centre that keeps its distance in time.

    Small clusters choose first, because they have the fewest alternatives. A cluster whose members
    are all too close to chosen anchors is left out.

    Args:
        candidates: (candidates,) frame ordinals, ascending.
        labels: (candidates,) cluster of each candidate.
        distances: (candidates,) distance of each candidate to its cluster's centre.
        spacing: least difference of two chosen ordinals, in frames.

    Returns:
        positions in `candidates`, ascending.

    Examples:
        >>> frames, distances = np.array([4, 5, 9, 20]), np.array([2.0, 1.0, 3.0, 1.0])
        >>> pick_spaced(frames, np.array([0, 0, 1, 1]), distances, spacing=3)
        array([1, 3])
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
    """Take repeatedly the point that is farthest from all points taken so far (Gonzalez, 1985).

    Args:
        points: (candidates, dimensions), which may be a memory map.
        candidates: (candidates,) frame ordinals, ascending.
        wanted: number of points to take. Fewer come back where only copies, or frames too close to
            chosen ones, are left.
        spacing: least difference of two chosen ordinals, in frames.
        seed: seed of the draw of the first point.

    Returns:
        positions in `candidates`, ascending.

    Examples:
        >>> points = np.array([[0], [1], [2], [9]], np.float32)
        >>> pick_farthest(points, np.array([0, 10, 20, 30]), 2, spacing=3, seed=0)
        array([0, 3])
    """
    # squared distance to the nearest point taken; -1 where the spacing excludes the candidate
    nearest = np.full(len(points), np.inf, np.float32)
    latest = int(np.random.default_rng(seed).integers(len(points)))
    chosen = [latest]
    while len(chosen) < wanted:
        for start, stop in chunks(len(points)):
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


def _block(blocked: np.ndarray, frame: int, spacing: int) -> None:
    blocked[max(0, frame - spacing + 1) : frame + spacing] = True
