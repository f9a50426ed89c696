"""Scores of held-out frames, as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.segmentation.classes import BACKGROUND, UNSCORED
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.floors import COMMONEST, LOGISTIC
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

# names of rows in the table of scores
ENSEMBLE, MEAN, DEVIATION = 'ensemble', 'mean of models', 'SD of models'


@dataclass(frozen=True)
class HeldOut:
    """A stretch of frames that is scored against the labels.

    Attributes:
        video: name of the video.
        frame: consecutive numbers of the frames in the video.
        target: scored class numbers, `UNSCORED` where there is none.
        probabilities: probabilities by each model.
        floors: probabilities by each floor, by its name.
    """

    video: str
    frame: Int[np.ndarray, ' frames']
    target: Int[np.ndarray, ' frames']
    probabilities: Float[np.ndarray, 'models frames classes']
    floors: Mapping[str, Float[np.ndarray, 'frames classes']] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """The tables of an evaluation.

    Attributes:
        summary: one row per floor, one per model, their mean and standard deviation, and one row
            for the ensemble: `macro_f1`, `accuracy`, `bout_f1` (at 50 % overlap),
            `calibration_error`, switches and bout lengths, `frames`. Both averages are over the
            behaviours that have scored frames.
        videos: one row per video: `frames` (scored), macro-F1 of each floor, of the models on
            average with its standard deviation, and of the ensemble, whose `bout_f1` follows.
        classes: scores of the ensemble by frames and by bouts, one row per class.
        confusion: counts of frames; rows are scored classes, columns predicted ones.
        calibration: accuracy of the ensemble by confidence, one row per bin.
    """

    summary: pd.DataFrame
    videos: pd.DataFrame
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
            'videos': self.videos,
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
    summary, scores = _summarise(parts, classes, decoding)
    rows = []
    for video in dict.fromkeys(part.video for part in parts):
        own, _ = _summarise([part for part in parts if part.video == video], classes, decoding)
        own = own.set_index('model')
        names = [name for name in own.index if not str(name).startswith('model ')]
        rows.append(
            {
                'video': video,
                'frames': int(own.loc[ENSEMBLE, 'frames']),  # pyright: ignore
                **{name: own.loc[name, 'macro_f1'] for name in names},
                'bout_f1': own.loc[ENSEMBLE, 'bout_f1'],
            }
        )
    return replace(scores, summary=summary, videos=pd.DataFrame(rows))


def _summarise(
    parts: Sequence[HeldOut],
    classes: Sequence[str],
    decoding: DecodingConfig,
) -> tuple[pd.DataFrame, Scores]:
    """Return the summary of some stretches, and all scores of the ensemble."""
    models = [f'model {number}' for number in range(len(parts[0].probabilities))]
    scores = {
        name: _score(*_joined(parts, name, decoding), classes, name)
        for name in [*parts[0].floors, *models, ENSEMBLE]
    }
    table = pd.concat([one.summary for one in scores.values()], ignore_index=True)
    if len(models) > 1:
        measures = [name for name in table if name not in ('model', 'frames')]
        own = table.loc[table['model'].isin(models), measures].to_numpy(np.float64)
        frames = table['frames'].iloc[-1]
        spread = [
            {'model': name, **dict(zip(measures, values, strict=True)), 'frames': frames}
            for name, values in ((MEAN, own.mean(axis=0)), (DEVIATION, own.std(axis=0, ddof=1)))
        ]
        pieces = [table.iloc[:-1], pd.DataFrame(spread), table.iloc[-1:]]
        table = pd.concat(pieces, ignore_index=True)
    return table, scores[ENSEMBLE]


def below_floor(summary: pd.DataFrame) -> str:
    """Return a sentence if the models are not above every floor on average; else nothing.

    Args:
        summary: as in `Scores`.

    Examples:
        >>> table = pd.DataFrame({'model': [LOGISTIC, ENSEMBLE], 'macro_f1': [0.7, 0.6]})
        >>> below_floor(table)
        'the macro-F1 of the models is 0.600, that of logistic regression on the same frames 0.700'
    """
    f1 = {str(m): float(x) for m, x in zip(summary['model'], summary['macro_f1'], strict=True)}
    floors = {name: f1[name] for name in (COMMONEST, LOGISTIC) if name in f1}
    best = max(floors, key=lambda name: floors[name], default='')
    own = min(f1[name] for name in (MEAN, ENSEMBLE) if name in f1)
    if not best or not own <= floors[best]:
        return ''
    return (
        f'the macro-F1 of the models is {own:.3f}, that of {best} on the same frames '
        f'{floors[best]:.3f}'
    )


def _score(
    target: Int[np.ndarray, ' frames'],
    predicted: Int[np.ndarray, ' frames'],
    probabilities: Float[np.ndarray, 'frames classes'],
    classes: Sequence[str],
    name: str,
) -> Scores:
    """Score one model, floor or the ensemble, by its name."""
    names, counted = pd.Index(classes), np.array([name != BACKGROUND for name in classes])
    table = per_class(target, predicted, probabilities, classes).merge(
        bout_scores(target, predicted, classes), on='class'
    )
    reliability = calibration(target, probabilities)
    chosen = target != UNSCORED
    summary = {
        'model': name,
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
        pd.DataFrame(),
        table,
        pd.DataFrame(counts, index=names, columns=names),
        reliability,
    )


def _joined(
    parts: Sequence[HeldOut],
    name: str,
    decoding: DecodingConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the stretches and concatenate them, with an unscored frame between two.

    Args:
        parts: stretches.
        name: name of a floor or a model, or of the ensemble.
        decoding: settings of the decoder.

    Returns:
        scored class numbers, predicted class numbers, probabilities.
    """
    targets, labels, rows = [], [], []
    for part in parts:
        values = _probabilities(part, name)
        targets += [part.target, [UNSCORED]]
        labels += [decode(values, decoding), [0]]
        rows += [values, np.full((1, values.shape[1]), 1 / values.shape[1])]
    return np.concatenate(targets), np.concatenate(labels), np.concatenate(rows)


def _probabilities(part: HeldOut, name: str) -> Float[np.ndarray, 'frames classes']:
    if name == ENSEMBLE:
        return part.probabilities.mean(axis=0)
    if name in part.floors:
        return part.floors[name]
    return part.probabilities[int(name.removeprefix('model '))]


def held_out_parts(
    video: str,
    test: Bool[np.ndarray, ' frames'],
    target: Int[np.ndarray, ' frames'],
    probabilities: Float[np.ndarray, 'models frames classes'],
    floors: Mapping[str, Float[np.ndarray, 'frames classes']] | None = None,
) -> list[HeldOut]:
    """Cut the held-out frames of a video into stretches.

    Args:
        video: name of the video.
        test: true for held-out frames.
        target: scored class numbers of all frames.
        probabilities: probabilities of all frames by each model.
        floors: probabilities of all frames by each floor.
    """
    return [
        HeldOut(
            video,
            np.arange(start, stop),
            target[start:stop],
            probabilities[:, start:stop],
            {name: values[start:stop] for name, values in (floors or {}).items()},
        )
        for start, stop in stretches(test)
    ]
