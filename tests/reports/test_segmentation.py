"""The pages of the segmentation stage."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.reports.segmentation import write_prediction_report, write_segmentation_report
from beast_lp.reports.segmentation_figures import class_colours, ethogram, fitting_curves
from beast_lp.segmentation.evaluate import ENSEMBLE, HeldOut, evaluate
from beast_lp.segmentation.floors import COMMONEST, LOGISTIC
from beast_lp.segmentation.labelling import INDEPENDENT
from beast_lp.segmentation.outcome import Outcome
from beast_lp.segmentation.outputs import Prediction

# names that matplotlib, pandas or the page could trip over
AWKWARD = ('scored', 'frame', r'$\frac$', '_hidden', '<b>')


def _history() -> pd.DataFrame:
    return pd.DataFrame(
        {
            'fold': ['all'] * 4,
            'model': [0, 0, 1, 1],
            'epoch': [0, 1, 0, 1],
            'loss': [2.0, 1.0, 3.0, 1.5],
            'seconds': 7.0,
            'smoothness': [0.1, 0.2, 0.3, 0.4],
        }
    )


def test_awkward_class_names_do_not_stop_a_report(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(5), 8)
    target[:3] = -1
    part = HeldOut('_v', np.arange(40), target, rng.dirichlet(np.ones(5), (2, 40)))
    decoding = DecodingConfig()
    scores = evaluate([part], AWKWARD, decoding)
    outcome = Outcome(AWKWARD, scores, [part], _history(), {'features': 'patches'})
    page = write_segmentation_report(tmp_path, outcome, decoding).read_text(encoding='utf-8')
    for name in ('confusion', 'calibration', 'ethogram__v_0', 'training'):
        assert (tmp_path / 'figures' / f'{name}.png').stat().st_size > 5000
    assert page.count('<img ') == 4
    for name in (*AWKWARD[:4], '&lt;b&gt;'):
        assert f'<td>{name}</td>' in page


def test_nothing_held_out_is_said(tmp_path: Path) -> None:
    outcome = Outcome(('a', 'b'), None, [], pd.DataFrame(), {})
    page = write_segmentation_report(tmp_path, outcome, DecodingConfig()).read_text()
    assert 'Nothing was held out' in page
    assert '<img ' not in page and 'Confusion' not in page


@pytest.mark.parametrize(
    ('own', 'kind', 'words'),
    [
        (0.8, 'good', 'is 0.8, above 0.5 of logistic regression and 0.2 of always the commonest'),
        (0.4, 'bad', 'Not above the floor: on the held-out frames the macro-F1 of the models is'),
        (np.nan, 'plain', 'with nothing to compare it with'),
    ],
)
def test_what_came_out_is_said_first(tmp_path: Path, own: float, kind: str, words: str) -> None:
    target = np.repeat([0, 1], 20)
    part = HeldOut('v', np.arange(40), target, np.eye(2)[target][None])
    scores = evaluate([part], ('rest', 'walk'), DecodingConfig())
    summary = pd.DataFrame(
        {'model': [COMMONEST, LOGISTIC, ENSEMBLE], 'macro_f1': [0.2, 0.5, own], 'frames': 40}
    )
    if np.isnan(own):
        summary = summary[summary['model'] == ENSEMBLE]
    outcome = Outcome(
        ('rest', 'walk'), replace(scores, summary=summary), [part], _history(), {'features': 'cls'}
    )
    (tmp_path / 'train.log').write_text('2026-11-29 10:00:01 WARNING beast: few <bouts>\n')
    page = write_segmentation_report(tmp_path, outcome, DecodingConfig()).read_text()
    assert re.findall('<h2>([^<]*)</h2>', page)[:2] == ['What came out', 'Warnings']
    (found, text), (_, warning) = re.findall('class="finding ([a-z]+)">([^<]*)<', page)
    assert found == kind and words in text and warning == 'few &lt;bouts&gt;'


def test_classes_have_colours_of_their_own() -> None:
    assert len(set(class_colours(24))) == 24
    assert class_colours(9)[:8] == class_colours(8)


def test_every_measure_of_training_gets_a_panel() -> None:
    loss, other = fitting_curves(_history()).axes
    titles = [axes.get_title('left') for axes in (loss, other)]
    assert [title.split()[0] for title in titles] == ['loss', 'smoothness']
    assert [line.get_ydata().tolist() for line in loss.lines] == [[2, 1], [3, 1.5]]  # type: ignore[union-attr]


def test_seconds_are_those_of_the_frames(tmp_path: Path) -> None:
    labels = np.array([0, 0, 1])
    prediction = Prediction(
        'a',
        tmp_path / 'a.mp4',
        ('rest', 'walk'),
        np.eye(2, dtype=np.float32)[labels],
        labels,
        25.0,
        np.array([0.0, 1.0, 11.0]),
    )
    page = write_prediction_report(tmp_path, [prediction]).read_text(encoding='utf-8')
    rows = [re.findall('<td[^>]*>([^<]*)', row) for row in re.findall('<tr.*?</tr>', page)]
    found = {row[0]: (float(row[1]), float(row[2])) for row in rows if row}
    # the last frame lasts as long as those before it do in the median
    assert found == {'rest': (2, 11), 'walk': (1, 5.5)}


def test_behaviours_at_once_are_reported_side_by_side(tmp_path: Path) -> None:
    rng, names = np.random.default_rng(0), ('walk', 'groom')
    shown = np.repeat(rng.random((20, 2)) > 0.5, 5, axis=0)
    codes = INDEPENDENT.from_flags(shown)
    codes[:10] = -1
    shares = np.clip(shown + rng.normal(0, 0.3, (2, 100, 2)), 0.01, 0.99)
    part = HeldOut('v', np.arange(100), codes, shares)
    decoding = DecodingConfig()
    scores = evaluate([part], names, decoding, INDEPENDENT)
    outcome = Outcome(names, scores, [part], _history(), {}, labelling=INDEPENDENT)
    page = write_segmentation_report(tmp_path, outcome, decoding).read_text(encoding='utf-8')
    assert 'Behaviours together' in page and 'Frames right and wrong' in page
    assert 'Confusion' not in page and 'whole set of behaviours' in page
    prediction = Prediction(
        'a',
        tmp_path / 'a.mp4',
        names,
        shares[0],
        INDEPENDENT.from_flags(shown),
        25.0,
        np.arange(100) / 25,
        labelling=INDEPENDENT,
    )
    page = write_prediction_report(tmp_path / 'p', [prediction]).read_text(encoding='utf-8')
    rows = [re.findall('<td[^>]*>([^<]*)', row) for row in re.findall('<tr.*?</tr>', page)]
    found = {row[0]: (float(row[1]), float(row[2])) for row in rows if row}
    counts = {name: int(shown[:, number].sum()) for number, name in enumerate(names)}
    # a frame of both counts in both
    assert found == {name: (count, pytest.approx(count / 25)) for name, count in counts.items()}


def test_an_ethogram_has_a_band_for_each_behaviour() -> None:
    shown = np.array([[True, True], [False, True], [False, False]])
    codes = INDEPENDENT.from_flags(shown)
    target = np.array([3, -1, 1])
    axes = ethogram(codes, target, ('walk', 'groom'), labelling=INDEPENDENT).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ['walk', 'scored', 'groom', 'scored']
    # class numbers; -1 where a behaviour is absent, -2 where nobody scored it
    wanted = [[0, -1, -1], [0, -2, 0], [1, 1, -1], [1, -2, -1]]
    assert np.asarray(axes.images[0].get_array()).tolist() == wanted
    axes = ethogram(np.array([0, 1, 1]), np.array([-1, 1, 0]), ('walk', 'groom')).axes[0]
    assert np.asarray(axes.images[0].get_array()).tolist() == [[0, 1, 1], [-2, 1, 0]]
