from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from beast_lp.errors import BeastError
from beast_lp.features.frame_sample import sample_frames
from beast_lp.features.patches import PatchReduction, stored_grid
from beast_lp.features.pca import Basis, fit_basis, frame_pca, open_frame_pca
from beast_lp.features.source import Encoded, FeatureSource

WriteVideo = Callable[..., Path]


class Blank(FeatureSource):
    """A source of no features, with patches in a grid."""

    name, kind, hash, image_size, dim, patch_dim = 'blank', 'vit', 'abc', (32, 64), 1, 1
    grid: tuple[int, int] | None = (8, 16)

    def encode(self, frames: np.ndarray, patches: bool) -> Encoded:
        raise NotImplementedError


def low_rank(rows: int) -> np.ndarray:
    random = np.random.default_rng(0)
    scales = np.array([9.0, 4.0, 2.0])
    signal = random.normal(size=(rows, 3)) * scales @ random.normal(size=(3, 12))
    return (signal + 3 + 0.01 * random.normal(size=(rows, 12))).astype(np.float32)


@pytest.mark.parametrize('batch', [7, 100, 1000])
def test_components_fitted_in_batches_are_those_of_all_data(batch: int) -> None:
    data = low_rank(1000)
    basis = fit_basis(lambda: (data[at : at + batch] for at in range(0, 1000, batch)), 3)
    centred = data - data.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(basis.mean, data.mean(0), atol=1e-3)
    # the same subspace, and within it the same axes up to their sign
    overlap = np.abs(basis.components @ axes[:3].T)
    np.testing.assert_allclose(overlap, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(basis.explained, (singular**2 / (singular**2).sum())[:3], rtol=1e-4)
    rebuilt = basis.project(data) @ basis.components + basis.mean
    assert np.abs(rebuilt - data).max() < 0.1


def test_more_components_than_data_are_refused() -> None:
    with pytest.raises(BeastError, match='only 20 samples'):
        fit_basis(lambda: [np.random.default_rng(0).normal(size=(20, 30))], 25)
    with pytest.raises(BeastError, match='12 channels'):
        fit_basis(lambda: [low_rank(20)], 13)
    with pytest.raises(BeastError, match='only 0 samples'):
        fit_basis(lambda: [], 3)


def test_a_damaged_file_of_components_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / 'a.npz').write_bytes(b'PK no')
    with pytest.raises(BeastError, match='no principal components'):
        Basis.load(tmp_path / 'a.npz')
    fit_basis(lambda: [low_rank(50)], 2).save(tmp_path / 'b.npz')
    with pytest.raises(BeastError, match='of patches and not of frames'):
        open_frame_pca(tmp_path / 'b.npz')


def test_frames_are_sampled_evenly_over_the_videos(write_video: WriteVideo) -> None:
    def grey(levels: range) -> list[np.ndarray]:
        return [np.full((32, 32, 3), level, np.uint8) for level in levels]

    long, short = write_video('a.mp4', grey(range(30, 130))), write_video('b.mp4', grey(range(50)))
    batches = list(sample_frames([long, short], 15, (16, 16), 'gray', 4, progress=False))
    assert [len(batch) for batch in batches] == [4, 4, 4, 3]
    levels = np.concatenate(batches)[:, 8, 8].astype(float)
    expected = [*np.linspace(30, 129, 10), *np.linspace(0, 49, 5)]
    assert np.abs(levels - expected).max() < 5


def test_a_video_that_cannot_be_read_is_left_out_of_a_sample(
    write_video: WriteVideo,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = write_video('good.mp4', np.zeros((20, 32, 32, 3), np.uint8))
    bad = tmp_path / 'bad.mp4'
    bad.write_bytes(b'no video')
    batches = list(sample_frames([bad, good], 10, (16, 16), 'gray', 10, progress=False))
    assert [len(batch) for batch in batches] == [10]
    assert 'bad.mp4 cannot be read' in caplog.text
    with pytest.raises(BeastError, match='none of the 1 videos can be read: .*bad.mp4'):
        next(sample_frames([bad], 10, (16, 16), 'gray', 10, progress=False))


def test_frame_components_are_fitted_once_and_reopened(
    write_video: WriteVideo,
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(0)
    frames = [
        random.integers(0, 256, (16, 24, 3), np.uint8).repeat(2, 0).repeat(2, 1) for _ in range(40)
    ]
    video = write_video('a.mp4', frames)
    path = tmp_path / 'out' / 'frame_pca.npz'
    source = frame_pca(path, [video], 5, (16, 24), progress=False)
    batch = np.stack([frame[::2, ::2, 0] for frame in frames[:4]])
    encoded = source.encode(batch, patches=False)
    assert encoded.cls.shape == (4, 5)
    assert encoded.cls.dtype == np.float32
    written = path.read_bytes()
    again = frame_pca(path, [tmp_path / 'no longer there.mp4'], 5, (16, 24), progress=False)
    assert path.read_bytes() == written
    assert again.hash == source.hash == open_frame_pca(path).hash
    np.testing.assert_array_equal(again.encode(batch, patches=False).cls, encoded.cls)
    with pytest.raises(BeastError, match='5 components'):
        frame_pca(path, [video], 6, (16, 24), progress=False)
    with pytest.raises(BeastError, match='no patches'):
        source.encode(batch, patches=True)


def test_patches_are_averaged_in_raster_order_and_projected() -> None:
    maps = torch.arange(2 * 3 * 4 * 6, dtype=torch.float32).view(2, 3, 4, 6)
    basis = Basis(np.array([1, 2, 3], np.float32), np.eye(3, dtype=np.float32)[:2], np.ones(2))
    whole, small = PatchReduction((4, 6))(maps), PatchReduction((2, 3), basis)(maps)
    for image in range(2):
        for row in range(4):
            for column in range(6):
                np.testing.assert_array_equal(
                    whole[image, 6 * row + column], maps[image, :, row, column]
                )
        for row in range(2):
            for column in range(3):
                block = maps[image, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                expected = block.mean((1, 2)).numpy()[:2] - [1, 2]
                np.testing.assert_allclose(small[image, 3 * row + column], expected, rtol=1e-6)


def test_a_grid_keeps_the_proportions_of_the_image() -> None:
    source = Blank()
    assert stored_grid(source, None) == (8, 16)
    assert stored_grid(source, 7) == (4, 7)
    assert stored_grid(source, 1) == (1, 1)
    with pytest.raises(BeastError, match='between 1 and 16'):
        stored_grid(source, 17)
    source.grid = None
    with pytest.raises(BeastError, match='no patches'):
        stored_grid(source, None)
