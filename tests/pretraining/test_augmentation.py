"""Random geometry against slow, explicit versions of each transformation."""

import math
from typing import Any

import pytest
import torch

from beast_lp.config import AugmentationConfig
from beast_lp.pretraining.augmentation import (
    apply_geometry,
    augment,
    denormalise,
    draw_geometry,
    load_size,
    normalise,
    to_unit,
)
from beast_lp.pretraining.seeds import torch_generator

NONE = {'flip_horizontal': 0.0, 'flip_vertical': 0.0, 'crop_pad_probability': 0.0}


def _maps(count: int = 64, size: tuple[int, int] = (32, 48), **settings: Any) -> torch.Tensor:
    config = AugmentationConfig(**{**NONE, **settings})
    return draw_geometry(count, size, config, torch_generator(0))


def test_without_augmentation_images_stay_as_they_are() -> None:
    images = torch.rand(4, 3, 32, 48)
    torch.testing.assert_close(apply_geometry(images, _maps(4), (32, 48)), images)


@pytest.mark.parametrize(('name', 'axis'), [('flip_horizontal', -1), ('flip_vertical', -2)])
def test_flips_mirror_exactly(name: str, axis: int) -> None:
    images = torch.rand(4, 3, 32, 48)
    flipped = apply_geometry(images, _maps(4, (32, 48), **{name: 1.0}), (32, 48))
    torch.testing.assert_close(flipped, images.flip(axis))


def test_flips_happen_as_often_as_asked() -> None:
    maps = _maps(2000, flip_horizontal=0.5)
    assert float((maps[:, 0, 0] < 0).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert bool((maps[:, 1, 1] > 0).all())


def test_crop_and_pad_moves_the_sides_within_the_range() -> None:
    maps = _maps(2000, crop_pad_probability=0.4, crop_pad_fraction=0.15)
    moved = (maps - torch.tensor([[1.0, 0, 0], [0, 1, 0]])).abs().amax(dim=(1, 2)) > 0
    assert float(moved.float().mean()) == pytest.approx(0.4, abs=0.05)
    # the left side of the output looks at -1 + 2 * left of the input, the right at 1 - 2 * right
    left, right = maps[:, 0, 2] - maps[:, 0, 0], maps[:, 0, 2] + maps[:, 0, 0]
    assert float((left + 1).abs().max()) <= 2 * 0.15 + 1e-6
    assert float((right - 1).abs().max()) <= 2 * 0.15 + 1e-6
    assert float((left + 1).abs().max()) > 2 * 0.13


def test_padding_is_black() -> None:
    images = torch.ones(1, 3, 32, 32)
    wider = torch.tensor([[[1.5, 0, 0], [0, 1.5, 0.0]]])
    padded = apply_geometry(images, wider, (32, 32))
    assert float(padded[0, :, 0, 0].max()) == 0
    assert float(padded[0, :, 16, 16].min()) == pytest.approx(1)


def test_a_rotation_keeps_distances_in_pixels_on_a_wide_image() -> None:
    height, width = 32, 64
    for turn in _maps(50, (height, width), rotation=180.0):
        half = torch.tensor([width / 2, height / 2])
        point = torch.tensor([0.3, -0.2])
        moved = turn[:, :2] @ point
        distance = float((point * half).norm())
        assert float((moved * half).norm()) == pytest.approx(distance, rel=1e-4)
    angles = [math.degrees(math.atan2(float(m[1, 0]) / 2, float(m[0, 0])))
              for m in _maps(500, (32, 64), rotation=30.0)]
    assert max(angles) <= 30.01
    assert max(angles) > 25
    assert min(angles) < -25


@pytest.mark.parametrize('count', [1, 4, 9])
def test_augmenting_in_chunks_changes_nothing(count: int) -> None:
    frames = torch.randint(0, 256, (count, 36, 54, 3), dtype=torch.uint8)
    maps = draw_geometry(count, (32, 48), AugmentationConfig(), torch_generator(0))
    whole = normalise(apply_geometry(to_unit(frames), maps, (32, 48)))
    torch.testing.assert_close(augment(frames, maps, (32, 48)), whole)


def test_draws_repeat_for_a_key_and_differ_between_keys() -> None:
    config = AugmentationConfig()
    a, b, c = (draw_geometry(8, (32, 32), config, torch_generator(0, 'step', step, 0))
               for step in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_normalisation_is_undone_for_pictures() -> None:
    frames = torch.randint(0, 256, (2, 5, 6, 3), dtype=torch.uint8)
    unit = to_unit(frames)
    assert unit.shape == (2, 3, 5, 6)
    assert float(unit[1, 2, 3, 4]) == pytest.approx(int(frames[1, 3, 4, 2]) / 255)
    torch.testing.assert_close(denormalise(normalise(unit)), unit, rtol=0, atol=1e-6)


def test_frames_are_read_a_little_larger_only_if_they_may_be_cropped() -> None:
    assert load_size((224, 112), AugmentationConfig()) == (258, 129)
    assert load_size((224, 112), AugmentationConfig(crop_pad_probability=0)) == (224, 112)
