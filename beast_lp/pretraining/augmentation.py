"""Augmentation: random geometry as one resampling, batched, on the device that trains.

Flips, crop-and-pad and rotation compose to one affine map per image, so an image is interpolated
once. Draws come from an explicit
generator, so they repeat after a resume. kornia was measured for it: its flips and affine map draw
from global state, resample twice, and take more than five times as long on a CPU.
"""

import math
from collections.abc import Collection

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor
from torch.nn import functional

from beast_lp.config import AugmentationConfig
from beast_lp.vit.pixels import BYTES_TO_INPUT, normalise, to_unit

# images that are sampled at once
_CPU_CHUNK = 4
# pixels may be this many times as dense as what is sampled: a bilinear sample still averages most
_DENSEST = 1.5


def load_size(image_size: tuple[int, int], config: AugmentationConfig) -> tuple[int, int]:
    """Return the size, (height, width) in px, to read frames at that are not read as stored.

    A little above the image size, so that a typical crop still has a pixel for each of its own.
    """
    factor = 1.0
    if config.crop_pad_probability > 0:
        factor = 1 + config.crop_pad_fraction
    return round(image_size[0] * factor), round(image_size[1] * factor)


def frame_size(
    stored: Collection[tuple[int, int]],
    image_size: tuple[int, int],
    config: AugmentationConfig,
) -> tuple[int, int]:
    """Return the size, (height, width) in px, to read frames at for training.

    Where all are stored at one size, that is not much larger than the images, they are read as
    they are: scaling before augmentation, which resamples them anyway, would blur them and take
    as long as augmentation itself. Else it is `load_size`.

    Args:
        stored: the sizes, (height, width) in px, at which the frames are stored.
        image_size: (height, width) in px of the images.
        config: how far crops and padding go.
    """
    if len(stored) == 1:
        (size,) = stored
        widest = 1.0
        if config.crop_pad_probability > 0:
            widest += 2 * config.crop_pad_fraction
        if all(
            widest * side <= _DENSEST * image for side, image in zip(size, image_size, strict=True)
        ):
            return size
    return load_size(image_size, config)


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
    rotation = torch.stack(
        [
            torch.stack([cos, -sin * ratio], dim=-1),
            torch.stack([sin / ratio, cos], dim=-1),
        ],
        dim=-2,
    )
    linear = scale[:, :, None] * rotation * sign[:, None, :]
    return torch.cat([linear, shift[:, :, None]], dim=-1)


def augment(
    frames: UInt8[Tensor, 'images height width 3'],
    maps: Float[Tensor, 'images 2 3'],
    image_size: tuple[int, int],
) -> Float[Tensor, 'images 3 out_height out_width']:
    """Turn stored frames into what the model sees: resampled through the maps and normalised.

    Without rotations the sides of a crop are rounded to whole pixels of the frame. A CPU then
    resamples the crops as they are, in bytes, which takes a quarter of the time of sampling every
    pixel at its own place in floats; a GPU samples, in one call for the batch. Both give the same
    picture, but for a grey level and for what lies next to the outermost row of pixels.

    Args:
        frames: RGB, full range.
        maps: of `draw_geometry`.
        image_size: (height, width) in px of the result.
    """
    if _turns(maps):
        return _sample(frames, maps, image_size)
    boxes, mirrored = source_boxes(maps, frames.shape[1], frames.shape[2])
    if frames.device.type == 'cpu':
        return _resize(frames, boxes, mirrored, image_size)
    return _sample(frames, box_maps(boxes, mirrored, *frames.shape[1:3]), image_size)


def _turns(maps: Float[Tensor, 'images 2 3']) -> bool:
    return bool((maps[:, 0, 1] != 0).any() or (maps[:, 1, 0] != 0).any())


def source_boxes(
    maps: Float[Tensor, 'images 2 3'], height: int, width: int
) -> tuple[Int[Tensor, 'images 2 2'], Bool[Tensor, 'images 2']]:
    """Return what part of the frame a map without rotation shows.

    Args:
        maps: of `draw_geometry`, without rotation.
        height: of the frame, px.
        width: of the frame, px.

    Returns:
        the edges (left, right) and (top, bottom) in whole px, at least 1 apart, which may lie
        outside the frame, and whether x and y are mirrored.
    """
    scale = torch.diagonal(maps[:, :, :2], dim1=1, dim2=2)
    middle, reach = maps[:, :, 2], scale.abs()
    edges = torch.stack([middle - reach, middle + reach], dim=-1)
    size = torch.tensor([[width], [height]])
    low, high = ((edges + 1) / 2 * size).round().long().unbind(-1)
    return torch.stack([low, torch.maximum(high, low + 1)], dim=-1), scale < 0


def box_maps(
    boxes: Int[Tensor, 'images 2 2'], mirrored: Bool[Tensor, 'images 2'], height: int, width: int
) -> Float[Tensor, 'images 2 3']:
    """Return the maps that show the boxes; the inverse of `source_boxes`."""
    low, high = (2 * boxes / torch.tensor([[width], [height]]) - 1).unbind(-1)
    scale = (high - low) / 2 * (1 - 2 * mirrored.float())
    return torch.cat([torch.diag_embed(scale), ((low + high) / 2)[:, :, None]], dim=-1)


def _resize(
    frames: UInt8[Tensor, 'images height width 3'],
    boxes: Int[Tensor, 'images 2 2'],
    mirrored: Bool[Tensor, 'images 2'],
    image_size: tuple[int, int],
) -> Float[Tensor, 'images 3 out_height out_width']:
    height, width = frames.shape[1:3]
    # numpy asks the system for large pages: touching a new batch page by page takes twice as long
    # as all that follows
    images = torch.from_numpy(np.empty((len(frames), 3, *image_size), np.float32))
    mean, factor = (torch.tensor(values).view(3, 1, 1) for values in BYTES_TO_INPUT)
    for image, frame, box, flips in zip(
        images, frames.movedim(-1, 1), boxes.tolist(), mirrored.tolist(), strict=True
    ):
        (left, right), (top, bottom) = box
        inside = frame[
            None, :, max(0, top) : min(height, bottom), max(0, left) : min(width, right)
        ]
        outside = [max(0, -left), max(0, right - width), max(0, -top), max(0, bottom - height)]
        if any(outside):
            inside = functional.pad(inside, outside)
        resized = functional.interpolate(inside, image_size, mode='bilinear')[0]
        mirror = [-1 - axis for axis in (0, 1) if flips[axis]]
        # the image is still in the cache
        image.copy_(resized.flip(mirror) if mirror else resized).sub_(mean).mul_(factor)
    return images


def _sample(
    frames: UInt8[Tensor, 'images height width 3'],
    maps: Float[Tensor, 'images 2 3'],
    image_size: tuple[int, int],
) -> Float[Tensor, 'images 3 out_height out_width']:
    # a CPU is more than twice as fast where the floats of a chunk fit its cache
    chunk = _CPU_CHUNK if frames.device.type == 'cpu' else len(frames)
    return torch.cat(
        [
            normalise(apply_geometry(to_unit(some), geometry.to(some.device), image_size))
            for some, geometry in zip(frames.split(chunk), maps.split(chunk), strict=True)
        ]
    )


def apply_geometry(
    images: Float[Tensor, 'images 3 height width'],
    maps: Float[Tensor, 'images 2 3'],
    image_size: tuple[int, int],
) -> Float[Tensor, 'images 3 out_height out_width']:
    """Resample images through affine maps; outside an image is black."""
    grid = functional.affine_grid(maps, [len(images), 3, *image_size], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode='zeros', align_corners=False)
