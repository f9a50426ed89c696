"""The linear read-out of a project's own keypoints."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import RidgeCV

from beast_lp.config import BeastConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.pretraining.probe import _ALPHAS, assign_folds, frozen_features, probe_error
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.video.labelled import read_labels
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.pixels import network_input


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
                },
            }
        ).model,
        decoder=False,
    ).eval()
    images = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    features = frozen_features(model, images)
    with torch.no_grad():
        tokens = model.encode(network_input(images))
    # a cell of the coarse grid is a patch of an image this small
    wanted = torch.cat([tokens[:, 0], tokens[:, 1:].transpose(1, 2).flatten(1)], dim=1)
    np.testing.assert_allclose(features, wanted.numpy(), rtol=1e-6, atol=1e-7)


def test_a_run_measures_the_probe_and_survives_a_resume(
    tiny_config: Callable[..., BeastConfig],
    videos: list[Path],
    labelled_project: tuple[Path, np.ndarray],
    tmp_path: Path,
) -> None:
    path, _ = labelled_project
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
    labelled_project: tuple[Path, np.ndarray],
    tmp_path: Path,
) -> None:
    path, _ = labelled_project
    frames = read_labels([path], path.parent)
    few = type(frames)(frames.images[:9], frames.keypoints, frames.positions[:9])
    config = tiny_config(probe={'every_epochs': 2})
    with pytest.raises(BeastError, match='needs 10 labelled frames.*has 9'):
        run_pretraining(config, videos, tmp_path / 'out', labels=few)
