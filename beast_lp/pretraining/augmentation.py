"""Augmentation: random geometry as one resampling, batched, on the device that trains.

Flips, crop-and-pad and rotation compose to one affine map per image, so an image is interpolated
once. Draws come from an explicit generator, so they repeat after a resume.
"""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor
from torch.nn import functional

from beast_lp.config import AugmentationConfig

# of the RGB channels in 0..1, as published ViT-MAE and ResNet weights expect
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# images that are augmented at once
_CPU_CHUNK = 4


def load_size(image_size: tuple[int, int], config: AugmentationConfig) -> tuple[int, int]:
    """Return the size, (height, width) in px, to read frames at for training.

    A little above the image size, so that a typical crop still has a pixel for each of its own.
    """
    factor = 1.0
    if config.crop_pad_probability > 0:
        factor = 1 + config.crop_pad_fraction
    return round(image_size[0] * factor), round(image_size[1] * factor)


def draw_geometry(
    images: int,
    image_size: tuple[int, int],
    config: AugmentationConfig,
    generator: Generator,
) -> Float[Tensor, 'images 2 3']:
    """Draw one random affine map per image.

    Args:
        images: how many maps.
        image_size: (height, width) in px; only its ratio matters, for rotations.
        config: probabilities and ranges.
        generator: source of the draws.

    Returns:
        maps from output to input coordinates, both -1..1 over the image, as
        `torch.nn.functional.affine_grid` takes them.
    """
    flips = torch.rand(images, 2, generator=generator) < torch.tensor(
        [config.flip_horizontal, config.flip_vertical]
    )
    angle = (2 * torch.rand(images, generator=generator) - 1) * math.radians(config.rotation)
    # how far the (left, right) and (top, bottom) sides move in, as a share of the image
    sides = (2 * torch.rand(images, 2, 2, generator=generator) - 1) * config.crop_pad_fraction
    cropped = torch.rand(images, generator=generator) < config.crop_pad_probability
    sides = sides * cropped[:, None, None]

    sign = 1 - 2 * flips.float()
    scale = 1 - sides.sum(dim=-1)
    shift = sides[..., 0] - sides[..., 1]
    # a rotation in pixels is not one in -1..1 coordinates unless the image is square
    ratio = image_size[0] / image_size[1]
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([
        torch.stack([cos, -sin * ratio], dim=-1), torch.stack([sin / ratio, cos], dim=-1),
    ], dim=-2)
    linear = scale[:, :, None] * rotation * sign[:, None, :]
    return torch.cat([linear, shift[:, :, None]], dim=-1)


def augment(
    frames: UInt8[Tensor, 'images height width 3'],
    maps: Float[Tensor, 'images 2 3'],
    image_size: tuple[int, int],
) -> Float[Tensor, 'images 3 out_height out_width']:
    """Turn stored frames into what the model sees: resampled through the maps and normalised."""
    # a CPU is more than twice as fast where the floats of a chunk fit its cache
    chunk = _CPU_CHUNK if frames.device.type == 'cpu' else len(frames)
    return torch.cat([
        normalise(apply_geometry(to_unit(some), geometry.to(some.device), image_size))
        for some, geometry in zip(frames.split(chunk), maps.split(chunk), strict=True)
    ])


def apply_geometry(
    images: Float[Tensor, 'images 3 height width'],
    maps: Float[Tensor, 'images 2 3'],
    image_size: tuple[int, int],
) -> Float[Tensor, 'images 3 out_height out_width']:
    """Resample images through affine maps; outside an image is black."""
    grid = functional.affine_grid(maps, [len(images), 3, *image_size], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode='zeros', align_corners=False)


def to_unit(frames: UInt8[Tensor, '... height width 3']) -> Float[Tensor, '... 3 height width']:
    """Turn stored frames into channels-first pixels in 0..1."""
    return frames.movedim(-1, -3).float() / 255


def normalise(images: Float[Tensor, '... 3 h w']) -> Float[Tensor, '... 3 h w']:
    """Subtract ImageNet's mean and divide by its standard deviation, per channel."""
    mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1)
                 for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (images - mean) / std


def denormalise(images: Float[Tensor, '... 3 h w']) -> Float[Tensor, '... 3 h w']:
    """Undo `normalise` and clip to 0..1, for pictures."""
    mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1)
                 for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (images * std + mean).clamp(0, 1)
