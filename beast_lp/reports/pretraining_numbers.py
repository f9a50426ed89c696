"""Sections of the pretraining report that come from the run's tables and its log.

Adding a new section: write a function that yields it, or nothing where the run has nothing to
show, and enter it in `pretraining._SECTIONS`.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from beast_lp.pretraining.floors import FLOORS, MARGIN
from beast_lp.pretraining.tune import reason
from beast_lp.reports.page import Section
from beast_lp.reports.pretraining_content import PretrainingRun
from beast_lp.reports.pretraining_curves import probe_curve, training_curves, tuning_panels
from beast_lp.reports.pretraining_verdict import findings, last_values
from beast_lp.reports.style import three_digits

# for whoever sees a page for the first time
_WORDS = (
    'A vision transformer (ViT) learned the frames of your videos without labels: it fills in '
    'hidden patches of a frame, and tells the frame just before or after it (its positive) from '
    'other frames. Anchors are the frames chosen for that; held-out ones were kept from training, '
    'to validate it. Features are the numbers that the network gives for a frame, frozen where it '
    'is not trained any further; CLS is the one vector that sums up the whole frame. A floor is '
    'what needs no pretraining, and has to be beaten.'
)


def verdict_section(run: PretrainingRun) -> Iterator[Section]:
    """Say what came out, what to do with it, and what the words of the page mean."""
    found = [(finding.good, finding.text) for finding in findings(run.metrics)]
    yield Section('What came out', findings=found, code=run.next_command)
    yield Section('The words of this page', _WORDS)


def summary_section(run: PretrainingRun) -> Iterator[Section]:
    """List the settings, versions and times."""
    table = pd.Series(run.summary, dtype=object).rename_axis('what').reset_index(name='value')
    yield Section('What was run', table=table)


def curves_section(run: PretrainingRun) -> Iterator[Section]:
    """Show the losses over the epochs, and say how to read them."""
    text = (
        'In a good run the losses fall steeply, then flatten, and validation (by held-out frames) '
        'stays close to training. Validation that rises while training still falls means '
        'overfitting (use more videos or fewer epochs); a loss that jumps or stops means that the '
        'learning rate is too high. The contrastive loss, in nats (1.44 bits), moves by about one '
        'nat at most when the temperature is 1, so a nearly flat curve there is not by itself a '
        f'fault.{_contrastive_sentence(run.metrics)}'
        f'\n\n{_explained_sentence(run.metrics)}'
        'If much of the time goes into waiting for data, more loader workers will make training '
        'faster.'
    )
    yield Section('Training curves', text, {'training_curves': training_curves(run.metrics)})


def _contrastive_sentence(metrics: pd.DataFrame) -> str:
    last = last_values(metrics, 'val_contrastive', 'val_contrastive_chance')
    if last is None:
        return ''
    found, chance = map(three_digits, last)
    return (
        f' On held-out frames it ended at {found}; a model to which all frames look alike has '
        f'{chance} (chance).'
    )


def _explained_sentence(metrics: pd.DataFrame) -> str:
    """Say how much of held-out frames the model explains that needs a model."""
    last = last_values(metrics, 'val_explained', 'val_background_explained')
    if last is None:
        return ''
    mean, median = (f'{100 * share:.0f} %' for share in last)
    text = (
        'What counts of the reconstruction is what no fixed picture explains. In the hidden '
        f'patches of held-out frames the model explains {mean} of what differs from the mean '
        f"picture of the training frames, and {median} of what differs from each video's median "
        'picture. At 0 % it has learned no more than that picture, below 0 % less; only what '
        'differs from the median is about the animal.'
    )
    if last[0] <= 0:
        text += ' This run has not learned more than the mean picture: it needs more steps.'
    return f'{text}\n\n'


def tuning_section(run: PretrainingRun) -> Iterator[Section]:
    """Show the runs that chose the contrastive weight, if there were any."""
    if run.tuning is None:
        return
    if 'spread_px' in run.tuning:
        text = (
            'Two short runs, with different seeds, for each weight of the contrastive term. '
            f'{_sentence(reason(run.tuning))}'
        )
    else:
        text = (
            'One short run for each weight of the contrastive term, by an older version of '
            'beast_lp, which chose without regard to what chance does.'
        )
    yield Section(
        'Choice of the contrastive weight',
        text,
        {'tuning': tuning_panels(run.tuning)},
        run.tuning,
        frozenset(np.flatnonzero(run.tuning['chosen']).tolist()),
    )


def _sentence(words: str) -> str:
    return f'{words[0].upper()}{words[1:]}.'


def probe_section(run: PretrainingRun) -> Iterator[Section]:
    """Show the probe, if it was measured."""
    if 'probe_px' not in run.metrics or not np.isfinite(run.metrics['probe_px']).any():
        return
    measured = run.metrics.dropna(subset=['probe_px'])
    last = measured.iloc[-1]
    floors = {
        name: float(last[f'probe_{name}_px'])
        for name in FLOORS
        if np.isfinite(last.get(f'probe_{name}_px', np.nan))
    }
    text = (
        'The probe measures how well frozen features locate your labelled keypoints: a ridge '
        'regression predicts them on labelled frames that it was not fitted to; the error is the '
        'mean distance from the label, in pixels of the original images. A pose model is '
        'fine-tuned and much better than this. What counts is that the line falls below the '
        'dashed ones, the floors; where it does not, pretraining does not help these '
        'keypoints.\n\n'
        f'At the end: {three_digits(last["probe_px"])} px.{_floor_sentence(last, floors)}\n\n'
        f'{_best_sentence(measured)}'
    )
    rows = {
        'this run, at the end': last['probe_px'],
        'the same, each feature scaled by itself': last.get('probe_z_px', np.nan),
        'this run, before training': last.get('probe_start_px', np.nan),
        **{FLOORS[name]: value for name, value in floors.items()},
    }
    table = pd.DataFrame({'read from': list(rows), 'mean error (px)': list(rows.values())})
    table = table.dropna(ignore_index=True)
    yield Section(
        'Keypoints from frozen features', text, {'probe': probe_curve(run.metrics)}, table
    )


def _floor_sentence(last: pd.Series, floors: Mapping[str, float]) -> str:
    """Return the sentence that compares the last weights with the best floor."""
    if not floors:
        return ''
    best = min(floors, key=lambda name: floors[name])
    value = f'{three_digits(floors[best])} px'
    if last['probe_px'] < floors[best]:
        share = 100 * (1 - last['probe_px'] / floors[best])
        return (
            f' The best floor is {FLOORS[best]} with {value}; the error here is {share:.0f} % '
            'lower.'
        )
    return (
        f' That is no better than {FLOORS[best]} with {value}: for these keypoints this run has '
        'not paid so far.'
    )


def _best_sentence(measured: pd.DataFrame) -> str:
    """Say which weights the backbone holds, and where the best ones are."""
    errors = measured['probe_px'].tolist()
    place = int(np.argmin(errors))
    text = 'backbone/ holds the weights of the last epoch'
    if place == len(errors) - 1:
        return f'{text}, at which the probe was lowest; checkpoints/best.ckpt holds them too.'
    text += (
        f'. The probe was lowest, {three_digits(errors[place])} px, after epoch '
        f'{int(measured["epoch"].iloc[place]) + 1}, whose weights are in checkpoints/best.ckpt'
    )
    if errors[place] < (1 - MARGIN) * errors[-1]:
        return (
            f'{text}. That is clearly better: to use them, give that file to litpose embed, or as '
            'model.backbone_checkpoint.'
        )
    return f'{text}. The difference is within the noise of the probe.'
