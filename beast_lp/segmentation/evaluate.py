"""Scores of held-out frames, as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.floors import COMMONEST, LOGISTIC
from beast_lp.segmentation.labelling import (
    ABSENT,
    BACKGROUND,
    EXCLUSIVE,
    UNSCORED,
    Labelling,
)
from beast_lp.segmentation.metrics import (
    bout_scores,
    calibration,
    co_occurrence,
    expected_calibration_error,
    macro_f1,
    per_class,
    switches,
)
from beast_lp.segmentation.scores import Scores
from beast_lp.segmentation.sequences import stretches

# names of rows in the table of scores
ENSEMBLE, MEAN, DEVIATION = 'ensemble', 'mean of models', 'SD of models'


@dataclass(frozen=True)
class HeldOut:
    """A stretch of frames that is scored against the labels.

    Attributes:
        video: name of the video.
        frame: consecutive numbers of the frames in the video.
        target: scored codes, `UNSCORED` where there is none.
        probabilities: probabilities by each model.
        floors: probabilities by each floor, by its name.
    """

    video: str
    frame: Int[np.ndarray, ' frames']
    target: Int[np.ndarray, ' frames']
    probabilities: Float[np.ndarray, 'models frames classes']
    floors: Mapping[str, Float[np.ndarray, 'frames classes']] = field(default_factory=dict)


def evaluate(
    parts: Sequence[HeldOut],
    classes: Sequence[str],
    decoding: DecodingConfig,
    labelling: Labelling = EXCLUSIVE,
) -> Scores:
    """Score each model and their ensemble on held-out stretches.

    Args:
        parts: at least one stretch, all with the same number of models.
        classes: names, in the order of the class numbers; `background` counts in no average.
        decoding: settings of the decoder, which is applied stretch by stretch.
        labelling: whether a frame has one class or any number of them.
    """
    summary, scores = _summarise(parts, classes, decoding, labelling)
    rows = []
    for video in dict.fromkeys(part.video for part in parts):
        some = [part for part in parts if part.video == video]
        own, _ = _summarise(some, classes, decoding, labelling)
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
    labelling: Labelling,
) -> tuple[pd.DataFrame, Scores]:
    """Return the summary of some stretches, and all scores of the ensemble."""
    models = [f'model {number}' for number in range(len(parts[0].probabilities))]
    scores = {
        name: _score(*_joined(parts, name, decoding, labelling), classes, labelling, name)
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
    labelling: Labelling,
    name: str,
) -> Scores:
    """Score one model, floor or the ensemble, by its name."""
    names, counted = pd.Index(classes), np.array([name != BACKGROUND for name in classes])
    table = _per_class(target, predicted, probabilities, classes, labelling)
    reliability = calibration(
        np.concatenate(labelling.answers(target, len(classes))),
        np.concatenate(labelling.split(probabilities)),
    )
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
    counts = co_occurrence(
        *(labelling.flags(codes[chosen], len(classes)) for codes in (target, predicted))
    )
    return Scores(
        pd.DataFrame([summary]),
        pd.DataFrame(),
        table,
        pd.DataFrame(counts, index=names, columns=names),
        reliability,
        labelling,
    )


def _per_class(
    target: Int[np.ndarray, ' frames'],
    predicted: Int[np.ndarray, ' frames'],
    probabilities: Float[np.ndarray, 'frames classes'],
    classes: Sequence[str],
    labelling: Labelling,
) -> pd.DataFrame:
    """Score each class by frames and by bouts, question by question."""
    absent, tables = '', []
    for numbers, *question in zip(
        labelling.questions(len(classes)),
        labelling.answers(target, len(classes)),
        labelling.answers(predicted, len(classes)),
        labelling.split(probabilities),
        strict=True,
    ):
        names = [absent if number == ABSENT else classes[number] for number in numbers]
        scored, guess, shares = question
        table = per_class(scored, guess, shares, names)
        tables.append(table.merge(bout_scores(scored, guess, names), on='class'))
    table = pd.concat(tables, ignore_index=True)
    return table.loc[table['class'] != absent].reset_index(drop=True)


def _joined(
    parts: Sequence[HeldOut],
    name: str,
    decoding: DecodingConfig,
    labelling: Labelling,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the stretches and concatenate them, with an unscored frame between two.

    Args:
        parts: stretches.
        name: name of a floor or a model, or of the ensemble.
        decoding: settings of the decoder.
        labelling: whether a frame has one class or any number of them.

    Returns:
        scored codes, predicted codes, probabilities.
    """
    targets, labels, rows = [], [], []
    for part in parts:
        values = _probabilities(part, name)
        targets += [part.target, [UNSCORED]]
        labels += [decode(values, decoding, labelling), [0]]
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
        target: scored codes of all frames.
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
