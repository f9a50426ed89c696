"""Principal components against a singular value decomposition and scikit-learn."""

import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import PCA

from beast_lp import pca
from beast_lp.pca import principal_components


def _data(rows: int, channels: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, channels)) * np.geomspace(1, 9, channels) + 3
    values[:, 1] = 0.9 * values[:, 0] + 0.1 * values[:, 1]
    return values


def _cut(values: np.ndarray, batch: int) -> list[np.ndarray]:
    return [values[at : at + batch] for at in range(0, len(values), batch)]


SHAPES = pytest.mark.parametrize(
    ('rows', 'channels', 'few'),
    [(200, 12, 0), (30, 50, 0), (30, 50, 2048)],
    ids=['tall', 'wide', 'few channels'],
)


@pytest.mark.parametrize('batch', [1, 7, 50, 1000])
@SHAPES
def test_components_are_those_of_scikit_learn(
    rows: int,
    channels: int,
    few: int,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pca, '_FEW_CHANNELS', few)
    values = _data(rows, channels)
    cut = _cut(values, batch)
    found = principal_components(lambda: cut, 5)
    plain = PCA(5, svd_solver='full').fit(values)
    np.testing.assert_allclose(found.mean, plain.mean_)
    # the sign of a component is arbitrary
    expected = np.asarray(plain.components_).T
    signs = np.sign((found.axes * expected).sum(axis=0))
    np.testing.assert_allclose(found.axes * signs, expected, atol=1e-8)
    # scikit-learn divides by one less than the number of rows
    unbiased = found.variances * rows / (rows - 1)
    np.testing.assert_allclose(unbiased, plain.explained_variance_)
    np.testing.assert_allclose(found.variances / found.total, plain.explained_variance_ratio_)


@SHAPES
def test_all_axes_are_orthonormal_and_share_out_the_variance(
    rows: int,
    channels: int,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pca, '_FEW_CHANNELS', few)
    values = _data(rows, channels)
    found = principal_components(lambda: [values], 100)
    kept = min(rows, channels)
    np.testing.assert_allclose(found.axes.T @ found.axes, np.eye(kept), atol=1e-8)
    assert found.variances.sum() == pytest.approx(found.total)
    assert found.total == pytest.approx(values.var(axis=0).sum())
    assert (np.diff(found.variances) <= 0).all()


def test_single_precision_is_summed_in_double() -> None:
    # a mean a thousand times the deviation
    values = (_data(5000, 6) + 9000).astype(np.float32)
    cut = _cut(values, 100)
    found = principal_components(lambda: cut, 2)
    exact = PCA(2, svd_solver='full').fit(values.astype(np.float64))
    overlap = np.abs((found.axes * np.asarray(exact.components_).T).sum(axis=0))
    np.testing.assert_allclose(overlap, 1, atol=1e-6)


def test_few_rows_give_few_components() -> None:
    assert principal_components(lambda: [_data(5, 20)], 32).axes.shape == (20, 5)


def test_memory_holds_a_few_batches_of_wide_data() -> None:
    # 32 MB in batches of 0.64
    values = np.random.default_rng(0).normal(size=(200, 20000))
    cut = _cut(values, 4)
    tracemalloc.start()
    principal_components(lambda: cut, 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6
