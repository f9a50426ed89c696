"""From probabilities per frame to labels: the best class, bouts of a least length, or Viterbi."""

import heapq

import numpy as np
from jaxtyping import Float, Int

from beast_lp.segmentation.bouts import find_bouts


def decode(
    probabilities: Float[np.ndarray, 'frames classes'],
    method: str = 'none',
    min_bout_frames: int = 1,
    stay: float = 0.95,
) -> Int[np.ndarray, ' frames']:
    """Choose a class for every frame.

    Args:
        probabilities: each row sums to 1.
        method: `none` takes the most probable class of each frame, `viterbi` the most probable
            path of a hidden Markov model with these probabilities as evidence.
        min_bout_frames: shorter bouts are given to their neighbours.
        stay: probability of Viterbi that the behaviour of a frame goes on in the next.
    """
    if len(probabilities) == 0:
        return np.zeros(0, dtype=np.int64)
    smooth = method == 'viterbi'
    labels = viterbi(probabilities, stay) if smooth else probabilities.argmax(axis=1)
    return drop_short_bouts(labels, probabilities, min_bout_frames)


def viterbi(
    probabilities: Float[np.ndarray, 'frames classes'],
    stay: float,
) -> Int[np.ndarray, ' frames']:
    """Return the most probable path where a behaviour goes on with probability `stay`.

    All changes are equally probable, and so are all classes at the start: a smoother, not a model
    of the animal. The memory is one byte per frame and class.
    """
    frames, classes = probabilities.shape
    if classes == 1:
        return np.zeros(frames, dtype=np.int64)
    evidence = np.log(np.maximum(probabilities, 1e-12))
    keep, change = np.log(stay), np.log((1 - stay) / (classes - 1))
    moves = np.full((classes, classes), change)
    np.fill_diagonal(moves, keep)
    came_from = np.zeros((frames, classes), dtype=np.min_scalar_type(classes))
    best = evidence[0]
    for frame in range(1, frames):
        reached = best[:, None] + moves
        came_from[frame] = reached.argmax(axis=0)
        best = reached.max(axis=0) + evidence[frame]
    path = np.empty(frames, dtype=np.int64)
    path[-1] = best.argmax()
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path


def drop_short_bouts(
    labels: Int[np.ndarray, ' frames'],
    probabilities: Float[np.ndarray, 'frames classes'],
    min_bout_frames: int,
) -> Int[np.ndarray, ' frames']:
    """Give bouts that are too short to the neighbour that is more probable in their frames.

    The shortest bout goes first, so that two short ones side by side may become one that is long
    enough. A video shorter than the least length keeps its one label.
    """
    bouts = find_bouts(labels)
    # bouts that grew together are kept as the first of them, the others have no length any more
    label, stop = [bout.label for bout in bouts], [bout.stop for bout in bouts]
    length = [len(bout) for bout in bouts]
    left, right = list(range(-1, len(bouts) - 1)), list(range(1, len(bouts) + 1))
    short = [(size, i) for i, size in enumerate(length) if size < min_bout_frames]
    heapq.heapify(short)
    while short:
        size, i = heapq.heappop(short)
        around = [j for j in (left[i], right[i]) if 0 <= j < len(bouts)]
        if size != length[i] or not around:
            continue
        sums = probabilities[bouts[i].start : stop[i]].sum(axis=0)
        taker = max(around, key=lambda j: sums[label[j]])
        joined = sorted([i, *(j for j in around if label[j] == label[taker])])
        first, last = joined[0], joined[-1]
        label[first], stop[first], right[first] = label[taker], stop[last], right[last]
        if right[last] < len(bouts):
            left[right[last]] = first
        for j in joined:
            length[j] = 0
        length[first] = stop[first] - bouts[first].start
        if length[first] < min_bout_frames:
            heapq.heappush(short, (length[first], first))
    return np.repeat(np.array(label, dtype=labels.dtype), length)
