"""Runs, smoothing, lags and scaling against slow loops."""

import numpy as np

from beast_lp.encoding.samples import Samples, Scaler, add_lags, slices, smooth

RUN = np.array([0, 0, 0, 1, 1, 4, 4, 4, 4])


def test_lags_stay_inside_their_run() -> None:
    features = np.arange(18.0).reshape(9, 2)
    got = add_lags(features, RUN, 2)
    for at in range(9):
        inside = [i for i in range(9) if RUN[i] == RUN[at]]
        for column, lag in enumerate(range(-2, 3)):
            of = min(max(at + lag, inside[0]), inside[-1])
            np.testing.assert_array_equal(got[at, column::5], features[of])
    assert add_lags(features, RUN, 0) is features
    # runs of one bin have no others around them
    assert add_lags(features, np.arange(9), 2) is features


def test_few_lags_hold_every_filter_that_is_linear_between_them() -> None:
    rng = np.random.default_rng(0)
    features, run = rng.normal(size=(200, 1)), np.zeros(200, int)
    every, few = add_lags(features, run, 4), add_lags(features, run, 4, step=2)
    assert every.shape == (200, 9) and few.shape == (200, 5)
    at = rng.normal(size=5)
    filtered = every @ np.interp(np.arange(-4, 5), [-4, -2, 0, 2, 4], at)
    # a triangle ends at the farthest lag
    inside = slice(5, -5)
    left = filtered[inside] - few[inside] @ at
    np.testing.assert_allclose(left, 0, atol=1e-12)


def test_smoothing_stays_inside_its_run() -> None:
    responses = np.random.default_rng(0).poisson(1.0, (9, 3)).astype(float)
    together = smooth(responses, RUN, 2.0)
    for stretch in slices(RUN):
        alone = smooth(responses[stretch], np.zeros(stretch.stop - stretch.start, int), 2.0)
        np.testing.assert_allclose(together[stretch], alone)
    assert smooth(responses, RUN, 0) is responses


def test_a_part_has_new_runs_where_bins_are_missing() -> None:
    samples = Samples(np.arange(9.0)[:, None], np.zeros((9, 1)), RUN, np.arange(9.0)[:, None])
    chosen = np.array([1, 0, 1, 1, 1, 1, 1, 0, 1], bool)
    part = samples.part(chosen)
    assert part.features[:, 0].tolist() == [0, 2, 3, 4, 5, 6, 8]
    np.testing.assert_array_equal(part.base, part.features)
    # a break inside run 0, the border of 0 and 1, of 1 and 4, and a break inside 4
    assert part.run.tolist() == [0, 1, 2, 2, 3, 3, 4]


def test_a_constant_column_is_only_centred() -> None:
    values = np.column_stack([np.full(100, 0.1, np.float32), np.arange(100)])
    scaled = Scaler.fit(values)(values)
    assert np.abs(scaled[:, 0]).max() < 1e-6
    assert abs(scaled[:, 1].std() - 1) < 1e-12
    scaler = Scaler.fit(values)
    np.testing.assert_allclose(scaler.undo(scaled), values, atol=1e-9)
