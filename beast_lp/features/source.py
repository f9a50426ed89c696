"""What turns frames into features: one interface for networks and frame PCA."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from beast_lp.runs.keys import digest


class Encoded(NamedTuple):
    """Features of some frames."""

    cls: Float[np.ndarray, 'frames dim']
    # in raster order; None where they were not asked for
    patches: Float[Tensor, 'frames channels rows columns'] | None


class FeatureSource(ABC):
    """Turns frames into features.

    Attributes:
        name: as a person names it: a path, the name of a backbone.
        kind: `vit`, `pose model`, `backbone` or `frame PCA`; of a part of a ViT, with the words
            `without its last layers` behind.
        hash: of the weights.
        image_size: px, (height, width), of the frames that it takes.
        pixel_format: of the frames that it takes, `rgb24` or `gray`.
        dim: channels of a vector.
        grid: patches along (height, width), None if it has no patches.
        patch_dim: channels of a patch, None if it has no patches.
        precision: in which it computes, `fp32` or `bf16`.
    """

    name: str
    kind: str
    hash: str
    image_size: tuple[int, int]
    pixel_format: str = 'rgb24'
    dim: int
    grid: tuple[int, int] | None = None
    patch_dim: int | None = None
    precision: str = 'fp32'

    @abstractmethod
    def encode(self, frames: UInt8[np.ndarray, 'frames h w ...'], patches: bool) -> Encoded:
        """Compute the features of some frames.

        Args:
            frames: of `image_size`; RGB has a last axis of 3, grey has none.
            patches: compute them too.
        """


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Compute the hash of named tensors; their order does not matter."""
    content = digest(b'')
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        content.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        # bytes of any type, bf16 among them, which numpy lacks
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()
