"""Random geometry against slow, explicit versions of each transformation."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from beast_lp.config import AugmentationConfig
from beast_lp.pretraining import augmentation
from beast_lp.pretraining.augmentation import (
    apply_geometry,
    augment,
    box_maps,
    draw_geometry,
    frame_size,
    load_size,
    source_boxes,
)
from beast_lp.runs.seeds import torch_generator
from beast_lp.vit.pixels import denormalise, normalise, to_unit

NONE = {'flip_horizontal': 0.0, 'crop_pad_probability': 0.0}


def _maps(count: int = 64, size: tuple[int, int] = (32, 48), **settings: Any) -> torch.Tensor:
    config = AugmentationConfig(**{**NONE, **settings})
    return draw_geometry(count, size, config, torch_generator(0))


def test_without_augmentation_images_stay_as_they_are() -> None:
    images = torch.rand(4, 3, 32, 48)
    torch.testing.assert_close(apply_geometry(images, _maps(4), (32, 48)), images)


def test_flips_mirror_exactly() -> None:
    images = torch.rand(4, 3, 32, 48)
    flipped = apply_geometry(images, _maps(4, (32, 48), flip_horizontal=1.0), (32, 48))
    torch.testing.assert_close(flipped, images.flip(-1))


def test_flips_happen_as_often_as_asked() -> None:
    maps = _maps(2000, flip_horizontal=0.5)
    assert float((maps[:, 0, 0] < 0).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert bool((maps[:, 1, 1] > 0).all())


def test_crop_and_pad_moves_the_sides_within_the_range() -> None:
    maps = _maps(2000, crop_pad_probability=0.4)
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
    angles = [
        math.degrees(math.atan2(float(m[1, 0]) / 2, float(m[0, 0])))
        for m in _maps(500, (32, 64), rotation=30.0)
    ]
    assert max(angles) <= 30.01
    assert max(angles) > 25
    assert min(angles) < -25


@pytest.mark.parametrize('rotation', [0.0, 90.0])
@pytest.mark.parametrize('count', [1, 4, 9])
def test_a_batch_is_its_images(count: int, rotation: float) -> None:
    frames = torch.randint(0, 256, (count, 36, 54, 3), dtype=torch.uint8)
    maps = _maps(count, flip_horizontal=0.5, crop_pad_probability=0.5, rotation=rotation)
    whole = augment(frames, maps, (32, 48))
    for at in range(count):
        alone = augment(frames[at : at + 1], maps[at : at + 1], (32, 48))
        torch.testing.assert_close(whole[at : at + 1], alone)


def test_a_rotated_image_is_sampled_through_its_map() -> None:
    frames = torch.randint(0, 256, (5, 36, 54, 3), dtype=torch.uint8)
    maps = _maps(5, rotation=180.0, crop_pad_probability=0.5)
    expected = normalise(apply_geometry(to_unit(frames), maps, (32, 48)))
    torch.testing.assert_close(augment(frames, maps, (32, 48)), expected)


def test_crops_are_cut_padded_scaled_and_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow way: one image after the other, with numpy and a loop over its pixels."""
    monkeypatch.setattr(augmentation, 'CROP_PAD', 0.3)
    draw = np.random.default_rng(0)
    frames = draw.integers(0, 256, (12, 20, 26, 3)).astype(np.uint8)
    maps = _maps(
        12,
        (16, 24),
        flip_horizontal=0.5,
        crop_pad_probability=0.8,
    )
    images = denormalise(augment(torch.from_numpy(frames), maps, (16, 24)))
    seen = set()
    for frame, image, turn in zip(frames, images, maps.numpy(), strict=True):
        (xx, _, x), (_, yy, y) = turn
        sides = [
            round((middle + sign * abs(scale) + 1) / 2 * size)
            for middle, scale, size in ((x, xx, 26), (y, yy, 20))
            for sign in (-1, 1)
        ]
        left, right, top, bottom = sides
        black = np.pad(frame, ((20, 20), (26, 26), (0, 0)))
        part = black[20 + top : 20 + bottom, 26 + left : 26 + right].astype(float)
        expected = _scaled_by_loop(part, 16, 24)
        expected = expected[:, :: -1 if xx < 0 else 1]
        np.testing.assert_allclose(image.permute(1, 2, 0) * 255, expected, atol=1.1)
        seen |= {(xx < 0, 'x'), (left < 0, 'left'), (right > 26, 'right'), (top < 0, 'top')}
    assert len(seen) == 8


