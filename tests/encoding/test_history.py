"""A neuron's own past: what enters, what must not, and what a source adds to it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import PoissonRegressor

from beast_lp.encoding.history import (
    fit_poisson_regression,
    history_rates,
    past,
    rates_of,
    windows,
)
from beast_lp.encoding.history_table import with_history
from beast_lp.encoding.metrics import bits_per_spike
from beast_lp.encoding.split import UNUSED, Folds

BINS = 12_000


def _folds(bins: int, block: int = 400) -> Folds:
    return Folds(np.arange(bins) // block % 4, np.ones(bins, dtype=bool))


def _neurons(drive: np.ndarray, seed: int) -> np.ndarray:
    """Simulate three neurons in bins: one that bursts, one that is refractory, and a plain one."""
    rng = np.random.default_rng(seed)
    # weights of the counts 1, 2 and 3 bins ago
    weights = np.array([[0.5, 0.3, 0.1], [-1.5, -0.5, 0.0], [0.0, 0.0, 0.0]])
    counts = np.zeros((len(drive) + 3, 3))
    base = np.log([0.15, 0.5, 0.3])
    for at, own in enumerate(drive):
        log_rate = base + own + (weights * counts[at : at + 3][::-1].T).sum(axis=1)
        counts[at + 3] = rng.poisson(np.exp(np.minimum(log_rate, 1.5)))
    return counts[3:]


def _added(counts: np.ndarray, rates: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return bits per spike of history, and what rates add to it."""
    group, folds = np.zeros(len(counts), int), _folds(len(counts))
    waves = np.cos(np.pi * np.arange(len(counts))[:, None] / len(counts))
    alone = bits_per_spike(counts, history_rates(counts, group, folds, waves, 8)).per_neuron
    both = bits_per_spike(counts, history_rates(counts, group, folds, waves, 8, rates)).per_neuron
    return alone, both - alone


@pytest.mark.parametrize('bins', [1, 2, 5, 8])
def test_the_past_is_that_of_the_run(bins: int) -> None:
    rng = np.random.default_rng(0)
    counts, run = rng.poisson(1, (60, 2)), np.repeat([0, 1, 2], [7, 40, 13])
    found = past(counts, run, bins)
    assert found.shape == (60, 2, len(windows(bins)))
    assert windows(bins)[-1][1] == bins
    for at in range(60):
        for number, (first, last) in enumerate(windows(bins)):
            before = [at - lag for lag in range(first, last + 1)]
            own = [counts[b] for b in before if b >= 0 and run[b] == run[at]]
            expected = np.mean(own, axis=0) if own else [np.nan, np.nan]
            np.testing.assert_allclose(found[at, :, number], expected)


def test_the_regression_is_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    x, start = rng.normal(size=(500, 4)), rng.normal(0, 0.5, 500)
    counts = rng.poisson(np.exp(0.5 + start + x @ [0.8, -0.5, 0.0, 0.3])).astype(float)
    # theirs has no start, but counts per exposure, whose weights it divides by their sum
    exposure = np.exp(start)
    for penalty in (1e-4, 0.3):
        weights = fit_poisson_regression(x, counts, start, penalty)
        theirs = PoissonRegressor(alpha=penalty / exposure.mean(), tol=1e-8, max_iter=1000)
        theirs.fit(x, counts / exposure, sample_weight=exposure)
        np.testing.assert_allclose(weights, [theirs.intercept_, *theirs.coef_], atol=1e-4)
        expected = theirs.predict(x) * exposure
        np.testing.assert_allclose(rates_of(weights, x, start), expected, rtol=1e-3)
    # columns that follow from each other, and a neuron that never fires
    assert np.isfinite(fit_poisson_regression(np.repeat(x, 2, axis=1), counts, start)).all()
    silent = fit_poisson_regression(x, np.zeros(500), start)
    assert (rates_of(silent, x, start) < 1e-6).all()


