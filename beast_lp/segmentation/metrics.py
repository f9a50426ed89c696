"""Scores of a segmentation: per frame, per bout, and of how well its probabilities are calibrated.

Pure functions on arrays, which only count scored frames. Class numbers are the answers to one
question; where a frame may show several behaviours, each is scored by itself.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
)

from beast_lp.segmentation.bouts import Bout, find_bouts
from beast_lp.segmentation.labelling import UNSCORED
from beast_lp.segmentation.sequences import stretches

# least shares of their union by which a predicted and a scored bout match (Lea et al., CVPR 2017)
OVERLAPS = (0.1, 0.25, 0.5)


def confusion(
    target: Int[np.ndarray, ' frames'],
    predicted: Int[np.ndarray, ' frames'],
    classes: int,
) -> Int[np.ndarray, 'classes classes']:
    """Count scored frames by scored class (rows) and predicted class (columns).

    Args:
        target: scored class numbers; `UNSCORED` frames do not count.
        predicted: class numbers.
        classes: number of classes.

    Examples:
        >>> confusion(np.array([0, 0, 1, UNSCORED]), np.array([0, 1, 1, 1]), classes=2).tolist()
        [[1, 1], [0, 1]]
    """
    chosen = target != UNSCORED
    return confusion_matrix(target[chosen], predicted[chosen], labels=range(classes))


def co_occurrence(
    scored: Bool[np.ndarray, 'frames classes'],
    predicted: Bool[np.ndarray, 'frames classes'],
) -> Int[np.ndarray, 'classes classes']:
    """Count frames in which a class was scored (rows) and a class was predicted (columns).

    Where every frame has one class, this is its confusion matrix.

    Args:
        scored: classes of scored frames.
        predicted: classes that are predicted in them.

    Examples:
        >>> both, walk = [True, True], [True, False]
        >>> co_occurrence(np.array([both, walk, walk]), np.array([both, both, walk])).tolist()
        [[3, 2], [1, 1]]
    """
    return scored.astype(np.int64).T @ predicted.astype(np.int64)


def per_class(
    target: Int[np.ndarray, ' frames'],
    predicted: Int[np.ndarray, ' frames'],
    probabilities: Float[np.ndarray, 'frames classes'],
    classes: Sequence[str],
) -> pd.DataFrame:
    """Score each class against the rest.

    Args:
        target: scored class numbers; `UNSCORED` frames do not count.
        predicted: class numbers, never `UNSCORED`.
        probabilities: from which the average precision is computed.
        classes: names, in the order of the class numbers.

    Returns:
        one row per class: `class`, `frames` (scored), `predicted` (frames), `precision`, `recall`,
        `f1`, `average_precision`. A class without scored frames has NaN; one that is never
        predicted has precision 0.

    Examples:
        >>> predicted = np.array([0, 1, 1, 1])
        >>> sure = np.eye(2)[predicted]
        >>> table = per_class(np.array([0, 0, 1, 1]), predicted, sure, ['rest', 'walk'])
        >>> table[['class', 'frames', 'predicted', 'f1']].round(2).to_numpy().tolist()
        [['rest', 2, 1, 0.67], ['walk', 2, 3, 0.8]]
    """
    chosen = target != UNSCORED
    numbers = range(len(classes))
    counts = confusion(target, predicted, len(classes))
    scored, guessed = counts.sum(axis=1), counts.sum(axis=0)
    precision, recall, f1, _ = precision_recall_fscore_support(
        target[chosen],
        predicted[chosen],
        labels=numbers,
        zero_division=0,  # type: ignore[arg-type]
    )
    average = [
        average_precision_score(target[chosen] == number, probabilities[chosen, number])
        if scored[number]
        else np.nan
        for number in numbers
    ]
    scores = {'precision': precision, 'recall': recall, 'f1': f1, 'average_precision': average}
    return pd.DataFrame(
        {
            'class': list(classes),
            'frames': scored,
            'predicted': guessed,
            **{name: np.where(scored > 0, values, np.nan) for name, values in scores.items()},
        }
    )


def macro_f1(f1: Float[np.ndarray, ' classes'], counted: Bool[np.ndarray, ' classes']) -> float:
    """Average F1 over the classes that count and have scored frames; NaN if there are none.

    Args:
        f1: F1 of each class, NaN where it has no scored frame.
        counted: false for background.

    Examples:
        >>> macro_f1(np.array([0.9, 0.8, 0.4, np.nan]), np.array([False, True, True, True]))
        0.6000000000000001
    """
    values = f1[counted & ~np.isnan(f1)]
    return float(values.mean()) if len(values) else float('nan')


def calibration(
    target: Int[np.ndarray, ' frames'],
    probabilities: Float[np.ndarray, 'frames classes'],
    bins: int = 10,
) -> pd.DataFrame:
    """Compare confidence (the largest probability) with accuracy.

    Args:
        target: scored class numbers; `UNSCORED` frames do not count.
        probabilities: probabilities of the classes.
        bins: number of equally wide bins of confidence.

    Returns:
        one row per bin that holds a frame: `from`, `to`, `frames`, `confidence` (mean) and
        `accuracy`.

    Examples:
        >>> table = calibration(np.array([0, 1]), np.array([[0.9, 0.1], [0.85, 0.15]]))
        >>> table.round(3).to_numpy().tolist()
        [[0.8, 0.9, 2.0, 0.875, 0.5]]
    """
    chosen = target != UNSCORED
    sure = probabilities[chosen].max(axis=1)
    right = probabilities[chosen].argmax(axis=1) == target[chosen]
    # a confidence on an edge belongs to the bin below it, as in Guo et al., ICML 2017
    place = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    rows = [
        {
            'from': b / bins,
            'to': (b + 1) / bins,
            'frames': int((place == b).sum()),
            'confidence': float(sure[place == b].mean()),
            'accuracy': float(right[place == b].mean()),
        }
        for b in np.unique(place)
    ]
    return pd.DataFrame(rows, columns=pd.Index(['from', 'to', 'frames', 'confidence', 'accuracy']))


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Average |accuracy - confidence| over frames (Guo et al., ICML 2017); NaN without frames.

    Args:
        table: rows of `calibration`.

    Examples:
        >>> table = calibration(np.array([0, 1]), np.array([[0.9, 0.1], [0.85, 0.15]]))
        >>> round(expected_calibration_error(table), 3)
        0.375
    """
    if table.empty:
        return float('nan')
    gaps = (table['accuracy'] - table['confidence']).abs()
    return float((gaps * table['frames']).sum() / table['frames'].sum())


