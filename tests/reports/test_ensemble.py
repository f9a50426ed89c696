"""Error against ensemble disagreement: numbers against slow loops, and the files."""

import doctest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beast_lp.reports import ensemble
from beast_lp.reports.ensemble import (
    curve_table,
    ensemble_spread,
    error_curve,
    summary_table,
    write_comparison,
)


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(ensemble)
    assert result.attempted >= 4 and result.failed == 0


def _errors(rng: np.random.Generator, models: int, missing: bool) -> np.ndarray:
    errors = rng.gamma(2.0, 3.0, size=(models, 7, 4))
    if missing:
        errors[:, rng.random((7, 4)) < 0.3] = np.nan
    return errors


@pytest.mark.parametrize('models', [1, 2, 5])
@pytest.mark.parametrize('missing', [False, True])
def test_the_curve_is_that_of_a_slow_loop(models: int, missing: bool) -> None:
    rng = np.random.default_rng(models)
    errors = _errors(rng, models, missing)
    # coarse, so that many keypoints share a value and lie on a threshold
    spread = rng.integers(0, 6, size=(7, 4)).astype(float)
    thresholds = np.array([3.0, 0.0, 5.0, 2.5, 9.0])
    curve = error_curve(errors, spread, thresholds)
    for i, threshold in enumerate(thresholds):
        means, values = [], []
        for model in range(models):
            values = [
                errors[model, f, k]
                for f in range(7)
                for k in range(4)
                if spread[f, k] >= threshold and np.isfinite(errors[model, f, k])
            ]
            means.append(np.mean(values) if values else np.nan)
        assert curve.keypoints[i] == len(values)
        np.testing.assert_allclose(curve.mean[i], np.mean(means))
        np.testing.assert_allclose(curve.deviation[i], np.std(means), atol=1e-12)


def test_the_spread_is_a_distance_and_turns_with_the_image() -> None:
    rng = np.random.default_rng(0)
    predictions = rng.normal(size=(4, 3, 2, 2))
    spread = ensemble_spread(predictions)
    for frame in range(3):
        for keypoint in range(2):
            points = predictions[:, frame, keypoint]
            centre = points.mean(axis=0)
            slow = np.sqrt(np.mean([np.sum((point - centre) ** 2) for point in points]))
            np.testing.assert_allclose(spread[frame, keypoint], slow)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(ensemble_spread(predictions @ turn + 5), spread)


def test_tables_and_page_hold_every_backbone(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    errors = {'beast': _errors(rng, 3, False), '_resnet $50$': _errors(rng, 2, False)}
    errors['beast'][:, 2, 1] = errors['_resnet $50$'][:, 2, 1] = np.nan
    spreads = {name: rng.random((7, 4)) for name in errors}
    curves, summary = curve_table(errors, spreads), summary_table(errors, spreads)
    assert summary['models'].tolist() == [3, 2]
    first = curves[curves['threshold_px'] == 0].set_index('backbone')
    assert first['keypoints'].tolist() == [27, 27] and (first['share'] == 1).all()
    for name, values in errors.items():
        np.testing.assert_allclose(first['error_px'][name], np.nanmean(values))
    # the tenth with the largest spread
    beast = summary.set_index('backbone').loc['beast']
    labelled = np.isfinite(errors['beast'][0])
    hardest = np.argsort(spreads['beast'][labelled])[-3:]
    assert beast['hard_keypoints'] == 3
    np.testing.assert_allclose(
        beast['hard_error_px'], errors['beast'][:, labelled][:, hardest].mean()
    )

    (tmp_path / 'train.log').write_text('2026-11-29 10:00:01 WARNING beast: a <model> saw it\n')
    page = write_comparison(tmp_path, curves, summary, ['Two backbones.'])
    assert '_resnet $50$' in page.read_text() and 'a &lt;model&gt; saw it' in page.read_text()
    assert pd.read_csv(tmp_path / 'curves.csv').shape == curves.shape
    assert (tmp_path / 'figures' / 'error_curves.png').stat().st_size > 5000


@pytest.mark.parametrize(
    ('errors', 'models', 'spread', 'good', 'words'),
    [
        ([3.0, 2.0], [3, 3], 0.2, True, 'so the difference is more than chance does.'),
        ([3.0, 2.0], [3, 3], 0.6, None, 'so the difference is within what chance does.'),
        ([3.0, 2.0], [3, 1], 0.0, None, 'From one model of a backbone it cannot be told'),
        ([2.0], [3], 0.1, None, 'stands alone'),
    ],
)
def test_the_verdict_of_a_comparison_minds_the_seeds(
    errors: list[float], models: list[int], spread: float, good: bool | None, words: str
) -> None:
    names = ['resnet', 'beast'][-len(errors) :]
    summary = pd.DataFrame(
        {'backbone': names, 'models': models, 'error_px': errors, 'seed_deviation_px': spread}
    )
    found, text = ensemble.compare_backbones(summary)
    assert found is good and words in text
    assert 'beast (2 px)' in text
