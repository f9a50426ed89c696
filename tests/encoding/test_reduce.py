"""Principal components of features."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from beast_lp.encoding import align, reduce
from beast_lp.encoding.align import Aligned, Bins, features_in, frames_near
from beast_lp.encoding.reduce import check_size, leading_components
from beast_lp.errors import BeastError


@pytest.mark.parametrize('piece', [2**27, 8 * 500], ids=['whole', 'pieces'])
@pytest.mark.parametrize(('bins', 'features'), [(200, 12), (30, 50)], ids=['tall', 'wide'])
def test_components_are_those_of_a_singular_value_decomposition(
    bins: int,
    features: int,
    piece: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reduce, '_PIECE_BYTES', piece)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(bins, features)) * np.geomspace(1, 9, features) + 3
    values[:, 1] = 0.9 * values[:, 0] + 0.1 * values[:, 1]
    train = np.arange(bins) < 0.8 * bins
    found = leading_components(values, train, 4)
    centred = values - values[train].mean(axis=0)
    _, _, axes = np.linalg.svd(centred[train], full_matrices=False)
    for number in range(4):
        wanted = centred @ axes[number]
        sign = np.sign(found[:, number] @ wanted)
        np.testing.assert_allclose(found[:, number], sign * wanted, atol=1e-8)


def test_what_is_not_trained_on_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 9))
    train = np.arange(60) < 40
    other = values.copy()
    other[50:] *= 100
    np.testing.assert_array_equal(
        leading_components(values, train, 3)[:50], leading_components(other, train, 3)[:50]
    )


def test_axes_along_which_nothing_varies_are_left_out() -> None:
    rng = np.random.default_rng(0)
    # 70 features, all of them mixtures of 3
    values = (rng.normal(size=(40, 3)) @ rng.normal(size=(3, 70))).astype(np.float32)
    found = leading_components(values, np.arange(40) < 30, 64)
    assert found.shape == (40, 3)
    assert np.isfinite(found).all()


@pytest.mark.parametrize('most', [None, 5])
def test_few_features_come_back_as_they_are(most: int | None) -> None:
    values = np.arange(20.0).reshape(4, 5)
    found = leading_components(values, np.ones(4, dtype=bool), most)
    np.testing.assert_array_equal(found, values)


def test_no_double_of_all_features_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, '_PIECE_BYTES', 2**18)
    # 16 MB, of which the training part is a half
    values = np.random.default_rng(0).normal(size=(400, 10000)).astype(np.float32)
    tracemalloc.start()
    leading_components(values, np.arange(400) < 200, 4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6


@pytest.mark.parametrize(('bins', 'patches'), [(6000, 4), (300, 200)], ids=['tall', 'wide'])
def test_features_on_disk_have_the_components_of_those_in_memory(
    bins: int,
    patches: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    frames = 2 * bins
    hidden = rng.normal(size=(frames, 6)) @ rng.normal(size=(6, patches * 32))
    values = (hidden + 0.1 * rng.normal(size=hidden.shape) + 3).astype(np.float16)
    np.save(tmp_path / 'patches.npy', values.reshape(frames, patches, 32))
    cls = rng.normal(size=(frames, 4)).astype(np.float32)
    # a gap in the middle, in which no bin lies
    times = np.arange(frames) + np.where(np.arange(frames) < bins, 0, 500)
    centres = times[:-1:2] + 0.3
    on_disk = [cls, np.load(tmp_path / 'patches.npy', mmap_mode='r')]
    near = frames_near(on_disk, times, Bins(centres, 2.0, np.zeros(bins, int)), 9.0)
    # blocks of time, as a split has them
    train = np.arange(bins) // 50 % 4 > 0
    direct = features_in(on_disk, near)
    centred = direct - direct[train].mean(axis=0, dtype=np.float64)
    _, _, axes = np.linalg.svd(centred[train], full_matrices=False)
    wanted = centred @ axes[:5].T
    monkeypatch.setattr(align, '_BLOCK_BYTES', 2**16)
    monkeypatch.setattr(reduce, '_PIECE_BYTES', 2**17)
    tracemalloc.start()
    found = leading_components(Aligned(on_disk, near), train, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    signs = np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found * signs, wanted, atol=1e-5 * np.abs(wanted).max())
    # the matrix and some pieces, but neither the features nor those trained on
    assert peak < direct.nbytes / 2


def test_a_matrix_beyond_the_bound_is_refused() -> None:
    # an hour at 20 ms of the patches of a ViT-B
    words = "'vit' in 126000 bins need a matrix of 10.6 GiB.*--patch_dim"
    with pytest.raises(BeastError, match=words):
        check_size('vit', 126000, 49 * 768, 64)
    # the smaller of the two matrices counts, and with all components there is none
    check_size('vit', 20000, 49 * 768, 64)
    check_size('vit', 126000, 49 * 64, 64)
    check_size('vit', 126000, 49 * 768, None)
