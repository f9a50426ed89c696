"""Metrics against slow loops, and the properties that hold exactly."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from beast_lp.encoding.metrics import (
    RATE_FLOOR,
    bits_per_spike,
    r_squared,
    variance_explained,
)


def _data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rates = np.exp(rng.normal(-1, 0.7, (300, 6)))
    return rng.poisson(rates), rates


def _slow_nll(counts: list[int], rates: list[float]) -> float:
    total = 0.0
    for n, rate in zip(counts, rates, strict=True):
        rate = max(rate, 1e-9)
        total += rate - n * math.log(rate) + math.lgamma(n + 1)
    return total


def test_equals_a_slow_loop_from_the_definition() -> None:
    counts, rates = _data()
    rates[::7] = 0
    got = bits_per_spike(counts, rates)
    gains, spikes = [], []
    for neuron in range(counts.shape[1]):
        own = counts[:, neuron].tolist()
        mean = sum(own) / len(own)
        gain = _slow_nll(own, [mean] * len(own)) - _slow_nll(own, rates[:, neuron].tolist())
        gains.append(gain)
        spikes.append(sum(own))
        assert got.per_neuron[neuron] == pytest.approx(gain / sum(own) / math.log(2), abs=1e-9)
    assert got.pooled == pytest.approx(sum(gains) / sum(spikes) / math.log(2), abs=1e-9)
    each = [gain / n / math.log(2) for gain, n in zip(gains, spikes, strict=True)]
    assert got.mean == pytest.approx(sum(each) / len(each), abs=1e-9)
    # the two averages are not the same thing
    assert abs(got.mean - got.pooled) > 1e-3


def test_the_null_gives_exactly_zero() -> None:
    counts, _ = _data()
    rates = np.repeat(counts.mean(axis=0, keepdims=True), len(counts), axis=0)
    got = bits_per_spike(counts, rates)
    assert np.abs(got.per_neuron).max() < 1e-12
    assert abs(got.pooled) < 1e-12
    assert abs(got.mean) < 1e-12


def test_the_true_rate_is_the_ceiling() -> None:
    rng = np.random.default_rng(1)
    rates = np.exp(rng.normal(-1, 0.7, (20000, 3)))
    counts = rng.poisson(rates)
    best = bits_per_spike(counts, rates)
    for wrong in (rates * 1.1, rates * 0.9, rates**1.1, np.roll(rates, 1, axis=0)):
        assert bits_per_spike(counts, wrong).pooled < best.pooled
    # of a known rate the expected gain is E[rate log2(rate / mean)] / E[rate]
    mean = rates.mean(axis=0)
    expected = (rates * np.log2(rates / mean)).mean(axis=0) / mean
    np.testing.assert_allclose(best.per_neuron, expected, rtol=0.05)


def test_order_of_bins_and_neurons_does_not_matter() -> None:
    counts, rates = _data()
    rng = np.random.default_rng(2)
    bins, neurons = rng.permutation(300), rng.permutation(6)
    a, b = bits_per_spike(counts, rates), bits_per_spike(counts[bins], rates[bins])
    np.testing.assert_allclose(a.per_neuron, b.per_neuron, atol=1e-12)
    c = bits_per_spike(counts[:, neurons], rates[:, neurons])
    np.testing.assert_allclose(a.per_neuron[neurons], c.per_neuron, atol=1e-12)
    assert a.pooled == pytest.approx(c.pooled)


def test_silent_neurons_are_nan_and_count_in_no_average() -> None:
    counts, rates = _data()
    silent = np.column_stack([counts, np.zeros(300, int)])
    got = bits_per_spike(silent, np.column_stack([rates, np.full(300, 0.3)]))
    without = bits_per_spike(counts, rates)
    assert np.isnan(got.per_neuron[-1])
    assert got.pooled == pytest.approx(without.pooled, abs=1e-12)
    assert got.mean == pytest.approx(without.mean, abs=1e-12)
    nothing = bits_per_spike(np.zeros((5, 2)), np.ones((5, 2)))
    assert math.isnan(nothing.pooled)
    assert math.isnan(nothing.mean)


def test_a_zero_rate_is_floored_and_a_train_null_flatters() -> None:
    counts = np.array([[0], [2]])
    got = bits_per_spike(counts, np.array([[0.0], [0.0]]))
    assert got.per_neuron[0] == pytest.approx((2 * math.log(RATE_FLOOR) + 2) / 2 / math.log(2))
    counts, rates = _data()
    standard = bits_per_spike(counts, rates)
    other = bits_per_spike(counts, rates, counts.mean(axis=0) * 1.5)
    assert (other.per_neuron > standard.per_neuron).all()


def test_variance_explained_and_r_squared_equal_slow_loops() -> None:
    rng = np.random.default_rng(3)
    responses = rng.normal(size=(50, 4))
    predictions = 0.5 * responses + rng.normal(size=(50, 4)) * 0.3 + 1
    responses[:, 3] = 2.0
    explained, squared = (f(responses, predictions) for f in (variance_explained, r_squared))
    for neuron in range(3):
        y, p = responses[:, neuron].tolist(), predictions[:, neuron].tolist()
        mean = sum(y) / 50
        total = sum((v - mean) ** 2 for v in y)
        errors = [v - w for v, w in zip(y, p, strict=True)]
        bias = sum(errors) / 50
        assert squared[neuron] == pytest.approx(1 - sum(e**2 for e in errors) / total)
        assert explained[neuron] == pytest.approx(1 - sum((e - bias) ** 2 for e in errors) / total)
    # a constant error costs nothing in the one and much in the other
    assert (explained[:3] > squared[:3]).all()
    assert np.isnan(explained[3])
    assert np.isnan(squared[3])


@pytest.mark.parametrize('metric', [variance_explained, r_squared])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_neuron_whose_prediction_diverged_has_no_score(
    metric: Callable[[np.ndarray, np.ndarray], np.ndarray],
    value: float,
) -> None:
    responses = np.random.default_rng(0).normal(size=(20, 3))
    predictions = responses.copy()
    predictions[4, 1] = value
    np.testing.assert_allclose(metric(responses, predictions), [1, np.nan, 1])
    assert np.isnan(metric(responses[:, 1:2], predictions[:, 1:2])).all()
