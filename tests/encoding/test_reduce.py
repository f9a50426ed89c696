"""Principal components of features."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from beast_lp.encoding import align, reduce
from beast_lp.encoding.align import Aligned, features_in, frames_near
from beast_lp.encoding.bins import Bins
from beast_lp.encoding.reduce import (
    check_size,
    leading_components,
    scale_units,
    to_one_scale,
)
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
    found = leading_components(values, 4)
    centred = values - values.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    for number in range(4):
        wanted = centred @ axes[number]
        sign = np.sign(found[:, number] @ wanted)
        np.testing.assert_allclose(found[:, number], sign * wanted, atol=1e-8)


def test_axes_along_which_nothing_varies_are_left_out() -> None:
    rng = np.random.default_rng(0)
    # 70 features, all of them mixtures of 3
    values = (rng.normal(size=(40, 3)) @ rng.normal(size=(3, 70))).astype(np.float32)
    found = leading_components(values, 64)
    assert found.shape == (40, 3)
    assert np.isfinite(found).all()


def test_all_components_keep_all_that_features_hold() -> None:
    values = np.random.default_rng(0).normal(size=(40, 5)) + 7
    found = leading_components(values, None)
    centred = values - values.mean(axis=0)
    np.testing.assert_allclose(found @ found.T, centred @ centred.T, atol=1e-9)
    assert (np.diff(found.var(axis=0)) < 0).all()


def test_a_source_has_one_scale_and_each_unit_its_own() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 4)) * [9.0, 3.0, 1.0, 0.01]
    scaled = to_one_scale([values])
    deviations = scaled.std(axis=0)
    assert deviations[0] == pytest.approx(1)
    # what hardly changes stays small
    assert deviations[-1] == pytest.approx(0.01 / 9, rel=0.2)
    units = scale_units(values, np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(units.var(axis=0)[3], 1)
    np.testing.assert_allclose(units.var(axis=0)[:3].sum(), 1)
    # two sources side by side weigh alike, whatever their numbers
    both = to_one_scale([values, 1e6 * values])
    np.testing.assert_allclose(both, to_one_scale([values, values]), rtol=1e-3, atol=1e-5)
    assert np.isfinite(to_one_scale([np.zeros((5, 2))])).all()


def test_no_double_of_all_features_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, '_PIECE_BYTES', 2**18)
    # 16 MB, of which the training part is a half
    values = np.random.default_rng(0).normal(size=(400, 10000)).astype(np.float32)
    tracemalloc.start()
    leading_components(values, 4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6


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
    direct = features_in(on_disk, near)
    centred = direct - direct.mean(axis=0, dtype=np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    wanted = centred @ axes[:5].T
    monkeypatch.setattr(align, '_BLOCK_BYTES', 2**16)
    monkeypatch.setattr(reduce, '_PIECE_BYTES', 2**17)
    tracemalloc.start()
    found = leading_components(Aligned(on_disk, near), 5)
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
        check_size('vit', 126000, 49 * 768)
    # the smaller of the two matrices counts
    check_size('vit', 20000, 49 * 768)
    check_size('vit', 126000, 49 * 64)
