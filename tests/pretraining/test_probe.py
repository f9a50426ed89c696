"""The linear read-out of a project's own keypoints."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV

from beast_lp.config import parse_config
from beast_lp.pretraining.probe import (
    _ALPHAS,
    Scaling,
    assign_folds,
    frozen_features,
    probe_error,
    scale,
    z_scores,
)
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.pixels import network_input


def _slow_error(
    features: np.ndarray, positions: np.ndarray, folds: np.ndarray, common: bool
) -> float:
    """Fit every keypoint's coordinates by themselves, frame by frame."""
    distances: list[float] = []
    for point in range(positions.shape[1]):
        for fold in set(folds.tolist()):
            rows = [
                i
                for i in range(len(folds))
                if folds[i] != fold and np.isfinite(positions[i, point]).all()
            ]
            if len(rows) < 2:
                continue
            mean, spread = features[rows].mean(axis=0), features[rows].std(axis=0)
            if common:
                total = sum(float(value) ** 2 for value in spread)
                spread = np.full(len(spread), (total / len(spread)) ** 0.5)
            spread[spread == 0] = 1
            model = RidgeCV(_ALPHAS).fit(
                (features[rows] - mean) / spread, positions[rows][:, point]
            )
            for i in range(len(folds)):
                if folds[i] == fold and np.isfinite(positions[i, point]).all():
                    guess = model.predict((features[i : i + 1] - mean) / spread)[0]
                    distances.append(float(np.hypot(*(guess - positions[i, point]))))
    return float(np.mean(distances))


@pytest.mark.parametrize('dim', [3, 60])
@pytest.mark.parametrize('scaling', [scale, z_scores])
def test_the_error_equals_a_slow_version(dim: int, scaling: Scaling) -> None:
    draw = np.random.default_rng(dim)
    # features of unlike spread, one of which never changes
    features = draw.normal(size=(24, dim)) * draw.uniform(0.1, 5, dim) + 7
    features[:, -1] = 4
    positions = 10 * features[:, None, :2] + draw.normal(size=(24, 3, 2))
    # each keypoint is missing somewhere else, so that each has a fit of its own
    for point in range(3):
        positions[5 * point : 5 * point + 3, point] = np.nan
    folds = np.arange(24) % 4
    assert probe_error(features, positions, folds, scaling) == pytest.approx(
        _slow_error(features, positions, folds, scaling is scale), rel=1e-6
    )


def test_one_number_scales_all_features() -> None:
    draw = np.random.default_rng(1)
    features, others = draw.normal(size=(9, 4)) * [1, 2, 3, 0], draw.normal(size=(5, 4))
    total = sum(
        (features[i, j] - sum(features[:, j]) / 9) ** 2 for i in range(9) for j in range(4)
    )
    number = (total / 36) ** 0.5
    scaled, alike = scale(features, others)
    for j in range(4):
        mean = sum(features[:, j]) / 9
        np.testing.assert_allclose(scaled[:, j], (features[:, j] - mean) / number)
        np.testing.assert_allclose(alike[:, j], (others[:, j] - mean) / number)
    # nothing to scale by
    assert (scale(np.ones((3, 2)), np.full((1, 2), 3.0))[1] == 2).all()


def test_a_flickering_feature_does_not_hide_what_the_others_hold() -> None:
    draw = np.random.default_rng(2)
    positions = draw.uniform(0, 100, (60, 1, 2))
    features = np.concatenate([positions[:, 0], 0.01 * draw.normal(size=(60, 200))], axis=1)
    folds = assign_folds(['video'] * 60)
    common = probe_error(features, positions, folds)
    assert common < 0.1 * probe_error(features, positions, folds, z_scores)


def test_features_that_hold_the_answer_beat_the_constant_and_noise_does_not() -> None:
    draw = np.random.default_rng(0)
    positions = draw.uniform(0, 100, (60, 2, 2))
    folds = assign_folds(['video'] * 60)
    features = positions.reshape(60, 4) @ draw.normal(size=(4, 12))
    constant = probe_error(np.zeros((60, 1)), positions, folds)
    mean = [
        np.linalg.norm(positions[folds != f].mean(0) - positions[folds == f], axis=2)
        for f in range(5)
    ]
    assert constant == pytest.approx(np.concatenate(mean).mean())
    assert probe_error(features, positions, folds) < 0.05 * constant
    assert probe_error(draw.normal(size=(60, 12)), positions, folds) > 0.9 * constant


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
