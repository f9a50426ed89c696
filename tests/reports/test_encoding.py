"""The report of the encoding stage."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beast_lp.encoding.bins import Bins
from beast_lp.encoding.evaluate import Evaluation, main_score, score
from beast_lp.encoding.evaluation_file import save_evaluation
from beast_lp.encoding.nested import constant
from beast_lp.encoding.pool import Result
from beast_lp.encoding.session import Session
from beast_lp.encoding.split import Folds
from beast_lp.encoding.tables import DRIFT, comparison_table
from beast_lp.reports import encoding_figures as figures
from beast_lp.reports.encoding import write_encoding_report
from beast_lp.reports.encoding_verdict import findings, table_for_people, verdicts


def _session(trials: bool, regions: bool = True, bins: int = 20) -> tuple[Session, np.ndarray]:
    """Return trials (or blocks) of some bins with 8 neurons, and their true rates."""
    rng = np.random.default_rng(0)
    rates = np.exp(rng.normal(0, 0.6, (600, 8)))
    unit = np.arange(600) // bins
    session = Session(
        name='s$1$',
        bins=Bins((np.arange(600) + 0.5) * 0.05, 0.05, unit if trials else np.zeros(600, int)),
        folds=Folds(unit % 5, np.ones(600, bool)),
        unit=unit,
        responses=rng.poisson(rates).astype(np.float32),
        is_counts=True,
        names=np.arange(8),
        features={},
        digests={},
        notes=('2 of 10 neurons were left out',),
        regions=np.array(['M1', 'S1'] * 4 if regions else [''] * 8),
    )
    return session, rates


def _result(
    folder: Path,
    session: Session,
    source: str,
    rates: np.ndarray,
    draws: int = 20,
) -> Result:
    rng = np.random.default_rng(1)
    scores = score(session, rates, constant(session.folds, session.responses))
    controls = rng.normal(-0.01, 0.003, (draws, 8)), rng.normal(-0.01, 0.003, (draws, 8))
    flat = np.tile(session.responses.mean(axis=0) * 0.99, (600, 1))
    added = main_score(session, rates) - main_score(session, flat)
    chosen = {'penalty': np.full(5, 0.1)}
    evaluation = Evaluation(scores, added, *controls, chosen)
    file = folder / f'{source}.npz'
    save_evaluation(file, session, source, evaluation, rates.astype(np.float32))
    return Result(session, source, 'rrr', evaluation, file)


def _results(
    folder: Path,
    trials: bool = False,
    regions: bool = True,
    bins: int = 20,
) -> list[Result]:
    session, rates = _session(trials, regions, bins)
    constant = np.tile(session.responses.mean(axis=0), (600, 1))
    return [
        _result(folder, session, 'BEAST <1>', rates),
        _result(folder, session, 'useless', constant * 1.3),
        _result(folder, session, DRIFT, constant * 0.99, draws=0),
    ]


def _without_controls(evaluation: Evaluation) -> Evaluation:
    return replace(evaluation, shifts=evaluation.shifts[:0])


@pytest.mark.parametrize('trials', [True, False])
@pytest.mark.parametrize('regions', [True, False])
def test_the_page_has_all_parts(tmp_path: Path, trials: bool, regions: bool) -> None:
    page = write_encoding_report(tmp_path, _results(tmp_path, trials, regions)).read_text()
    for name in ('comparison', 'differences', 'scatter', 'regions', 'rasters', 'examples'):
        assert (tmp_path / 'figures' / f'{name}.png').stat().st_size > 5000
    assert page.count('<img ') == 6
    assert ('By session and region' in page) == regions
    assert 'BEAST &lt;1&gt; with rrr' in page
    assert ('around the event' in page) == trials
    assert ('Distribution by region' in page) == regions
    assert '2 of 10 neurons were left out' in page


def test_trials_of_one_bin_are_drawn_over_their_number(tmp_path: Path) -> None:
    page = write_encoding_report(tmp_path, _results(tmp_path, True, bins=1)).read_text()
    assert 'trial by trial' in page


def test_the_verdict_is_that_of_the_shifts(tmp_path: Path) -> None:
    table = comparison_table(_results(tmp_path))
    good, bad = verdicts(table)
    assert 'is evidence of encoding: it adds ' in good
    assert good.endswith('p = 0.0476, 20 circular shifts.')
    assert 'is NOT evidence of encoding: it adds ' in bad
    # nothing was drawn, and nothing is claimed
    undrawn = comparison_table(
        [replace(r, evaluation=_without_controls(r.evaluation)) for r in _results(tmp_path)]
    )
    assert undrawn['verdict'].tolist() == ['', '', '']
    assert all('there is no verdict' in sentence for sentence in verdicts(undrawn))
    assert 'p' not in table_for_people(undrawn)
    shown = table_for_people(table)
    assert shown['source'].iloc[0] == 'BEAST <1>'
    assert shown['shift 95 %'].iloc[0].count(' to ') == 1


def test_one_source_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    page = write_encoding_report(tmp_path, _results(tmp_path)[::2]).read_text()
    assert 'one source of features was given' in page
    assert page.count('<img ') == 4


def test_the_scatter_counts_what_is_better() -> None:
    x, y = np.array([0.1, 0.2, np.nan, 0.4]), np.array([0.2, 0.1, 0.3, 0.5])
    drawing = figures.score_scatter(x, y, 'a', 'b', 'bits per spike')
    (axes,) = drawing.axes
    assert axes.get_title('left') == '2 of 3 neurons are predicted better by b'
    points = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(points, [[0.1, 0.2], [0.2, 0.1], [0.4, 0.5]])


def test_the_bars_show_bands_and_results() -> None:
    table = pd.DataFrame(
        {
            'source': ['a', 'b'],
            'encoder': ['rrr', 'tcn'],
            'score': [0.2, 0.1],
            'shift_low': [-0.1, -0.2],
            'shift_high': [0.0, 0.01],
            'permutation_low': [-0.1, np.nan],
            'permutation_high': [0.0, np.nan],
            'drift': [0.05, 0.06],
            'sem_neurons': [0.01, 0.02],
            'over_drift': [0.15, 0.04],
        }
    )
    axes, added = figures.comparison_bars(table, 'bits per spike').axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ['a · rrr', 'b · tcn']
    bars = axes.containers[0]
    np.testing.assert_allclose(np.asarray(bars[0].get_xdata(), float), [0.2, 0.1])
    line = next(line for line in added.lines if line.get_label() == 'added to slow drift')
    np.testing.assert_allclose(np.asarray(line.get_xdata(), float), [0.15, 0.04])


def test_a_new_score_and_a_new_control_are_shown(tmp_path: Path) -> None:
    table = comparison_table(_results(tmp_path)).assign(
        correlation=[0.123456, 0.2, 0.3],
        noise_low=[-0.2, -0.3, np.nan],
        noise_high=[0.1, 0.2, np.nan],
    )
    shown = table_for_people(table)
    assert shown['correlation'].tolist() == [0.1235, 0.3, 0.2]
    assert shown['noise 95 %'].tolist() == ['-0.2 to 0.1', '', '-0.3 to 0.2']
    assert not {'noise_low', 'shift_p', 'score'} & set(shown)
    drawing = figures.comparison_bars(table, 'bits per spike')
    axes = drawing.axes[1]
    labels = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert {'circular shifts, 95 %', 'permutations, 95 %', 'noise, 95 %'} < set(labels)
    heights = [np.asarray(bar.get_paths()[0].vertices)[0, 1] for bar in axes.collections]
    np.testing.assert_allclose(np.diff(heights), 0.32)


def test_what_came_out_stands_first_with_the_warnings(tmp_path: Path) -> None:
    (tmp_path / 'train.log').write_text('2026-11-29 10:00:01 WARNING beast: a <clock> drifts\n')
    page = write_encoding_report(tmp_path, _results(tmp_path)).read_text()
    headings = re.findall('<h2>([^<]*)</h2>', page)
    assert headings[:3] == ['What came out', 'Warnings', 'Sources of features compared']
    found = re.findall('class="finding ([a-z]+)">([^<]*)<', page)
    assert [kind for kind, _ in found] == ['good', 'bad', 'bad']
    assert 'BEAST &lt;1&gt; with rrr' in found[0][1] and 'is evidence of encoding' in found[0][1]
    assert 'useless with rrr' in found[1][1] and 'a &lt;clock&gt; drifts' in found[2][1]


def test_no_source_above_a_constant_rate_is_said_first(tmp_path: Path) -> None:
    table = comparison_table(_results(tmp_path)[1:]).sort_values('score', ascending=False)
    (good, text), (other, _) = findings(table, 'bits per spike')
    assert good is False and other is False
    assert text.startswith('No source predicts these neurons better than a constant rate')
    assert 'useless with rrr, has -' in text


def test_of_each_source_the_better_encoder_speaks(tmp_path: Path) -> None:
    rows = comparison_table(_results(tmp_path))
    # the worse encoder of the best source comes last
    worse = rows.assign(encoder='ridge', score=[-9.0, -8.0, -7.0])
    table = pd.concat([rows, worse]).sort_values('score', ascending=False, ignore_index=True)
    assert findings(table, 'bits per spike') == findings(
        rows.sort_values('score', ascending=False, ignore_index=True), 'bits per spike'
    )
