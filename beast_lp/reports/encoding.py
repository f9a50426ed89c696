"""The report of the encoding stage: `report.html` and `figures/*.png`.

Adding a new figure: write a function from arrays or tables to a figure in `encoding_figures`
(scores) or `encoding_activity` (neurons over time), a function here that yields a `Section` with
it, and append that function to `_SECTIONS`. A new score or control in
`encoding.tables.comparison_table` shows up without a change here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from beast_lp.encoding.evaluation_file import load_rates
from beast_lp.encoding.pool import Result
from beast_lp.encoding.samples import slices, smooth
from beast_lp.encoding.session import Session
from beast_lp.encoding.tables import (
    DRIFT,
    NO_EVIDENCE,
    breakdown_table,
    comparison_table,
    difference_table,
)
from beast_lp.reports import encoding_activity as activity
from beast_lp.reports import encoding_figures as figures
from beast_lp.reports.encoding_verdict import HOW_TO_READ, findings, page_tables
from beast_lp.reports.page import Section, write_report
from beast_lp.reports.run_warnings import warnings_of
from beast_lp.reports.style import three_digits

# neurons drawn one by one
_EXAMPLES = 6
# seconds of a raster
_RASTER_S = 60.0
# bins, standard deviation of the Gaussian that smooths recorded counts
_SIGMA = 2.0


@dataclass(frozen=True)
class _Run:
    """All results of a run, ranked."""

    results: Sequence[Result]

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """One row per source and encoder, the best first."""
        table = comparison_table(list(self.results))
        return table.sort_values('score', ascending=False, ignore_index=True)

    @cached_property
    def ranked(self) -> list[tuple[str, str]]:
        """Sources and encoders without the drift control, the best first."""
        rows = self.comparison[self.comparison['source'] != DRIFT]
        return list(zip(rows['source'].astype(str), rows['encoder'].astype(str), strict=True))

    @property
    def best(self) -> str:
        """Name of the best source and encoder."""
        return _name(self.ranked[0])

    @property
    def unit(self) -> str:
        """Unit of the scores."""
        return 'bits per spike' if self.results[0].session.is_counts else 'variance explained'

    @cached_property
    def example(self) -> '_Example':
        """The session that the best source predicts best, in the median over its neurons."""
        results = self.of(self.ranked[0])
        medians = np.array([np.nanmedian(result.own) for result in results])
        result = results[int(np.argmax(np.nan_to_num(medians, nan=-np.inf)))]
        session, scores = result.session, np.nan_to_num(result.own, nan=-np.inf)
        scored = session.folds.scored
        # bins that belong to a fold need not follow each other
        gap = (np.diff(np.flatnonzero(scored)) > 1) | (np.diff(session.bins.group[scored]) != 0)
        stretch = np.concatenate([[0], np.cumsum(gap)])
        order = np.argsort(-scores, kind='stable')
        recorded = session.responses[scored]
        if session.is_counts:
            recorded = smooth(recorded, stretch, _SIGMA)
        return _Example(
            session,
            f'Session {session.name}, {self.best}; each bin is predicted by a model of other '
            f'{"trials" if session.is_trials else "blocks of time"}.',
            stretch,
            recorded[:, order],
            load_rates(result.file)[scored][:, order],
            [
                f'{session.names[i]} {session.regions[i]} ({three_digits(float(scores[i]))})'
                for i in order[:_EXAMPLES]
            ],
        )

    def of(self, pair: tuple[str, str]) -> list[Result]:
        """Return the results of one source and encoder, one per session."""
        return [result for result in self.results if (result.source, result.encoder) == pair]

    def scores(self, pair: tuple[str, str]) -> Float[np.ndarray, ' neurons']:
        """Return the scores of one source and encoder, all sessions joined."""
        return np.concatenate([result.own for result in self.of(pair)])


class _Example(NamedTuple):
    """The bins of one session; neurons in the order of their scores, best first."""

    session: Session
    about: str
    # number of the stretch without a gap that each bin lies in
    stretch: Int[np.ndarray, ' bins']
    # counts are smoothed
    recorded: Float[np.ndarray, 'bins neurons']
    predicted: Float[np.ndarray, 'bins neurons']
    # name, region and score of the best neurons
    titles: list[str]


def write_encoding_report(output_dir: Path, results: Sequence[Result]) -> Path:
    """Write `report.html` and `figures/*.png` for a finished encoding run.

    Args:
        output_dir: folder of the run.
        results: one per session, source and encoder.

    Returns:
        The path of the page.
    """
    run = _Run(results)
    sections = [
        Section(
            'What came out',
            f'The scores in brackets are {run.unit}, with the better encoder of each source.',
            findings=findings(run.comparison, run.unit),
        ),
        *warnings_of(output_dir),
        *(section for build in _SECTIONS for section in build(run)),
    ]
    return write_report(output_dir, 'BEAST neural encoding', sections)


def _comparison(run: _Run) -> Iterator[Section]:
    table, further = page_tables(run.comparison)
    yield Section(
        'Sources of features compared',
        HOW_TO_READ,
        {'comparison': figures.comparison_bars(run.comparison, run.unit)},
        table,
        frozenset(np.flatnonzero(run.comparison['verdict'] == NO_EVIDENCE).tolist()),
    )
    yield Section('Further measures of the same', table=further)


def _differences(run: _Run) -> Iterator[Section]:
    table = difference_table(list(run.results))
    if not len(table):
        return
    over = {'sessions': 'over sessions', 'trials': 'over trials', 'blocks': 'over blocks of time'}
    yield Section(
        'Differences between sources',
        'Scores of the same spikes, paired: the first source less the other, with the 95 % '
        f'interval {over[str(table["over"].iloc[0])]}. sem_neurons is the standard error of the '
        'mean difference over neurons.',
        {'differences': figures.difference_bars(table, run.unit)},
        table.round(4),
    )


def _breakdown(run: _Run) -> Iterator[Section]:
    table = breakdown_table([r for r in run.results if r.source != DRIFT])
    # of one session without regions it repeats the comparison
    if table.groupby(['source', 'encoder']).size().max() > 1:
        yield Section(
            'By session and region',
            'The same scores, of the neurons of one session or region.',
            table=table.drop(columns='mean').round(4),
        )


def _scatter(run: _Run) -> Iterator[Section]:
    title = 'Neuron by neuron'
    # the best encoder of each source
    best = {source: (source, encoder) for source, encoder in reversed(run.ranked)}
    pairs = sorted(best.values(), key=run.ranked.index)[:2]
    if len(pairs) < 2:
        yield Section(title, 'Nothing to compare: one source of features was given.')
        return
    better, other = pairs
    drawing = figures.score_scatter(
        run.scores(other), run.scores(better), _name(other), _name(better), run.unit
    )
    yield Section(
        title,
        'Each point is a neuron, scored with the two best sources; above the line the better '
        'source explains more of it.',
        {'scatter': drawing},
    )


def _regions(run: _Run) -> Iterator[Section]:
    best = run.ranked[0]
    scores = run.scores(best)
    regions = np.concatenate([result.session.regions for result in run.of(best)])
    names = sorted(set(regions.tolist()))
    known = any(names)
    text = f'Scores of all neurons with {run.best}.'
    if not known:
        text += ' The recordings name no brain regions.'
    drawing = figures.region_distribution(
        [scores[regions == name] for name in names], names if known else ['all'], run.unit
    )
    title = 'Distribution by region' if known else 'Distribution over neurons'
    yield Section(title, text, {'regions': drawing})


def _rasters(run: _Run) -> Iterator[Section]:
    example = run.example
    width = example.session.bins.width
    shown = slice(0, round(_RASTER_S / width))
    yield Section(
        'Activity, recorded and predicted',
        f'{example.about} Neurons in the order of their scores, best first; each is scaled by its '
        'own recorded mean and deviation. Predictions are smoother than recorded spikes, since '
        'they are expected rates. Gaps between trials or blocks are not drawn.',
        {'rasters': activity.rasters(example.recorded[shown], example.predicted[shown], width)},
    )


def _best_neurons(run: _Run) -> Iterator[Section]:
    example = run.example
    session, width = example.session, example.session.bins.width
    unit = 1 / width if session.is_counts else 1.0
    recorded, predicted = (
        values[:, :_EXAMPLES] * unit for values in (example.recorded, example.predicted)
    )
    lengths = {part.stop - part.start for part in slices(example.stretch)}
    is_trials = len(lengths) == 1 and example.stretch[-1] > 0
    if is_trials and session.is_trials and lengths == {1}:
        title, about = 'The best-predicted neurons, trial by trial', example.about
        drawing = activity.trial_series(
            recorded, predicted, example.titles, 'spikes per s' if session.is_counts else 'trace'
        )
    elif is_trials and session.is_trials:
        length = lengths.pop()
        shape = (-1, length, recorded.shape[1])
        title, about = 'The best-predicted neurons around the event', example.about
        drawing = activity.psths(
            recorded.reshape(shape),
            predicted.reshape(shape),
            example.titles,
            (np.arange(length) + 0.5) * width,
            'spikes per s' if session.is_counts else 'trace',
        )
    else:
        part = activity.longest_stretch(example.stretch, round(_RASTER_S / width))
        title = 'The best-predicted neurons'
        about = f'{example.about} {"Spikes per second" if session.is_counts else "Traces"}.'
        drawing = activity.traces(recorded[part], predicted[part], example.titles, width)
    yield Section(title, f'{about} The score is in brackets.', {'examples': drawing})


def _sessions(run: _Run) -> Iterator[Section]:
    sessions = {result.session.name: result.session for result in run.results}
    table = pd.DataFrame(
        [
            {
                'session': name,
                'neurons': len(session.names),
                'bins': len(session.bins),
                'bin (ms)': session.bins.width * 1000,
                'folds': session.folds.count,
                'scored bins': int(session.folds.scored.sum()),
                'notes': '; '.join(session.notes),
            }
            for name, session in sessions.items()
        ]
    )
    yield Section('Sessions', table=table)


def _name(pair: tuple[str, str]) -> str:
    return ' · '.join(pair)


# in the order of the page
_SECTIONS: tuple[Callable[[_Run], Iterator[Section]], ...] = (
    _comparison,
    _differences,
    _scatter,
    _regions,
    _breakdown,
    _rasters,
    _best_neurons,
    _sessions,
)
