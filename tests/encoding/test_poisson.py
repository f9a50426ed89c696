"""The low-rank Poisson fit at its limits."""

import numpy as np
import pytest
import torch

from beast_lp.encoding.metrics import RATE_FLOOR
from beast_lp.encoding.poisson import PoissonWeights, constant_from, fit_poisson

CPU = torch.device('cpu')


def _loss(
    weights: PoissonWeights,
    x: np.ndarray,
    counts: np.ndarray,
    penalty: float,
) -> float:
    """Return the loss by its definition, the nuclear norm for the squares of the factors."""
    drive = x @ weights.left @ weights.right + weights.bias
    norm = np.linalg.svd(weights.left @ weights.right, compute_uv=False).sum()
    return float((np.exp(drive) - counts * drive).sum() / len(x) + penalty * norm)


def test_from_a_known_penalty_on_the_best_fit_is_a_constant_rate() -> None:
    rng = np.random.default_rng(0)
    # a mean that is not zero, which no product of features and residuals may feel
    x = rng.normal(size=(2000, 5)) + 2
    rates = np.exp((x - 2) @ rng.normal(size=(5, 8)) / 4 - 1)
    counts = rng.poisson(rates).astype(float)
    base = np.ones(counts.shape)
    limit = constant_from(x, counts, base)
    start = PoissonWeights(
        rng.normal(size=(5, 2)) / 3, rng.normal(size=(2, 8)) / 3, np.log(counts.mean(axis=0))
    )
    above, below = (
        fit_poisson(x, counts, base, factor * limit, start, CPU) for factor in (1.001, 0.8)
    )
    assert above.is_constant and not below.is_constant
    flat = PoissonWeights(np.zeros((5, 2)), np.zeros((2, 8)), np.log(counts.mean(axis=0)))
    np.testing.assert_allclose(
        above.rates(x, base, np.full(8, np.inf)),
        np.tile(counts.mean(axis=0), (2000, 1)),
        rtol=1e-6,
    )
    # to leave the constant in the steepest direction lowers the loss below the limit alone
    left, _, right = np.linalg.svd(x.T @ (counts - counts.mean(axis=0)) / len(x))
    step = PoissonWeights(
        1e-3 * left[:, :1], right[:1], flat.bias - 1e-3 * 2 * left[:, 0].sum() * right[0]
    )
    for factor, better in ((0.8, True), (1.001, False)):
        values = [_loss(weights, x, counts, factor * limit) for weights in (step, flat)]
        assert (values[0] < values[1]) == better
    assert _loss(below, x, counts, 0.8 * limit) < _loss(flat, x, counts, 0.8 * limit)


def test_a_constant_is_at_least_the_floor() -> None:
    start = PoissonWeights(np.ones((3, 1)), np.ones((1, 2)), np.zeros(2))
    silent = fit_poisson(np.eye(3), np.zeros((3, 2)), np.ones((3, 2)), 1.0, start, CPU)
    assert silent.is_constant
    assert silent.bias.tolist() == pytest.approx([np.log(RATE_FLOOR / 3)] * 2)


def test_weights_explain_what_the_base_leaves() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3))
    base = np.exp(np.sin(np.arange(4000) / 300))[:, None] * np.ones(6)
    truth = rng.normal(size=(3, 6)) / 4
    counts = rng.poisson(base * np.exp(x @ truth - 0.3)).astype(float)
    start = PoissonWeights(np.eye(3) * 0.1, rng.normal(size=(3, 6)) / 9, np.zeros(6))
    found = fit_poisson(x, counts, base, 1e-3, start, CPU)
    np.testing.assert_allclose(found.left @ found.right, truth, atol=0.07)
    np.testing.assert_allclose(found.bias, -0.3, atol=0.07)
