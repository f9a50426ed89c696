"""Scores of held-out frames, as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.segmentation.classes import BACKGROUND, UNSCORED
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.metrics import (
    bout_scores,
    calibration,
    confusion,
    expected_calibration_error,
    macro_f1,
    per_class,
    switches,
)
from beast_lp.segmentation.sequences import stretches

ENSEMBLE = 'ensemble'


@dataclass(frozen=True)
class HeldOut:
    """A stretch of frames that is scored against the labels.

    Attributes:
        video: name of the video.
        frame: consecutive numbers of the frames in the video.
        target: scored class numbers, `UNSCORED` where there is none.
        probabilities: probabilities by each model.
    """

    video: str
    frame: Int[np.ndarray, ' frames']
    target: Int[np.ndarray, ' frames']
    probabilities: Float[np.ndarray, 'models frames classes']


@dataclass(frozen=True)
class Scores:
    """The tables of an evaluation.

    Attributes:
        summary: one row per model and one for the ensemble: `macro_f1`, `accuracy`, `bout_f1` (at
            50 % overlap), `calibration_error`, switches and bout lengths, `frames`. Both averages
            are over the behaviours that have scored frames.
        classes: scores of the ensemble by frames and by bouts, one row per class.
        confusion: counts of frames; rows are scored classes, columns predicted ones.
        calibration: accuracy of the ensemble by confidence, one row per bin.
    """

    summary: pd.DataFrame
    classes: pd.DataFrame
    confusion: pd.DataFrame
    calibration: pd.DataFrame

    @property
    def confusion_normalised(self) -> pd.DataFrame:
        """Return the confusion as shares of the scored frames of each class."""
        return self.confusion.div(self.confusion.sum(axis=1).clip(lower=1), axis=0)

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return all tables by the stems of their files."""
        return {
            'scores': self.summary,
            'classes': self.classes,
            'confusion': self.confusion.rename_axis('scored').reset_index(),
            'confusion_normalised': self.confusion_normalised.rename_axis('scored').reset_index(),
            'calibration': self.calibration,
        }


def evaluate(
    parts: Sequence[HeldOut],
    classes: Sequence[str],
    decoding: DecodingConfig,
) -> Scores:
    """Score each model and their ensemble on held-out stretches.

    Args:
        parts: at least one stretch, all with the same number of models.
        classes: names, in the order of the class numbers; `background` counts in no average.
        decoding: settings of the decoder, which is applied stretch by stretch.
    """
    numbers = [*range(len(parts[0].probabilities)), None]
    scores = [_score(*_joined(parts, number, decoding), classes, number) for number in numbers]
    summary = pd.concat([one.summary for one in scores], ignore_index=True)
    return replace(scores[-1], summary=summary)


def _score(
    target: Int[np.ndarray, ' frames'],
    predicted: Int[np.ndarray, ' frames'],
    probabilities: Float[np.ndarray, 'frames classes'],
    classes: Sequence[str],
    number: int | None,
) -> Scores:
    """Score one model, by its number, or the ensemble, which has none."""
    names, counted = pd.Index(classes), np.array([name != BACKGROUND for name in classes])
    table = per_class(target, predicted, probabilities, classes).merge(
        bout_scores(target, predicted, classes), on='class'
    )
    reliability = calibration(target, probabilities)
    chosen = target != UNSCORED
    summary = {
        'model': ENSEMBLE if number is None else f'model {number}',
        'macro_f1': macro_f1(table['f1'].to_numpy(), counted),
        'accuracy': float((predicted == target)[chosen].mean()) if chosen.any() else np.nan,
        'bout_f1': macro_f1(table['f1@50'].to_numpy(), counted),
        'calibration_error': expected_calibration_error(reliability),
        **switches(target, predicted),
        'frames': int(chosen.sum()),
    }
    counts = confusion(target, predicted, len(classes))
    return Scores(
        pd.DataFrame([summary]),
        table,
        pd.DataFrame(counts, index=names, columns=names),
        reliability,
    )


def _joined(
    parts: Sequence[HeldOut],
    number: int | None,
    decoding: DecodingConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the stretches and concatenate them, with an unscored frame between two.

    Args:
        parts: stretches.
        number: number of the model; None for the ensemble.
        decoding: settings of the decoder.

    Returns:
        scored class numbers, predicted class numbers, probabilities.
    """
    targets, labels, rows = [], [], []
    for part in parts:
        own = part.probabilities
        values = own.mean(axis=0) if number is None else own[number]
        targets += [part.target, [UNSCORED]]
        labels += [decode(values, decoding), [0]]
        rows += [values, np.full((1, values.shape[1]), 1 / values.shape[1])]
    return np.concatenate(targets), np.concatenate(labels), np.concatenate(rows)


def held_out_parts(
    video: str,
    test: Bool[np.ndarray, ' frames'],
    target: Int[np.ndarray, ' frames'],
    probabilities: Float[np.ndarray, 'models frames classes'],
) -> list[HeldOut]:
    """Cut the held-out frames of a video into stretches.

    Args:
        video: name of the video.
        test: true for held-out frames.
        target: scored class numbers of all frames.
        probabilities: probabilities of all frames by each model.
    """
    return [
        HeldOut(video, np.arange(start, stop), target[start:stop], probabilities[:, start:stop])
        for start, stop in stretches(test)
    ]
