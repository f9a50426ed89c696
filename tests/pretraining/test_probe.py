"""The linear read-out of a project's own keypoints."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.linear_model import RidgeCV

from beast_lp.config import BeastConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.pretraining.probe import _ALPHAS, assign_folds, frozen_features, probe_error
from beast_lp.pretraining.stage import RunFiles, run_pretraining
from beast_lp.video.labelled import read_images, read_labels
from beast_lp.vit.model import MaskedAutoencoder


def _slow_error(features: np.ndarray, positions: np.ndarray, folds: np.ndarray) -> list[float]:
    """Fit every keypoint's coordinates by themselves, frame by frame."""
    distances: dict[str, list[float]] = {'model': [], 'constant': []}
    for point in range(positions.shape[1]):
        for fold in set(folds.tolist()):
            rows = [
                i
                for i in range(len(folds))
                if folds[i] != fold and np.isfinite(positions[i, point]).all()
            ]
            if len(rows) < 2:
                continue
            mean, std = features[rows].mean(axis=0), features[rows].std(axis=0)
            std[std == 0] = 1
            model = RidgeCV(_ALPHAS).fit((features[rows] - mean) / std, positions[rows][:, point])
            for i in range(len(folds)):
                if folds[i] == fold and np.isfinite(positions[i, point]).all():
                    guess = model.predict((features[i : i + 1] - mean) / std)[0]
                    distances['model'].append(float(np.hypot(*(guess - positions[i, point]))))
                    guess = positions[rows][:, point].mean(axis=0)
                    distances['constant'].append(float(np.hypot(*(guess - positions[i, point]))))
    return [float(np.mean(values)) for values in distances.values()]


@pytest.mark.parametrize('dim', [3, 60])
def test_the_error_equals_a_slow_version(dim: int) -> None:
    draw = np.random.default_rng(dim)
    features = draw.normal(size=(24, dim))
    positions = 10 * features[:, None, :2] + draw.normal(size=(24, 3, 2))
    # each keypoint is missing somewhere else, so that each has a fit of its own
    for point in range(3):
        positions[5 * point : 5 * point + 3, point] = np.nan
    folds = np.arange(24) % 4
    np.testing.assert_allclose(
        probe_error(features, positions, folds),
        _slow_error(features, positions, folds),
        rtol=1e-6,
    )


def test_features_that_hold_the_answer_beat_the_constant_and_noise_does_not() -> None:
    draw = np.random.default_rng(0)
    positions = draw.uniform(0, 100, (60, 2, 2))
    folds = assign_folds(['video'] * 60)
    features = positions.reshape(60, 4) @ draw.normal(size=(4, 12))
    known = probe_error(features, positions, folds)
    noise = probe_error(draw.normal(size=(60, 12)), positions, folds)
    assert known.model < 0.05 * known.constant
    assert noise.model > 0.9 * noise.constant


def test_folds_keep_videos_whole_where_there_are_enough() -> None:
    videos = [f'v{i}' for i in range(8) for _ in range(i + 1)]
    folds = assign_folds(videos)
    assert all(
        len({f for f, v in zip(folds, videos, strict=True) if v == name}) == 1
        for name in set(videos)
    )
    sizes = np.bincount(folds, minlength=5)
    assert sizes.min() >= 5 and sizes.max() <= 9


def test_folds_of_few_videos_are_stretches_of_frames() -> None:
    folds = assign_folds(['b'] * 10 + ['a'] * 10)
    assert np.bincount(folds).tolist() == [4] * 5
    assert (np.diff(np.concatenate([folds[10:], folds[:10]])) >= 0).all()


def test_features_are_those_of_the_whole_image_in_raster_order() -> None:
    model = MaskedAutoencoder(
        parse_config(
            {
                'init': 'random',
                'model': {
                    'image_size': [64, 64],
                    'patch_size': 16,
                    'hidden_size': 32,
                    'num_layers': 1,
                    'num_heads': 2,
                    'mlp_size': 64,
                },
            }
        ).model,
        decoder=False,
    ).eval()
    images = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    cls = frozen_features(model, images, 'cls')
    patches = frozen_features(model, images, 'patches')
    assert cls.shape == (3, 32) and patches.shape == (3, 32 + 32 * 16)
    np.testing.assert_array_equal(patches[:, :32], cls)