def test_a_spike_is_seen_in_later_bins_of_its_run_alone() -> None:
    rng = np.random.default_rng(2)
    counts = rng.poisson(0.5, (1200, 1)).astype(float)
    # trials of 30 bins, of which every fourth is of one fold, and bins of no fold
    group = np.arange(1200) // 30
    fold = np.where(group == 39, UNUSED, group % 4)
    folds, waves = Folds(fold, fold != UNUSED), np.zeros((1200, 1))
    before = history_rates(counts, group, folds, waves, 5)
    assert np.isnan(before[fold == UNUSED]).all() and np.isfinite(before[fold != UNUSED]).all()
    for at in (8 * 30, 8 * 30 + 12, 8 * 30 + 29):
        changed = counts.copy()
        changed[at] += 3
        after = history_rates(changed, group, folds, waves, 5)
        moved = np.flatnonzero((after != before)[:, 0] & (fold == fold[at]))
        last = min(at + 5, 8 * 30 + 29)
        assert moved.tolist() == list(range(at + 1, last + 1))


def test_history_explains_bursts_and_a_source_what_it_adds() -> None:
    rng = np.random.default_rng(3)
    weight, movement = 0.4, rng.normal(size=BINS)
    counts = _neurons(weight * movement, seed=4)
    # a log-normal rate of this variance has variance / (2 ln 2) bits per spike, whatever the past;
    # of an encoder that finds half of the weight 3/4 of that are left
    whole = weight**2 / (2 * np.log(2))
    for found, share in ((1.0, 1.0), (0.5, 0.75)):
        told = 0.3 * np.exp(found * weight * movement)[:, None].repeat(3, axis=1)
        history, added = _added(counts, told)
        assert history[0] > 0.05 and history[1] > 0.05 and abs(history[2]) < 0.005
        np.testing.assert_allclose(added, share * whole, rtol=0.15)
    # a source that tells nothing adds nothing, and one that is wrong takes away
    other = 0.3 * np.exp(weight * rng.normal(size=BINS))[:, None].repeat(3, axis=1)
    assert (_added(counts, other)[1] < -0.5 * whole).all()
    np.testing.assert_allclose(_added(counts, np.full_like(counts, 0.3))[1], 0, atol=1e-6)


def test_rates_that_mirror_the_fold_tell_nothing() -> None:
    """The mean of all other folds is low where a fold's own is high: a weight would use that."""
    rng = np.random.default_rng(7)
    folds = _folds(4000)
    counts = rng.poisson(0.4 + 0.3 * (folds.fold == 2)[:, None], (4000, 3)).astype(float)
    means = [counts[folds.without(number)].mean(axis=0) for number in range(folds.count)]
    np.testing.assert_allclose(_added(counts, np.array(means)[folds.fold])[1], 0, atol=1e-6)


def test_what_the_past_tells_of_slow_movement_is_not_the_sources() -> None:
    rng = np.random.default_rng(5)
    slow = np.convolve(rng.normal(size=BINS + 60), np.hanning(61), 'valid')
    slow = 0.6 * slow / slow.std()
    counts = _neurons(slow, seed=6)[:, 2:]
    told = 0.3 * np.exp(slow)[:, None]
    whole = bits_per_spike(counts, told).per_neuron[0]
    history, added = _added(counts, told)
    # this neuron has no memory, and yet its past tells what moves it
    assert history[0] > 0.15 * whole
    assert 0.3 * whole < added[0] < 0.95 * whole


def test_the_comparison_has_the_means() -> None:
    history = pd.DataFrame(
        {
            'source': ['a', 'a', 'b', 'b'],
            'encoder': 'ridge',
            'history': [0.1, 0.3, 0.1, 0.3],
            'over_history': [0.0, 0.2, np.nan, 0.4],
        }
    )
    comparison = pd.DataFrame({'source': ['a', 'b', 'drift'], 'encoder': 'ridge', 'score': 1.0})
    table = with_history(comparison, history)
    np.testing.assert_allclose(table['history_mean'], [0.2, 0.2, np.nan])
    np.testing.assert_allclose(table['over_history_mean'], [0.1, 0.4, np.nan])
    np.testing.assert_allclose(table['over_history_sem'], [0.1, np.nan, np.nan])
    assert table['score'].tolist() == [1.0, 1.0, 1.0]
