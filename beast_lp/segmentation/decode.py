"""Decoders: from probabilities per frame to labels.

Adding a new decoder:

1. write a function from probabilities (frames, classes) to class numbers (frames,)
2. add it to `DECODERS`, and its name with a line of help to the choices of
   `DecodingConfig.method` in beast_lp/config/segmentation.py
3. test it in tests/segmentation/test_decode.py against a slow loop
"""

import heapq
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Int

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.segmentation.bouts import find_bouts
from beast_lp.segmentation.labelling import EXCLUSIVE, Codes, Labelling

Probabilities = Float[np.ndarray, 'frames classes']
ClassNumbers = Int[np.ndarray, ' frames']

# probability of `viterbi` that the behaviour of a frame lasts into the next
STAY = 0.95


def decode(
    probabilities: Probabilities,
    config: DecodingConfig,
    labelling: Labelling = EXCLUSIVE,
) -> Codes:
    """Choose the label of every frame: an answer to each question of the labelling by itself.

    Args:
        probabilities: probabilities of the classes, one row per frame.
        config: which decoder, and the shortest bout to keep.
        labelling: which probabilities sum to 1, and the codes to return.

    Examples:
        >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.9, 0.1]])
        >>> decode(probabilities, DecodingConfig()).tolist()
        [0, 1, 0]
        >>> decode(probabilities, DecodingConfig(method='viterbi')).tolist()
        [0, 0, 0]
        >>> from beast_lp.segmentation.labelling import INDEPENDENT
        >>> several = np.array([[0.9, 0.2], [0.8, 0.7], [0.1, 0.1]])
        >>> decode(several, DecodingConfig(), INDEPENDENT).tolist()
        [1, 3, 0]
    """
    if len(probabilities) == 0:
        return np.zeros(0, dtype=np.int64)
    decoder = DECODERS[config.method]
    return labelling.codes(
        [
            drop_short_bouts(decoder(part), part, config.min_bout_frames)
            for part in labelling.split(probabilities)
        ]
    )


def most_probable(probabilities: Probabilities) -> ClassNumbers:
    """Return the most probable class of each frame."""
    return probabilities.argmax(axis=1)


def viterbi(probabilities: Probabilities, stay: float = STAY) -> ClassNumbers:
    """Return the most probable path of a hidden Markov model with these probabilities as evidence.

    All changes of behaviour are equally probable, and so are all classes at the start: a smoother,
    not a model of the animal. It takes one byte of memory per frame and class.

    Args:
        probabilities: at least one frame.
        stay: probability that the behaviour of a frame lasts into the next.
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


DECODERS: Mapping[str, Callable[[Probabilities], ClassNumbers]] = {
    'none': most_probable,
    'viterbi': viterbi,
}


def drop_short_bouts(
    labels: ClassNumbers,
    probabilities: Probabilities,
    min_bout_frames: int,
) -> ClassNumbers:
    """Relabel bouts that are too short as the neighbour that is more probable in their frames.

    The shortest bout comes first, so that two short ones side by side may become one that is long
    enough. A video shorter than `min_bout_frames` keeps its one label.

    Args:
        labels: class numbers.
        probabilities: of the same frames.
        min_bout_frames: length of the shortest bout that is kept.

    Examples:
        >>> labels = np.array([0, 0, 1, 2, 2])
        >>> first, second, third = [0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]
        >>> probabilities = np.array([first, first, second, third, third])
        >>> drop_short_bouts(labels, probabilities, 2).tolist()
        [0, 0, 2, 2, 2]
    """
    bouts = find_bouts(labels)
    # merged bouts are kept as the first of them; the others have length 0 from then on
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
