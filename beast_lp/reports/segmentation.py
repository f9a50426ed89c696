"""The report of the segmentation stage: `report.html` and `figures/*.png`.

Adding a new figure: write a function from arrays or tables to a figure in `segmentation_figures`,
a function here that yields a `Section` with it, and append that function to `_SECTIONS`.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.reports import segmentation_figures as figures
from beast_lp.reports.page import Section, write_report
from beast_lp.reports.run_warnings import warnings_of
from beast_lp.reports.segmentation_frames import example_frames
from beast_lp.reports.style import three_digits
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.evaluate import DEVIATION, ENSEMBLE, MEAN, HeldOut, below_floor
from beast_lp.segmentation.floors import COMMONEST, LOGISTIC
from beast_lp.segmentation.metrics import expected_calibration_error
from beast_lp.segmentation.outcome import Outcome
from beast_lp.segmentation.outputs import Prediction

# limit that keeps the page light enough to mail and to scroll
MAX_ETHOGRAMS = 20
# by whether a frame may show several behaviours: the floors, and what the matrix of classes is
_FLOORS = {
    False: 'always the commonest class, and logistic regression on seven frames of the same '
    'features.',
    True: 'the commoner of shown and absent for each behaviour, and logistic regression on seven '
    'frames of the same features. Accuracy is the share of frames whose whole set of behaviours '
    'is right.',
}
_MATRIX = {
    False: ('Confusion', 'Rows are the scored behaviours; the shares of a row sum to 1.'),
    True: (
        'Behaviours together',
        'The share of the frames with the scored behaviour of the row in which that of the column '
        'was predicted: on the diagonal those that were found, elsewhere behaviours shown at '
        'once, and confusions.',
    ),
}


def write_segmentation_report(
    output_dir: Path,
    outcome: Outcome,
    decoding: DecodingConfig,
) -> Path:
    """Write the page of a training run or an evaluation.

    Args:
        output_dir: folder of the run.
        outcome: scores, held-out predictions and the course of training.
        decoding: rules that turn probabilities into labels.

    Returns:
        The path of the page.
    """
    sections = [
        _what_came_out(outcome),
        *warnings_of(output_dir),
        *(section for build in _SECTIONS for section in build(outcome, decoding)),
    ]
    return write_report(output_dir, 'Action segmentation', sections)


def write_prediction_report(output_dir: Path, predictions: Sequence[Prediction]) -> Path:
    """Write the page of predictions of videos without labels: an ethogram and a budget for each.

    Args:
        output_dir: folder of the run.
        predictions: at most `MAX_ETHOGRAMS`.

    Returns:
        The path of the page.
    """
    sections = [*warnings_of(output_dir), *map(_prediction, predictions)]
    return write_report(output_dir, 'Predicted behaviour', sections)


def _prediction(prediction: Prediction) -> Section:
    labels, classes, flags = prediction.labels, prediction.classes, prediction.flags
    counts = flags.sum(axis=0)
    table = pd.DataFrame(
        {
            'class': list(classes),
            'frames': counts,
            'seconds': np.diff(prediction.edges) @ flags,
            'share': counts / max(1, len(labels)),
        }
    )
    return Section(
        prediction.name,
        'Nobody scored this video: these are predictions. Its last frame was taken at '
        f'{prediction.times[-1]:.3f} s; if that is wrong, set beast.segmentation.fps or '
        'camera_times.',
        {
            f'ethogram_{prediction.name}': figures.ethogram(
                labels, None, classes, labelling=prediction.labelling
            ),
            **_examples(
                prediction.name,
                example_frames(
                    prediction.video, prediction.bouts, prediction.probabilities, classes
                ),
            ),
        },
        table,
        links={'see and correct': f'review/{prediction.name}.html'},
    )


def _examples(name: str, figure: Figure | None) -> dict[str, Figure]:
    return {} if figure is None else {f'frames_{name}': figure}


def _what_came_out(outcome: Outcome) -> Section:
    """Return the scores of the models beside their floors, as findings."""
    title = 'What came out'
    if outcome.scores is None:
        text = (
            'Nothing was held out (beast.segmentation.split.by=none), so this run cannot say how '
            'good its models are.'
        )
        return Section(title, findings=[(None, text)])
    summary = outcome.scores.summary
    note = below_floor(summary)
    if note:
        text = (
            f'Not above the floor: on the held-out frames {note}. These models have learned '
            'nothing that a simpler one does not know: score more bouts of the rare behaviours, '
            'choose other features (beast.segmentation.source), or use the simpler one.'
        )
        return Section(title, findings=[(False, text)])
    f1 = {str(m): float(x) for m, x in zip(summary['model'], summary['macro_f1'], strict=True)}
    words = {LOGISTIC: LOGISTIC, COMMONEST: f'always the {COMMONEST}'}
    floors = [f'{three_digits(f1[name])} of {words[name]}' for name in words if name in f1]
    text = f'The macro-F1 on held-out frames is {three_digits(f1[ENSEMBLE])}'
    if not np.isfinite(f1[ENSEMBLE]) or not floors:
        return Section(title, findings=[(None, f'{text}, with nothing to compare it with.')])
    return Section(title, findings=[(True, f'{text}, above {" and ".join(floors)}.')])


def _summary(outcome: Outcome, decoding: DecodingConfig) -> Iterator[Section]:
    table = pd.Series(outcome.summary, dtype=object).rename_axis('what').reset_index(name='value')
    yield Section('What was run', table=table)


def _scores(outcome: Outcome, decoding: DecodingConfig) -> Iterator[Section]:
    scores = outcome.scores
    if scores is None:
        return
    summary, best = scores.summary, scores.summary.iloc[-1]
    several = scores.labelling.allows_several
    yield Section(
        'Scores',
        f'Macro-F1 of the ensemble: {three_digits(best["macro_f1"])} over {best["frames"]} scored '
        f'frames{_spread(summary)}. The first rows are floors: {_FLOORS[several]} Macro-F1 is the '
        'mean F1 of the behaviours, common and rare alike; bout_f1 is that of their bouts. In '
        'both, background and classes without scored frames do not count. Switches are changes '
        'per 1000 frames: many more predicted than scored ones call for smoothing '
        '(beast.segmentation.decoding).',
        table=summary,
        marked_rows=frozenset({len(summary) - 1}),
    )
    yield Section(
        'Each video',
        'Macro-F1 of the floors, of the models on average with its standard deviation, and of the '
        'ensemble, with its bout_f1.',
        table=scores.videos,
    )
    yield Section(
        'Each behaviour',
        'For f1@50, a predicted bout has to share half of its union with a scored bout.',
        table=scores.classes,
    )
    if several:
        yield Section(
            'Frames right and wrong',
            'Scored frames with and without each behaviour, by what was predicted.',
            table=scores.hits,
        )
    drawing = figures.confusion_matrices(scores.confusion, scores.confusion_normalised)
    title, text = _MATRIX[several]
    yield Section(title, text, {'confusion': drawing})
    error = expected_calibration_error(scores.calibration)
    yield Section(
        'Calibration of the probabilities',
        'Below the line the model is surer than it is right. Balanced class weights by themselves '
        'make common behaviours look less probable than they are.',
        {'calibration': figures.reliability(scores.calibration, error)},
    )


def _spread(summary: pd.DataFrame) -> str:
    """Return the mean of single models and its spread over their seeds."""
    rows = {str(m): float(f1) for m, f1 in zip(summary['model'], summary['macro_f1'], strict=True)}
    if MEAN not in rows:
        return ''
    models = sum(name.startswith('model ') for name in rows)
    return (
        f', and {three_digits(rows[MEAN])} ± {three_digits(rows[DEVIATION])} (SD) of its {models} '
        'models, which differ in their seeds'
    )


def _first_ethogram(outcome: Outcome, decoding: DecodingConfig) -> Iterator[Section]:
    """Show one held-out video before any table."""
    yield from _ethograms(outcome.held_out[:1], outcome, decoding)


def _other_ethograms(outcome: Outcome, decoding: DecodingConfig) -> Iterator[Section]:
    yield from _ethograms(outcome.held_out[1:MAX_ETHOGRAMS], outcome, decoding)


def _ethograms(
    parts: Sequence[HeldOut], outcome: Outcome, decoding: DecodingConfig
) -> Iterator[Section]:
    for part in parts:
        probabilities = part.probabilities.mean(axis=0)
        labelling, classes = outcome.labelling, outcome.classes
        labels = decode(probabilities, decoding, labelling)
        first, last = int(part.frame[0]), int(part.frame[-1])
        drawing = figures.ethogram(labels, part.target, classes, first, labelling)
        video = outcome.videos.get(part.video)
        bouts = labelling.bouts(labels, len(classes))
        frames = video and example_frames(video, bouts, probabilities, classes, first)
        yield Section(
            f'{part.video}, frames {first} to {last}',
            figures={
                f'ethogram_{part.video}_{first}': drawing,
                **_examples(f'{part.video}_{first}', frames or None),
            },
        )


def _training(outcome: Outcome, decoding: DecodingConfig) -> Iterator[Section]:
    if not outcome.history.empty:
        yield Section(
            'Training',
            'The loss should fall and flatten. High accuracy here with low scores '
            'above means that there are too few scored bouts. The held-out curve is that of a '
            'first model, which is trained without a fifth of the training frames; where its loss '
            'is least, the trainings of all other models end.',
            {'training': figures.fitting_curves(outcome.history)},
        )


# in the order of the page
_SECTIONS: tuple[Callable[[Outcome, DecodingConfig], Iterator[Section]], ...] = (
    _first_ethogram,
    _scores,
    _other_ethograms,
    _training,
    _summary,
)
