"""The report of the encoding stage."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beast_lp.encoding.align import Bins
from beast_lp.encoding.evaluate import Evaluation, save_evaluation, score_test
from beast_lp.encoding.session import Session
from beast_lp.encoding.split import TEST, TRAIN, VALIDATION
from beast_lp.encoding.tables import DRIFT, Result, comparison_table
from beast_lp.reports import encoding_figures as figures
from beast_lp.reports.encoding import table_for_people, verdicts, write_encoding_report


def _session(trials: bool, regions: bool = True) -> tuple[Session, np.ndarray]:
    """Return 30 trials (or blocks) of 20 bins with 8 neurons, and their true rates."""
    rng = np.random.default_rng(0)
    rates = np.exp(rng.normal(0, 0.6, (600, 8)))
    unit = np.repeat(np.arange(30), 20)
    part = np.repeat([TRAIN, TRAIN, VALIDATION, TEST, TEST], 120)
    session = Session(
        name='s$1$',
        bins=Bins((np.arange(600) + 0.5) * 0.05, 0.05, unit if trials else np.zeros(600, int)),
        part=part,
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
    draws: int = 6,
) -> Result:
    rng = np.random.default_rng(1)
    parts = session.samples(np.zeros((600, 1)))
    scores = score_test(session, parts, rates[session.part == TEST])
    controls = rng.normal(-0.01, 0.003, (draws, 8)), rng.normal(-0.01, 0.003, draws)
    evaluation = Evaluation(scores, *controls, *controls, {'penalty': 0.1})
    file = folder / f'{source}.npz'
    save_evaluation(file, session, source, evaluation, rates.astype(np.float32))
    return Result(session, source, 'rrr', evaluation, file)


def _results(folder: Path, trials: bool = False, regions: bool = True) -> list[Result]:
    session, rates = _session(trials, regions)
    constant = np.tile(session.responses.mean(axis=0), (600, 1))
    return [
        _result(folder, session, 'BEAST <1>', rates),
        _result(folder, session, 'useless', constant * 1.3),
        _result(folder, session, DRIFT, constant * 0.99, draws=0),
    ]


@pytest.mark.parametrize('trials', [True, False])
@pytest.mark.parametrize('regions', [True, False])
def test_the_page_has_all_parts(tmp_path: Path, trials: bool, regions: bool) -> None:
    page = write_encoding_report(tmp_path, _results(tmp_path, trials, regions)).read_text()
    for name in ('comparison', 'scatter', 'regions', 'rasters', 'examples'):
        assert (tmp_path / 'figures' / f'{name}.png').stat().st_size > 5000
    assert page.count('<img ') == 5
    assert 'BEAST &lt;1&gt; with rrr' in page
    assert ('around the event' in page) == trials
    assert ('Distribution by region' in page) == regions
    assert '2 of 10 neurons were left out' in page


def test_a_result_that_is_not_above_its_controls_is_said_to_be_none(tmp_path: Path) -> None:
    table = comparison_table(_results(tmp_path))
    good, bad = verdicts(table)
    assert good.endswith('is above all of its controls.')
    assert 'NOT evidence' in bad
    assert 'circular shifts' in bad
    assert 'a constant rate' in bad
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
        }
    )
    (axes,) = figures.comparison_bars(table, 'bits per spike').axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ['a · rrr', 'b · tcn']
    line = next(line for line in axes.lines if line.get_label() == 'result')
    np.testing.assert_allclose(np.asarray(line.get_xdata(), float), [0.2, 0.1])


def test_a_new_score_and_a_new_control_are_shown(tmp_path: Path) -> None:
    table = comparison_table(_results(tmp_path)).assign(
        correlation=[0.123456, 0.2, 0.3],
        noise_low=[-0.2, -0.3, np.nan],
        noise_high=[0.1, 0.2, np.nan],
    )
    shown = table_for_people(table)
    assert shown['correlation'].tolist() == [0.1235, 0.3, 0.2]
    assert shown['noise 95 %'].tolist() == ['-0.2 to 0.1', '', '-0.3 to 0.2']
    assert not {'noise_low', 'verdict', 'score'} & set(shown)
    (axes,) = figures.comparison_bars(table, 'bits per spike').axes
    legend = axes.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[:3] == ['circular shifts, 95 %', 'permutations, 95 %', 'noise, 95 %']
    heights = [np.asarray(bar.get_paths()[0].vertices)[0, 1] for bar in axes.collections]
    np.testing.assert_allclose(np.diff(heights), 0.32)


def test_the_longest_stretch() -> None:
    run = np.array([0, 0, 1, 1, 1, 1, 2])
    assert figures.longest_stretch(run, 10) == slice(2, 6)
    assert figures.longest_stretch(run, 3) == slice(2, 5)
