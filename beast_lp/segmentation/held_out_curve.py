"""The held-out curve: a part of the training frames decides how long to train.

The frames on which models are scored have no say in it. A first model is trained without a fifth
of the training frames; the epoch in which their loss was least is the length of all other
trainings, which see every training frame. The same fifth decides whether logistic regression takes
part in the predictions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.metrics import f1_score

from beast_lp.segmentation.floors import LOGISTIC, averaged, fit_floor
from beast_lp.segmentation.labelling import ABSENT, UNSCORED, Labelling
from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.probabilities import predict
from beast_lp.segmentation.split import BLOCK_FRAMES, GAP_FRAMES
from beast_lp.segmentation.streams import Streams
from beast_lp.segmentation.training_data import TrainingData

# one part in so many is held out
_PARTS = 5
# share of the epochs without a new minimum after which a training is over, and the least of them
_PATIENCE, _LEAST_PATIENCE = 0.25, 5
LOSS = 'held_out_loss'
# weight of logistic regression, where it takes part: on held-out blocks of a fly (five seeds) it
# raised macro-F1 of principal components from 0.56 to 0.59; with patch tokens it lowered it from
# 0.74 to 0.71, and raised that of bouts from 0.56 to 0.63
SHARE = 0.35


def hold_out_part(data: TrainingData, classes: int) -> tuple[TrainingData, TrainingData] | None:
    """Part training frames into those to learn from and those to draw the curve of.

    Of five videos or more, every fifth is held out, else every fifth block of frames; which of the
    fifths is the one that leaves the most even share of each class.

    Args:
        data: all training frames.
        classes: number of classes.

    Returns:
        the two parts; None if no part has scored frames of every class, and without it where
        it may be absent, and leaves some.
    """
    best, share = None, 0.0
    counts = data.counts(classes)
    for part in range(_PARTS):
        learned, curve = _parted(data, part)
        held = curve.counts(classes)
        if not (held.all() and learned.counts(classes).all()):
            continue
        # the rarest share that either side has of any class, at best 1 in `_PARTS`
        least = float((np.minimum(held, learned.counts(classes) / (_PARTS - 1)) / counts).min())
        if least > share:
            best, share = (learned, curve), least
    return best


def _parted(data: TrainingData, part: int) -> tuple[TrainingData, TrainingData]:
    learned, curve = [], []
    videos = [number for number, mask in enumerate(data.train) if mask.any()]
    for number, mask in enumerate(data.train):
        if len(videos) >= _PARTS:
            held = np.full(len(mask), number in videos[part::_PARTS])
            near = held
        else:
            held = (np.arange(len(mask)) // BLOCK_FRAMES) % _PARTS == part
            near = held.copy()
            for shift in range(1, GAP_FRAMES + 1):
                near[shift:] |= held[:-shift]
                near[:-shift] |= held[shift:]
        learned.append(mask & ~near)
        curve.append(mask & held)
    return replace(data, train=learned), replace(data, train=curve)


def curve_point(model: Segmenter, held_out: TrainingData) -> dict[str, float]:
    """Score a model on held-out frames.

    Args:
        model: model in training.
        held_out: scored frames of every class in its `train`.

    Returns:
        `held_out_loss`, the cross-entropy averaged over the classes (or over shown and absent of
        each behaviour), and `held_out_f1` (macro).
    """
    probabilities = _scored(held_out, lambda features, mask: predict([model], features, mask)[0])
    target = _targets(held_out)
    labelling, by_answer = held_out.labelling, []
    for answers, part in zip(
        labelling.answers(target, model.classes), labelling.split(probabilities), strict=True
    ):
        own = part[np.arange(len(answers)), answers]
        losses = -np.log(np.maximum(own.astype(np.float64), 1e-9))
        by_answer += [losses[answers == number].mean() for number in np.unique(answers)]
    f1 = _f1(target, probabilities, labelling)
    return {LOSS: float(np.mean(by_answer)), 'held_out_f1': f1}


def share_of_floor(
    model: Segmenter,
    learned: TrainingData,
    held_out: TrainingData,
    classes: int,
) -> float:
    """Return the weight of logistic regression in the predictions: `SHARE` if it helps, else 0.

    Args:
        model: trained on the first of the two parts.
        learned: that part.
        held_out: the other part, on which macro-F1 with and without it are compared.
        classes: number of classes.
    """
    floor = fit_floor(learned, classes)
    own = _scored(held_out, lambda features, mask: predict([model], features, mask)[0])
    other = _scored(held_out, lambda features, mask: floor.predict(features, mask)[LOGISTIC])
    target, labelling = _targets(held_out), held_out.labelling
    both = averaged(own, other, SHARE, labelling)
    return SHARE if _f1(target, both, labelling) > _f1(target, own, labelling) else 0.0


def _scored(
    data: TrainingData,
    probabilities: Callable[[Streams, Bool[np.ndarray, ' rows']], np.ndarray],
) -> Float[np.ndarray, 'frames classes']:
    """Return the probabilities of all scored frames in `train`, of which alone each is predicted.

    Args:
        data: frames.
        probabilities: function from features and visible rows to the probabilities of all rows.
    """
    return np.concatenate(
        [
            probabilities(features, mask)[mask & (target != UNSCORED)]
            for features, target, mask in zip(data.features, data.target, data.train, strict=True)
            if (mask & (target != UNSCORED)).any()
        ]
    )


def _targets(data: TrainingData) -> Int[np.ndarray, ' frames']:
    pairs = zip(data.target, data.train, strict=True)
    return np.concatenate([target[mask & (target != UNSCORED)] for target, mask in pairs])


def _f1(
    target: Int[np.ndarray, ' frames'],
    probabilities: Float[np.ndarray, 'frames classes'],
    labelling: Labelling,
) -> float:
    """Return the mean F1 of the classes that occur."""
    classes = probabilities.shape[1]
    scores = []
    for numbers, answers, part in zip(
        labelling.questions(classes),
        labelling.answers(target, classes),
        labelling.split(probabilities),
        strict=True,
    ):
        labels = [a for a in np.unique(answers) if numbers[a] != ABSENT]
        guess = part.argmax(axis=1)
        scores += f1_score(answers, guess, labels=labels, average=None).tolist()  # type: ignore[union-attr]
    return float(np.mean(scores))


def best_length(history: Sequence[Mapping[str, float]]) -> int:
    """Return the number of epochs after which the held-out loss was least.

    Args:
        history: one row per epoch.

    Examples:
        >>> best_length([{'held_out_loss': 2.0}, {'held_out_loss': 1.0}, {'held_out_loss': 1.5}])
        2
    """
    return int(np.argmin([row[LOSS] for row in history])) + 1


def is_past_its_best(history: Sequence[Mapping[str, float]], epochs: int) -> bool:
    """Return whether the held-out loss has had no new minimum for a quarter of a training.

    Args:
        history: one row per epoch so far.
        epochs: epochs of the whole training.

    Examples:
        >>> rows = [{'held_out_loss': loss} for loss in (2.0, 1.0, 1.5, 1.5, 1.5, 1.5, 1.5)]
        >>> is_past_its_best(rows[:-1], 20), is_past_its_best(rows, 20)
        (False, True)
    """
    patience = max(_LEAST_PATIENCE, round(_PATIENCE * epochs))
    return bool(history) and len(history) - best_length(history) >= patience