def test_the_tightest_crop_of_the_smallest_frame_is_a_pixel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(augmentation, 'CROP_PAD', 0.45)
    maps = _maps(200, (16, 16), crop_pad_probability=1.0)
    for height, width in ((2, 300), (300, 2), (3, 3)):
        boxes = source_boxes(maps, height, width)[0]
        assert int((boxes[..., 1] - boxes[..., 0]).min()) >= 1
        frames = torch.full((200, height, width, 3), 255, dtype=torch.uint8)
        images = denormalise(augment(frames, maps, (16, 16)))
        # part of each frame is in its picture
        assert float(images.flatten(1).amax(1).min()) > 0.3


def _scaled_by_loop(part: np.ndarray, height: int, width: int) -> np.ndarray:
    """Interpolate between the centres of pixels; beyond the outermost ones, they go on."""
    result = np.empty((height, width, 3))
    for row in range(height):
        for column in range(width):
            y = np.clip((row + 0.5) * len(part) / height - 0.5, 0, len(part) - 1)
            x = np.clip((column + 0.5) * part.shape[1] / width - 0.5, 0, part.shape[1] - 1)
            top, left = int(y), int(x)
            down, right = min(top + 1, len(part) - 1), min(left + 1, part.shape[1] - 1)
            upper = part[top, left] * (1 - x + left) + part[top, right] * (x - left)
            lower = part[down, left] * (1 - x + left) + part[down, right] * (x - left)
            result[row, column] = upper * (1 - y + top) + lower * (y - top)
    return result


def test_a_gpu_samples_what_a_cpu_cuts_out() -> None:
    draw = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (40, 36, 54, 3), dtype=torch.uint8, generator=draw)
    maps = draw_geometry(40, (32, 48), AugmentationConfig(), torch_generator(0))
    boxes, mirrored = source_boxes(maps, 36, 54)
    sampled = normalise(
        apply_geometry(to_unit(frames), box_maps(boxes, mirrored, 36, 54), (32, 48))
    )
    difference = 255 * (denormalise(sampled) - denormalise(augment(frames, maps, (32, 48)))).abs()
    # the outermost pixels see black, or the frame, beyond the crop when they are sampled
    assert float(difference[:, :, 1:-1, 1:-1].max()) < 1.1
    moved = (maps - box_maps(boxes, mirrored, 36, 54)).abs().amax(dim=(0, 1))
    # half a pixel at either side, of frames that are 2 wide
    assert float(moved.max()) <= 1 / 36 + 1e-6


@pytest.mark.gpu
@pytest.mark.parametrize('rotation', [0.0, 90.0])
def test_a_gpu_augments_as_a_cpu(rotation: float) -> None:
    frames = torch.randint(0, 256, (16, 36, 54, 3), dtype=torch.uint8)
    maps = _maps(16, flip_horizontal=0.5, crop_pad_probability=0.5, rotation=rotation)
    on_gpu, on_cpu = (
        denormalise(augment(frames.to(device), maps, (32, 48)).cpu()) for device in ('cuda', 'cpu')
    )
    assert float((on_gpu - on_cpu)[:, :, 1:-1, 1:-1].abs().max()) < 1.1 / 255


def test_draws_repeat_for_a_key_and_differ_between_keys() -> None:
    config = AugmentationConfig()
    a, b, c = (
        draw_geometry(8, (32, 32), config, torch_generator(0, 'step', step, 0))
        for step in (1, 1, 2)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_frames_are_read_a_little_larger_only_if_they_may_be_cropped() -> None:
    assert load_size((224, 112), AugmentationConfig()) == (258, 129)
    assert load_size((224, 112), AugmentationConfig(crop_pad_probability=0)) == (224, 112)


@pytest.mark.parametrize(
    ('stored', 'settings', 'expected'),
    [
        ([(256, 248)], {}, (256, 248)),
        ([(96, 128)], {}, (96, 128)),
        # larger than a bilinear sample looks
        ([(256, 320)], {}, (258, 258)),
        ([(256, 320)], {'crop_pad_probability': 0.0}, (256, 320)),
        ([(256, 340)], {'crop_pad_probability': 0.0}, (224, 224)),
        # a batch holds one size
        ([(256, 248), (248, 256)], {}, (258, 258)),
    ],
)
def test_frames_are_read_as_stored_where_that_serves(
    stored: list[tuple[int, int]],
    settings: dict[str, float],
    expected: tuple[int, int],
) -> None:
    config = AugmentationConfig(**settings)  # type: ignore[arg-type]
    assert frame_size(stored, (224, 224), config) == expected
