"""Recorded and predicted activity as figures."""

import numpy as np
import pytest

from beast_lp.reports import encoding_activity as activity


def test_trials_are_drawn_over_their_number() -> None:
    drawing = activity.trial_series(np.ones((9, 2)), np.zeros((9, 2)), ['a', 'b'], 'spikes per s')
    (line, _) = drawing.axes[1].lines
    np.testing.assert_array_equal(np.asarray(line.get_xdata(), float), np.arange(1, 10))


def test_time_courses_have_the_standard_error_over_trials() -> None:
    rng = np.random.default_rng(0)
    recorded, predicted = rng.normal(size=(30, 5, 1)), rng.normal(size=(30, 5, 1))
    axes = activity.psths(recorded, predicted, ['a'], np.arange(5.0), 'spikes per s').axes[2]
    for band, values in zip(axes.collections, (recorded, predicted), strict=True):
        heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
        mean = values[:, :, 0].mean(axis=0)
        error = values[:, :, 0].std(axis=0, ddof=1) / np.sqrt(30)
        assert heights.max() == pytest.approx((mean + error).max())
        assert heights.min() == pytest.approx((mean - error).min())


def test_the_longest_stretch() -> None:
    run = np.array([0, 0, 1, 1, 1, 1, 2])
    assert activity.longest_stretch(run, 10) == slice(2, 6)
    assert activity.longest_stretch(run, 3) == slice(2, 5)
