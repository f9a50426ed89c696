"""Ridge, reduced rank and the Poisson form against reference solutions."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import PoissonRegressor
from sklearn.linear_model import Ridge as SklearnRidge

from beast_lp.encoding.linear import Moments, reduced_rank, ridge
from beast_lp.encoding.poisson import PoissonWeights, balanced, constant_from, fit_poisson


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    """Return centred features (not white) and responses of rank 3 plus noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 12)) @ rng.normal(size=(12, 12))
    y = x @ rng.normal(size=(12, 3)) @ rng.normal(size=(3, 8)) + rng.normal(size=(400, 8))
    return x - x.mean(axis=0), y - y.mean(axis=0)


def test_ridge_equals_the_reference(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    reference = SklearnRidge(alpha=0.3 * len(x), fit_intercept=False).fit(x, y).coef_.T
    np.testing.assert_allclose(ridge(Moments.of(x, y), 0.3), reference, rtol=1e-8)


def test_full_rank_equals_ridge(data: tuple[np.ndarray, np.ndarray]) -> None:
    moments = Moments.of(*data)
    for rank in (8, 100):
        left, right = reduced_rank(moments, 0.3, rank)
        np.testing.assert_allclose(left @ right, ridge(moments, 0.3), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize('penalty', [1e-9, 0.5])
@pytest.mark.parametrize('rank', [1, 3, 5])
def test_a_rank_equals_the_svd_truncation_of_the_fitted_values(
    data: tuple[np.ndarray, np.ndarray],
    rank: int,
    penalty: float,
) -> None:
    x, y = data
    left, right = reduced_rank(Moments.of(x, y), penalty, rank)
    # the penalty as further rows of the regression
    x_all = np.vstack([x, np.sqrt(penalty * len(x)) * np.eye(12)])
    y_all = np.vstack([y, np.zeros((12, 8))])
    fitted = x_all @ np.linalg.lstsq(x_all, y_all, rcond=None)[0]
    u, s, v = np.linalg.svd(fitted, full_matrices=False)
    np.testing.assert_allclose(
        x_all @ left @ right, (u[:, :rank] * s[:rank]) @ v[:rank], atol=1e-6
    )
    assert np.linalg.matrix_rank(left @ right) == rank


def test_no_other_weights_of_that_rank_have_a_lower_loss(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = data
    left, right = reduced_rank(Moments.of(x, y), 0.2, 2)

    def loss(weights: np.ndarray) -> float:
        return float(((y - x @ weights) ** 2).sum() / len(x) + 0.2 * (weights**2).sum())

    best, rng = loss(left @ right), np.random.default_rng(1)
    for scale in (1e-3, 1e-2, 1e-1):
        for _ in range(20):
            a = left + scale * rng.normal(size=left.shape)
            b = right + scale * rng.normal(size=right.shape)
            assert loss(a @ b) > best


def test_poisson_at_full_rank_equals_the_reference() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 4))
    counts = rng.poisson(np.exp(x @ rng.normal(0, 0.3, (4, 3)) - 1))
    start = PoissonWeights(rng.normal(0, 0.1, (4, 3)), rng.normal(0, 0.1, (3, 3)), np.zeros(3))
    got = fit_poisson(x, counts, np.ones((2000, 3)), 0.0, start, torch.device('cpu'))
    for neuron in range(3):
        reference = PoissonRegressor(alpha=0, tol=1e-8).fit(x, counts[:, neuron])
        np.testing.assert_allclose((got.left @ got.right)[:, neuron], reference.coef_, atol=5e-3)
        assert got.bias[neuron] == pytest.approx(reference.intercept_, abs=5e-3)


def test_a_larger_poisson_penalty_uses_a_lower_rank() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 10))
    rates = np.exp(0.4 * x[:, :2] @ rng.normal(size=(2, 12)) - 1)
    counts = rng.poisson(rates)
    start = PoissonWeights(
        rng.normal(0, 0.1, (10, 8)), rng.normal(0, 0.1, (8, 12)), np.log(counts.mean(axis=0))
    )
    used = []
    for penalty in (0.001, 0.3, 100.0):
        got = fit_poisson(x, counts, np.ones(counts.shape), penalty, start, torch.device('cpu'))
        singular = np.linalg.svd(got.left @ got.right, compute_uv=False)
        used.append(int((singular > 0.05).sum()))
    assert used[0] > used[1] == 2
    assert used[2] == 0


def test_the_rate_is_constant_from_a_known_penalty_on_and_not_below() -> None:
    rng = np.random.default_rng(0)
    # lags shift the mean a little
    x = rng.normal(size=(2000, 10)) + 0.1
    counts = rng.poisson(np.exp(0.4 * x[:, :2] @ rng.normal(size=(2, 12)) - 1))
    start = PoissonWeights(rng.normal(0, 0.1, (10, 8)), rng.normal(0, 0.1, (8, 12)), np.zeros(12))
    edge = constant_from(x, counts, np.ones(counts.shape))

    def loss(weights: PoissonWeights, penalty: float) -> float:
        drive = x @ weights.left @ weights.right + weights.bias
        norms = np.square(weights.left).sum() + np.square(weights.right).sum()
        return float((np.exp(drive) - counts * drive).sum() / len(x) + penalty / 2 * norms)

    for share in (0.9, 1.0, 3.0):
        got = fit_poisson(
            x, counts, np.ones(counts.shape), share * edge, start, torch.device('cpu')
        )
        assert got.is_constant == (share >= 1)
        constant = PoissonWeights(
            np.zeros((10, 8)), np.zeros((8, 12)), np.log(counts.mean(axis=0))
        )
        if share >= 1:
            np.testing.assert_allclose(
                got.rates(x, np.ones(counts.shape), np.full(12, 99.0)),
                np.tile(counts.mean(axis=0), (2000, 1)),
            )
            # nothing near it is better
            for _ in range(20):
                near = PoissonWeights(
                    0.1 * rng.normal(size=(10, 8)), 0.1 * rng.normal(size=(8, 12)), constant.bias
                )
                assert loss(near, share * edge) > loss(got, share * edge)
        else:
            assert loss(got, share * edge) < loss(constant, share * edge) - 1e-4


def test_balanced_factors_have_the_same_product_and_the_least_norm() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(9, 3)) * 5, rng.normal(size=(3, 7)) * 0.1
    a, b = balanced(left, right)
    np.testing.assert_allclose(a @ b, left @ right)
    nuclear = np.linalg.svd(left @ right, compute_uv=False).sum()
    assert ((a**2).sum() + (b**2).sum()) / 2 == pytest.approx(nuclear)


def test_rates_have_a_limit() -> None:
    weights = PoissonWeights(np.ones((1, 1)), np.ones((1, 2)), np.zeros(2))
    rates = weights.rates(np.array([[1e6]]), np.ones((1, 2)), np.array([3.0, 5.0]))
    assert rates.tolist() == [[3.0, 5.0]]