@pytest.fixture
def project(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Write 30 labelled pictures of a square, and return the label file and the positions."""
    draw = np.random.default_rng(0)
    positions = np.stack([draw.integers(8, 56, 30), draw.integers(8, 40, 30)], axis=1)
    folder = tmp_path / 'labeled-data' / 'one'
    folder.mkdir(parents=True)
    for i, (x, y) in enumerate(positions):
        picture = np.full((48, 64, 3), 90, np.uint8)
        picture[y - 8 : y + 8, x - 8 : x + 8] = 255
        Image.fromarray(picture).save(folder / f'img{i:03d}.png')
    columns = pd.MultiIndex.from_product(
        [['me'], ['square', 'never'], ['x', 'y']], names=['scorer', 'bodyparts', 'coords']
    )
    names = pd.Index([f'labeled-data/one/img{i:03d}.png' for i in range(30)])
    table = pd.DataFrame(np.nan, names, columns)
    table.iloc[1:, :2] = positions[1:]
    table.to_csv(tmp_path / 'CollectedData.csv')
    return tmp_path / 'CollectedData.csv', positions


def test_label_files_are_read(project: tuple[Path, np.ndarray]) -> None:
    path, positions = project
    frames = read_labels([path], path.parent)
    assert frames.keypoints == ['square', 'never']
    # the first row has no label at all, which pandas takes for a name
    assert len(frames.images) == 30 and frames.images[0].name == 'img000.png'
    np.testing.assert_array_equal(frames.positions[1:, 0], positions[1:])
    assert np.isnan(frames.positions[:, 1]).all() and np.isnan(frames.positions[0]).all()
    assert set(frames.videos) == {str(path.parent / 'labeled-data' / 'one')}


def test_missing_images_and_other_tables_get_a_sentence(
    project: tuple[Path, np.ndarray],
    tmp_path: Path,
) -> None:
    path, _ = project
    frames = read_labels([path], path.parent)
    frames.images[3].unlink()
    with pytest.raises(BeastError, match='1 of the 30 labelled images are missing.*img003'):
        read_labels([path], path.parent)
    (tmp_path / 'other.csv').write_text('a,b\n1,2\n')
    with pytest.raises(BeastError, match='other.csv'):
        read_labels([tmp_path / 'other.csv'], tmp_path)
    with pytest.raises(BeastError, match='cannot be read as a table of labels'):
        read_labels([tmp_path / 'none.csv'], tmp_path)


@pytest.mark.parametrize('kept', [0, 60, 120])
def test_a_damaged_image_is_named(project: tuple[Path, np.ndarray], kept: int) -> None:
    path, _ = project
    images = read_labels([path], path.parent).images
    images[3].write_bytes(images[3].read_bytes()[:kept])
    with pytest.raises(BeastError, match='labelled image .*img003.png cannot be read'):
        read_images(images, (32, 32))


def test_a_run_measures_the_probe_and_survives_a_resume(
    tiny_config: Callable[..., BeastConfig],
    videos: list[Path],
    project: tuple[Path, np.ndarray],
    tmp_path: Path,
) -> None:
    path, _ = project
    frames = read_labels([path], path.parent)
    config = tiny_config(probe={'every_epochs': 2}, training={'epochs': 5})
    run_pretraining(config, videos, tmp_path / 'out', labels=frames)
    metrics = pd.read_csv(RunFiles(tmp_path / 'out').metrics)
    assert metrics.probe_px.notna().tolist() == [False, True, False, True, True]
    last = metrics.iloc[-1]
    # a bright square on grey: even a tiny model's patches say roughly where it is
    assert last.probe_px < 0.7 * last.probe_constant_px
    assert last.probe_constant_px == pytest.approx(16, abs=4)
    assert (metrics.probe_start_px.dropna() == last.probe_start_px).all()


def test_too_few_labels_get_a_sentence(
    tiny_config: Callable[..., BeastConfig],
    videos: list[Path],
    project: tuple[Path, np.ndarray],
    tmp_path: Path,
) -> None:
    path, _ = project
    frames = read_labels([path], path.parent)
    few = type(frames)(frames.images[:9], frames.keypoints, frames.positions[:9])
    config = tiny_config(probe={'every_epochs': 2})
    with pytest.raises(BeastError, match='needs 10 labelled frames.*has 9'):
        run_pretraining(config, videos, tmp_path / 'out', labels=few)