def bout_scores(
    target: Int[np.ndarray, ' frames'],
    predicted: Int[np.ndarray, ' frames'],
    classes: Sequence[str],
    overlaps: Sequence[float] = OVERLAPS,
) -> pd.DataFrame:
    """Compare bouts by the segmental F1@k of Lea et al., CVPR 2017.

    A predicted bout is right if it shares enough of its union with a scored bout of the same class
    that no other predicted bout has taken. Bouts end where scored frames end.

    Args:
        target: scored class numbers, stretch after stretch; `UNSCORED` frames separate them.
        predicted: class numbers of the same frames.
        classes: names, in the order of the class numbers.
        overlaps: least shares of the union.

    Returns:
        one row per class: `class`, `scored_bouts`, `predicted_bouts`, and `f1@<overlap in
        percent>` for each overlap. As in `per_class`, a class that was not scored has NaN, so that
        frames and bouts are averaged over the same classes.

    Examples:
        >>> target, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
        >>> table = bout_scores(target, predicted, ['rest', 'walk'], overlaps=[0.5])
        >>> table.round(2).to_numpy().tolist()
        [['rest', 1, 2, 0.67], ['walk', 1, 2, 0.67]]
    """
    right = np.zeros((len(overlaps), len(classes)), dtype=int)
    scored, guessed = np.zeros(len(classes), dtype=int), np.zeros(len(classes), dtype=int)
    for start, stop in stretches(target != UNSCORED):
        truth, guess = find_bouts(target[start:stop]), find_bouts(predicted[start:stop])
        for bouts, counts in ((truth, scored), (guess, guessed)):
            for bout in bouts:
                counts[bout.label] += 1
        for row, overlap in enumerate(overlaps):
            for label, count in _matches(truth, guess, overlap).items():
                right[row, label] += count
    both = np.maximum(scored + guessed, 1)
    columns = {
        f'f1@{round(100 * overlap)}': np.where(scored > 0, 2 * right[row] / both, np.nan)
        for row, overlap in enumerate(overlaps)
    }
    return pd.DataFrame(
        {
            'class': list(classes),
            'scored_bouts': scored,
            'predicted_bouts': guessed,
            **columns,
        }
    )


def _matches(truth: Sequence[Bout], guess: Sequence[Bout], overlap: float) -> dict[int, int]:
    """Count right bouts of each class; a predicted bout takes the scored one it overlaps most."""
    taken: set[int] = set()
    right: dict[int, int] = {}
    starts, stops = [other.start for other in truth], [other.stop for other in truth]
    for bout in guess:
        # both lists are in order, so that only a few bouts share frames with this one
        near = range(bisect_right(stops, bout.start), bisect_left(starts, bout.stop))
        shares = {
            i: _share(bout, truth[i])
            for i in near
            if truth[i].label == bout.label and i not in taken
        }
        best = max(shares, key=lambda i: shares[i], default=None)
        if best is not None and shares[best] >= overlap:
            taken.add(best)
            right[bout.label] = right.get(bout.label, 0) + 1
    return right


def _share(a: Bout, b: Bout) -> float:
    common = min(a.stop, b.stop) - max(a.start, b.start)
    return max(0, common) / (len(a) + len(b) - max(0, common))


def switches(
    target: Int[np.ndarray, ' frames'],
    predicted: Int[np.ndarray, ' frames'],
) -> dict[str, float]:
    """Count changes of the label within scored stretches, and measure bouts.

    Args:
        target: scored codes, stretch after stretch; `UNSCORED` frames separate them.
        predicted: codes of the same frames; where they are sets of behaviours, so are bouts.

    Returns:
        `scored_switches` and `predicted_switches` per 1000 frames, `scored_bout_median` and
        `predicted_bout_median` in frames.

    Examples:
        >>> found = switches(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
        >>> found['scored_switches'], found['predicted_switches'], found['predicted_bout_median']
        (250.0, 750.0, 1.0)
    """
    frames = int((target != UNSCORED).sum())
    pieces = stretches(target != UNSCORED)
    result: dict[str, float] = {}
    for name, labels in (('scored', target), ('predicted', predicted)):
        bouts = [bout for start, stop in pieces for bout in find_bouts(labels[start:stop])]
        changes = len(bouts) - len(pieces)
        result[f'{name}_switches'] = 1000 * changes / max(frames, 1)
        result[f'{name}_bout_median'] = (
            float(np.median([len(bout) for bout in bouts])) if bouts else float('nan')
        )
    return result
