"""The report of the segmentation stage: `report.html` and `figures/*.png`."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.reports import segmentation_figures as figures
from beast_lp.reports.page import Section, save_figure, write_page
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.evaluate import Scores
from beast_lp.segmentation.metrics import expected_calibration_error
from beast_lp.segmentation.outcome import Outcome
from beast_lp.segmentation.outputs import Prediction

logger = logging.getLogger(f'lightning_pose.{__name__}')

# beyond these the page grows too heavy to mail and to scroll
MAX_ETHOGRAMS = 20


def write_segmentation_report(
    output_dir: Path,
    outcome: Outcome,
    decoding: DecodingConfig,
) -> Path:
    """Write the page of a training run or an evaluation.

    Args:
        output_dir: folder of the run.
        outcome: what it has to show.
        decoding: from probabilities to labels.

    Returns:
        The path of the page.
    """
    summary = pd.DataFrame(
        {'what': list(outcome.summary), 'value': list(outcome.summary.values())}
    )
    parts = {'summary': Section('What was run', table=summary)}
    if outcome.scores is None:
        parts['scores'] = Section(
            'Scores',
            'Nothing was held out (beast.segmentation.split.by=none), so this run '
            'cannot say how good its models are.',
        )
    else:
        parts |= _score_sections(outcome.scores)
    for part in outcome.held_out[:MAX_ETHOGRAMS]:
        labels = decode(part.probabilities.mean(axis=0), decoding)
        name = f'ethogram_{part.video}_{part.frame[0]}'
        parts[name] = Section(
            f'{part.video}, frames {part.frame[0]} to {part.frame[-1]}',
            figure=figures.ethogram(labels, part.target, outcome.classes, int(part.frame[0])),
        )
    if not outcome.history.empty:
        parts['training'] = Section(
            'Training',
            'The loss should fall and flatten. High accuracy here with low scores '
            'above means that there are too few scored bouts.',
            figure=figures.fitting_curves(outcome.history),
        )
    return _write(output_dir, 'Action segmentation', parts)


def write_prediction_report(output_dir: Path, predictions: Sequence[Prediction]) -> Path:
    """Write the page of predictions of videos without labels: an ethogram and a budget for each.

    Args:
        output_dir: folder of the run.
        predictions: at most `MAX_ETHOGRAMS`.

    Returns:
        The path of the page.
    """
    parts = {}
    for prediction in predictions:
        labels, classes = prediction.labels, len(prediction.classes)
        counts = np.bincount(labels, minlength=classes)
        seconds = np.bincount(labels, np.diff(prediction.edges), minlength=classes)
        table = pd.DataFrame(
            {
                'class': list(prediction.classes),
                'frames': counts,
                'seconds': seconds,
                'share': counts / max(1, len(labels)),
            }
        )
        parts[f'ethogram_{prediction.name}'] = Section(
            prediction.name,
            'Nobody scored this video: these are predictions.',
            figure=figures.ethogram(labels, None, prediction.classes),
            table=table,
        )
    return _write(output_dir, 'Predicted behaviour', parts)


def _score_sections(scores: Scores) -> dict[str, Section]:
    error = expected_calibration_error(scores.calibration)
    best = scores.summary.iloc[-1]
    return {
        'scores': Section(
            'Scores',
            f'macro-F1 of the ensemble: {best["macro_f1"]:.3f} over {best["frames"]} scored '
            'frames. Macro-F1 is the mean F1 of the behaviours, common and rare alike; bout_f1 is '
            'that of their bouts. In both, background and classes without scored frames do not '
            'count. Switches are changes per 1000 frames: many more predicted than scored ones '
            'call for smoothing (beast.segmentation.decoding).',
            table=scores.summary,
            marked_rows=frozenset({len(scores.summary) - 1}),
        ),
        'classes': Section(
            'Each behaviour',
            'f1@50: bouts that share half of their union with a scored bout.',
            table=scores.classes,
        ),
        'confusion': Section(
            'Confusion',
            'Rows are what was scored; each row of shares sums to 1.',
            figure=figures.confusion_matrices(scores.confusion, scores.confusion_normalised),
        ),
        'calibration': Section(
            'Can the probabilities be trusted?',
            'Points below the line: the model is surer than it is right. Balanced class weights '
            'by themselves make common behaviours look less probable than they are.',
            figure=figures.reliability(scores.calibration, error),
        ),
    }


def _write(output_dir: Path, title: str, parts: dict[str, Section]) -> Path:
    for name, section in parts.items():
        if section.figure is not None:
            save_figure(section.figure, output_dir / 'figures' / f'{name}.png')
    page = output_dir / 'report.html'
    write_page(page, title, list(parts.values()))
    logger.info(f'Report written to {page}')
    return page
