"""All scores of held-out frames, as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

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
    """A stretch of frames that the models were not trained on.

    Attributes:
        video: name.
        frame: numbers in the video, one after the other.
        target: what was scored.
        probabilities: of each model.
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
        classes: of the ensemble, per class, frames and bouts.
        confusion: counts; rows are what was scored.
        calibration: of the ensemble, per bin of confidence.
    """

    summary: pd.DataFrame
    classes: pd.DataFrame
    confusion: pd.DataFrame
    calibration: pd.DataFrame

    @property
    def confusion_normalised(self) -> pd.DataFrame:
        """Return the confusion as shares of what was scored."""
        return self.confusion.div(self.confusion.sum(axis=1).clip(lower=1), axis=0)

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return all tables by the names of their files."""
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
        parts: at least one, of the same number of models.
        classes: names; `background` counts in no average.
        decoding: from probabilities to labels, stretch by stretch.
    """
    models = len(parts[0].probabilities)
    rows = []
    for number in [*range(models), None]:
        target, predicted, probabilities = _joined(parts, number, decoding)
        rows.append(
            {
                'model': ENSEMBLE if number is None else f'model {number}',
                **_summary(target, predicted, probabilities, classes),
            }
        )
    target, predicted, probabilities = _joined(parts, None, decoding)
    per_frame = per_class(target, predicted, probabilities, classes)
    per_bout = bout_scores(target, predicted, classes)
    names = pd.Index(classes)
    return Scores(
        pd.DataFrame(rows),
        per_frame.merge(per_bout, on='class'),
        pd.DataFrame(confusion(target, predicted, len(classes)), index=names, columns=names),
        calibration(target, probabilities),
    )


def _joined(
    parts: Sequence[HeldOut],
    number: int | None,
    decoding: DecodingConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put the stretches after each other, an unscored frame between them."""
    targets, labels, rows = [], [], []
    for part in parts:
        own = part.probabilities
        values = own.mean(axis=0) if number is None else own[number]
        predicted = decode(values, decoding.method, decoding.min_bout_frames, decoding.stay)
        targets += [part.target, [UNSCORED]]
        labels += [predicted, [0]]
        rows += [values, np.full((1, values.shape[1]), 1 / values.shape[1])]
    return np.concatenate(targets), np.concatenate(labels), np.concatenate(rows)


def _summary(
    target: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
) -> dict[str, float]:
    counted = np.array([name != BACKGROUND for name in classes])
    table = per_class(target, predicted, probabilities, classes)
    bouts = bout_scores(target, predicted, classes)
    chosen = target != UNSCORED
    return {
        'macro_f1': macro_f1(table['f1'].to_numpy(), counted),
        'accuracy': float((predicted == target)[chosen].mean()) if chosen.any() else np.nan,
        'bout_f1': macro_f1(bouts['f1@50'].to_numpy(), counted),
        'calibration_error': expected_calibration_error(calibration(target, probabilities)),
        **switches(target, predicted),
        'frames': int(chosen.sum()),
    }


def held_out_parts(
    video: str,
    test: np.ndarray,
    target: np.ndarray,
    probabilities: np.ndarray,
) -> list[HeldOut]:
    """Cut the held-out frames of a video into stretches.

    Args:
        video: name.
        test: true for held-out frames.
        target: of all frames.
        probabilities: (models, frames, classes), of all frames.
    """
    return [
        HeldOut(video, np.arange(start, stop), target[start:stop], probabilities[:, start:stop])
        for start, stop in stretches(test)
    ]
