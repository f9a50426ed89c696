"""Augmentation: random geometry as one resampling, batched, on the device that trains.

Flip, crop-and-pad and rotation compose to one affine map per image, so an image is interpolated
once. Draws come from an explicit generator, so a resumed run repeats them. kornia was measured
instead: its flips and affine maps draw from global state, resample twice, and take more than five
times as long on a CPU.
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

# largest shift of a side of a crop, as a share of the image (authors: imgaug's CropAndPad, 0.15)
CROP_PAD = 0.15
# images that a CPU samples at once
_CPU_CHUNK = 4
# largest number of stored pixels per sampled pixel at which a bilinear sample still averages most
_DENSEST = 1.5


def load_size(image_size: tuple[int, int], config: AugmentationConfig) -> tuple[int, int]:
    """Return the size, (height, width) in px, at which frames are read unless as stored.

    A little above the image size, so that a typical crop is not enlarged.
    """
    factor = 1 + CROP_PAD * (config.crop_pad_probability > 0)
    return round(image_size[0] * factor), round(image_size[1] * factor)


def frame_size(
    stored: Collection[tuple[int, int]],
    image_size: tuple[int, int],
    config: AugmentationConfig,
) -> tuple[int, int]:
    """Return the size, (height, width) in px, at which frames are read for training.

    Frames that are all stored at one size, not much larger than the images, are read as stored:
    augmentation resamples them anyway, and scaling them first would blur them and take as long.
    Others are read at `load_size`.

    Args:
        stored: sizes, (height, width) in px, at which the frames are stored.
        image_size: (height, width) in px of the images.
        config: settings of the augmentation.
    """
    if len(stored) == 1:
        (size,) = stored
        widest = 1 + 2 * CROP_PAD * (config.crop_pad_probability > 0)
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
        images: number of maps.
        image_size: (height, width) in px, whose ratio rotations need.
        config: probabilities and ranges.
        generator: source of the draws.

    Returns:
        maps from output to input coordinates, both -1..1 over the image, as
        `torch.nn.functional.affine_grid` takes them.
    """
    flipped = torch.rand(images, generator=generator) < config.flip_horizontal
    angle = (2 * torch.rand(images, generator=generator) - 1) * math.radians(config.rotation)
    # inward shift of the (left, right) and (top, bottom) sides, as a share of the image
    sides = (2 * torch.rand(images, 2, 2, generator=generator) - 1) * CROP_PAD
    cropped = torch.rand(images, generator=generator) < config.crop_pad_probability
    sides = sides * cropped[:, None, None]

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
    linear = scale[:, :, None] * rotation
    linear[flipped, :, 0] *= -1
    return torch.cat([linear, shift[:, :, None]], dim=-1)


def augment(
    frames: UInt8[Tensor, 'images height width 3'],
    maps: Float[Tensor, 'images 2 3'],
    image_size: tuple[int, int],
) -> Float[Tensor, 'images 3 out_height out_width']:
    """Resample stored frames through the maps, and normalise them.

    Without rotations the sides of a crop are rounded to whole pixels of the frame. A CPU then
    resamples the crops as they are, in bytes, which takes a quarter of the time of sampling every
    pixel at its own place in floats; a GPU samples, in one call for the batch. The results agree
    to a grey level, except in the outermost row of pixels.

    Args:
        frames: RGB, full range.
        maps: maps as `draw_geometry` returns them.
        image_size: (height, width) in px of the result.
    """
    if _rotates(maps):
        return _sample(frames, maps, image_size)
    boxes, mirrored = source_boxes(maps, frames.shape[1], frames.shape[2])
    if frames.device.type == 'cpu':
        return _resize(frames, boxes, mirrored, image_size)
    return _sample(frames, box_maps(boxes, mirrored, *frames.shape[1:3]), image_size)


def _rotates(maps: Float[Tensor, 'images 2 3']) -> bool:
    return bool((maps[:, 0, 1] != 0).any() or (maps[:, 1, 0] != 0).any())


def source_boxes(
    maps: Float[Tensor, 'images 2 3'], height: int, width: int
) -> tuple[Int[Tensor, 'images 2 2'], Bool[Tensor, ' images']]:
    """Return the part of the frame that a map without rotation shows.

    Args:
        maps: maps as `draw_geometry` returns them, without rotation.
        height: height of the frame in px.
        width: width of the frame in px.

    Returns:
        the edges (left, right) and (top, bottom) in whole px, at least 1 apart, which may lie
        outside the frame, and whether left and right are mirrored.
    """
    scale = torch.diagonal(maps[:, :, :2], dim1=1, dim2=2)
    middle, reach = maps[:, :, 2], scale.abs()
    edges = torch.stack([middle - reach, middle + reach], dim=-1)
    size = torch.tensor([[width], [height]])
    low, high = ((edges + 1) / 2 * size).round().long().unbind(-1)
    return torch.stack([low, torch.maximum(high, low + 1)], dim=-1), scale[:, 0] < 0


def box_maps(
    boxes: Int[Tensor, 'images 2 2'], mirrored: Bool[Tensor, ' images'], height: int, width: int
) -> Float[Tensor, 'images 2 3']:
    """Return the maps that show the boxes; the inverse of `source_boxes`."""
    low, high = (2 * boxes / torch.tensor([[width], [height]]) - 1).unbind(-1)
    scale = (high - low) / 2
    scale[mirrored, 0] *= -1
    return torch.cat([torch.diag_embed(scale), ((low + high) / 2)[:, :, None]], dim=-1)


def _resize(
    frames: UInt8[Tensor, 'images height width 3'],
    boxes: Int[Tensor, 'images 2 2'],
    mirrored: Bool[Tensor, ' images'],
    image_size: tuple[int, int],
) -> Float[Tensor, 'images 3 out_height out_width']:
    height, width = frames.shape[1:3]
    # numpy asks the system for large pages: touching a new batch page by page takes twice as long
    # as all that follows
    images = torch.from_numpy(np.empty((len(frames), 3, *image_size), np.float32))
    mean, factor = (torch.tensor(values).view(3, 1, 1) for values in BYTES_TO_INPUT)
    for image, frame, box, flip in zip(
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
        # the image is still in the cache
        image.copy_(resized.flip(-1) if flip else resized).sub_(mean).mul_(factor)
    return images


def _sample(
    frames: UInt8[Tensor, 'images height width 3'],
    maps: Float[Tensor, 'images 2 3'],
    image_size: tuple[int, int],
) -> Float[Tensor, 'images 3 out_height out_width']:
    # a CPU is more than twice as fast where the floats of a chunk fit in its cache
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
    """Resample images through affine maps; the outside of an image is black."""
    grid = functional.affine_grid(maps, [len(images), 3, *image_size], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode='zeros', align_corners=False)
