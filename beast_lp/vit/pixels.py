"""Stored frames as network input, and network input as pictures."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

# statistics of the RGB channels in 0..1 that published ViT-MAE and ResNet weights expect
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# value subtracted from a byte, and factor applied to the difference, per channel
BYTES_TO_INPUT = (
    [255 * value for value in IMAGENET_MEAN],
    [1 / (255 * value) for value in IMAGENET_STD],
)


def to_unit(frames: UInt8[Tensor, '... height width 3']) -> Float[Tensor, '... 3 height width']:
    """Turn stored frames into channels-first pixels in 0..1."""
    return frames.movedim(-1, -3).float() / 255


def network_input(
    frames: UInt8[Tensor, '... height width 3'],
) -> Float[Tensor, '... 3 height width']:
    """Return stored frames as a network takes them, which is `normalise(to_unit(frames))`.

    Computed in whole rows: on a CPU, three channels next to each other do not vectorise.

    Args:
        frames: RGB, full range.

    Examples:
        >>> frames = torch.full((1, 2, 2, 3), 255, dtype=torch.uint8)
        >>> network_input(frames)[0, :, 0, 0]
        tensor([2.2489, 2.4286, 2.6400])
    """
    rows = frames.flatten(-2).float()
    mean, factor = (
        torch.tensor(values, device=frames.device).repeat(frames.shape[-2])
        for values in BYTES_TO_INPUT
    )
    return rows.sub_(mean).mul_(factor).unflatten(-1, (-1, 3)).movedim(-1, -3)


def normalise(images: Float[Tensor, '... 3 h w']) -> Float[Tensor, '... 3 h w']:
    """Subtract ImageNet's mean and divide by its standard deviation, per channel."""
    mean, std = (
        torch.tensor(v, device=images.device).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return (images - mean) / std


def denormalise(images: Float[Tensor, '... 3 h w']) -> Float[Tensor, '... 3 h w']:
    """Undo `normalise` and clip to 0..1, for pictures."""
    mean, std = (
        torch.tensor(v, device=images.device).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return (images * std + mean).clamp(0, 1)
