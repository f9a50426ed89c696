"""The page of the demo: a verdict on every head, its scores beside their floors, and pictures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from beast_lp.pretraining.floors import FLOORS
from beast_lp.reports.encoding_verdict import page_tables
from beast_lp.reports.page import Section
from beast_lp.reports.pretraining_verdict import is_better, last_values
from beast_lp.reports.run_warnings import warnings_section
from beast_lp.reports.style import three_digits
from beast_lp.segmentation.evaluate import ENSEMBLE
from beast_lp.segmentation.floors import COMMONEST, LOGISTIC

# the source of features that needs no pretraining and no labels
_FRAME_PCA = 'frame_pca'
_BEAST = 'beast'
_CONSTANT = 'a constant rate'


@dataclass(frozen=True)
class DemoContent:
    """What the stages of a demo left behind.

    Attributes:
        metrics: `metrics.csv` of the pretraining.
        errors: one row per set of labelled frames: `frames`, `model_px`, `constant_px`; the
            last one is held out.
        comparison: `comparison.csv` of the encoding.
        scores: `scores.csv` of the segmentation.
        seconds: duration of each stage by its name.
        labelled: held-out frames with labels and predictions; None where there is nothing to
            draw.
        pictures: figures of the stages' own reports by `reconstructions`, `rasters` and
            `ethogram`, each none or more files.
        videos: labelled videos by their words, relative to the page.
        warnings: warnings of the stages.
    """

    metrics: pd.DataFrame
    errors: pd.DataFrame
    comparison: pd.DataFrame
    scores: pd.DataFrame
    seconds: Mapping[str, float]
    labelled: Figure | None = None
    pictures: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    videos: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()


class _Score(NamedTuple):
    """A score beside what is had without learning.

    `is_error` tells that lower is better, and `is_probe` that it is an error of the probe.
    """

    head: str
    measure: str
    unit: str
    value: float
    floor: float
    floor_name: str
    is_error: bool = False
    is_probe: bool = False

    @property
    def is_above(self) -> bool | None:
        """Whether the score is better than the floor; None where it is so by chance."""
        if self.is_probe:
            return is_better(self.value, self.floor)
        return self.value < self.floor if self.is_error else self.value > self.floor

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        words = {True: 'better than', None: 'hardly better than', False: 'no better than'}
        verdict = words[self.is_above]
        value, floor = (self.with_unit(each) for each in (self.value, self.floor))
        return f'{self.head}: {self.measure} {value}, {verdict} {self.floor_name} ({floor}).'

    def with_unit(self, value: float) -> str:
        """Write a value of this score."""
        return f'{three_digits(value)} {self.unit}'.strip()


def demo_sections(content: DemoContent) -> Iterator[Section]:
    """Return the parts of the page, in order.

    Args:
        content: what the stages left behind.
    """
    yield Section(
        'What came out',
        'Each score stands beside its floor: what is had without learning, or by something '
        'simpler. The animal and its neurons are drawn, so this page shows what comes out of each '
        'stage, not what your data will give.',
        findings=[(score.is_above, score.sentence) for score in _scores(content)],
    )
    yield from warnings_section(content.warnings)
    yield Section(
        'Pretraining',
        'The model sees only the visible patches, in the middle, and fills in the rest. No label '
        'was used.',
        pictures=content.pictures.get('reconstructions', ()),
        links={'report of the pretraining': 'pretraining/report.html'},
    )
    yield Section(
        'Pose',
        'Frames of the held-out video with the least, the median and the largest error. The '
        'table has the mean pixel error, beside that of a constant prediction.',
        {} if content.labelled is None else {'labelled_frames': content.labelled},
        content.errors.rename(columns={'model_px': 'model (px)', 'constant_px': 'constant (px)'}),
        links=content.videos,
    )
    yield Section(
        'Neural encoding',
        'Recorded activity above; below, what the best source predicts. The table has how well '
        'each source of features predicts the simulated neurons, in bits per spike over all '
        'spikes (bps_pooled) and as the mean over neurons (bps_mean); a constant rate has 0. '
        'over_drift is what a source adds to slow drift, shift 95 % what copies of it that are '
        'shifted in time add, p how often such a copy adds as much.',
        pictures=content.pictures.get('rasters', ()),
        table=page_tables(content.comparison)[0],
        links={'report of the encoding': 'encoding/report.html'},
    )
    own = content.scores.loc[content.scores['model'].isin([COMMONEST, LOGISTIC, ENSEMBLE])]
    yield Section(
        'Behaviour',
        'What was predicted on the held-out video, and what was scored in it. Macro-F1 is the '
        'mean F1 of the behaviours, by frames (macro_f1) and by bouts (bout_f1); 1 is perfect. '
        'The first rows of the table are floors.',
        pictures=content.pictures.get('ethogram', ()),
        table=pd.DataFrame(own).reindex(columns=['model', 'macro_f1', 'accuracy', 'bout_f1']),
        links={'report of the segmentation': 'segmentation/report.html'},
    )
    total = sum(content.seconds.values())
    times = pd.DataFrame(
        {
            'stage': [*content.seconds, 'all'],
            'seconds': [round(value) for value in (*content.seconds.values(), total)],
        }
    )
    yield Section('Time', 'What each stage took when it was done.', table=times)


def _scores(content: DemoContent) -> Iterator[_Score]:
    """Yield the score of each head, and of pretraining, beside its floor."""
    head = 'Pretraining'
    explained = last_values(content.metrics, 'val_background_explained')
    if explained is not None:
        measure, name = 'explained in hidden patches', "each video's median picture"
        yield _Score(head, measure, '%', 100 * explained[0], 0.0, name)
    for name in ('random', 'pixels'):
        probe = last_values(content.metrics, 'probe_px', f'probe_{name}_px')
        if probe is not None:
            measure = 'error of keypoints read from frozen features'
            error, floor = probe
            yield _Score(head, measure, 'px', error, floor, FLOORS[name], is_probe=True)
    held_out = content.errors.iloc[-1]
    values = float(held_out['model_px']), float(held_out['constant_px'])
    measure = 'error of keypoints in the held-out video'
    yield _Score('Pose', measure, 'px', *values, FLOORS['constant'], is_error=True)
    best = _highest(content.comparison, 'source', 'score')
    if _BEAST in best:
        for name, floor in ((_CONSTANT, 0.0), ('the frame PCA', best.get(_FRAME_PCA))):
            if floor is not None:
                measure, unit = 'prediction from the features', 'bits per spike'
                yield _Score('Neurons', measure, unit, best[_BEAST], floor, name)
    f1 = _highest(content.scores, 'model', 'macro_f1')
    floors = [name for name in (LOGISTIC, COMMONEST) if name in f1]
    if ENSEMBLE in f1 and floors:
        values = f1[ENSEMBLE], f1[floors[0]]
        yield _Score('Behaviour', 'macro-F1 in the held-out video', '', *values, floors[0])


def _highest(table: pd.DataFrame, names: str, values: str) -> dict[str, float]:
    """Return the highest value of each name."""
    highest: dict[str, float] = {}
    for name, value in zip(table[names].astype(str), table[values].astype(float), strict=True):
        if name not in highest or value > highest[name]:
            highest[name] = float(value)
    return highest
