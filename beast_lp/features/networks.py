"""Networks as sources of features: the lean ViT, and modules that return a vector and a map."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from beast_lp.errors import BeastError
from beast_lp.features.source import Encoded, FeatureSource, hash_tensors
from beast_lp.vit.load import load_encoder
from beast_lp.vit.model import Encoder
from beast_lp.vit.pixels import network_input
from beast_lp.vit.precision import choose_precision
from beast_lp.vit.weights import EncoderWeights


class LeanViT(nn.Module):
    """The encoder of pretraining, for whole images of any size."""

    def __init__(self, encoder: EncoderWeights, image_size: tuple[int, int] | None = None) -> None:
        """Build the network with given weights.

        Args:
            encoder: complete weights.
            image_size: size in px, (height, width), to which the position embeddings are
                interpolated; None for the size at which the weights were trained.

        Raises:
            BeastError: if the size is no multiple of the patch size.
        """
        super().__init__()
        shape = encoder.architecture
        size = image_size or shape.image_size
        if any(side % shape.patch_size or side <= 0 for side in size):
            raise BeastError(
                f'the image size {size[0]} x {size[1]} is no multiple of the {shape.patch_size} '
                f'px patches of {encoder.source}; give --image_size in multiples of '
                f'{shape.patch_size}'
            )
        self.model = Encoder(replace(shape, image_size=size))
        load_encoder(self.model, encoder)
        self.grid = size[0] // shape.patch_size, size[1] // shape.patch_size

    def forward(
        self,
        images: Float[Tensor, 'images 3 height width'],
    ) -> tuple[Float[Tensor, 'images dim'], Float[Tensor, 'images dim rows columns']]:
        """Return the CLS tokens and the patch tokens as a map."""
        tokens = self.model.encode(images)
        return tokens[:, 0], tokens[:, 1:].transpose(1, 2).unflatten(2, self.grid)


class NetworkSource(FeatureSource):
    """A network that returns a vector and a feature map per image.

    Attributes:
        network: on the device of this machine.
    """

    def __init__(
        self,
        network: nn.Module,
        name: str,
        kind: str,
        image_size: tuple[int, int],
        weights_hash: str | None = None,
        precision: str = 'auto',
    ) -> None:
        """Move the network to the device of this machine, and measure its shapes on a blank image.

        Args:
            network: module that takes ImageNet-normalised images and returns (images, dim) vectors
                and (images, channels, rows, columns) maps.
            name: name that the user gives.
            kind: `vit`, `pose model` or `backbone`.
            image_size: size in px, (height, width).
            weights_hash: hash of the weights; None to compute it from the network's tensors.
            precision: `auto` (bf16 where the hardware computes in it), `fp32` or `bf16`.

        Raises:
            BeastError: if the network cannot take images of that size.
        """
        self.name, self.kind, self.image_size = name, kind, image_size
        self.hash = weights_hash or hash_tensors(network.state_dict())
        self._bf16 = choose_precision(precision) == 'bf16-mixed'
        self.precision = 'bf16' if self._bf16 else 'fp32'
        self._device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        self.network = network.to(self._device).eval()
        try:
            cls, maps = self._forward(np.zeros((1, *image_size, 3), np.uint8))
        except (RuntimeError, ValueError) as error:
            raise BeastError(
                f'{name} cannot take images of {image_size[0]} x {image_size[1]} px '
                f'({str(error).splitlines()[0]}); give another --image_size HEIGHT WIDTH (most '
                'backbones want square ones in multiples of 32)'
            ) from error
        self.dim, self.patch_dim = cls.shape[1], maps.shape[1]
        self.grid = maps.shape[2], maps.shape[3]

    def encode(self, frames: UInt8[np.ndarray, 'frames h w 3'], patches: bool) -> Encoded:
        """Compute the features of some frames."""
        cls, maps = self._forward(frames)
        return Encoded(cls.float().cpu().numpy(), maps.float() if patches else None)

    @torch.inference_mode()
    def _forward(self, frames: UInt8[np.ndarray, 'frames h w 3']) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(frames).to(self._device, non_blocking=True)
        images = network_input(pixels)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            return self.network(images)


def vit_source(
    encoder: EncoderWeights,
    name: str | Path,
    kind: str = 'vit',
    image_size: tuple[int, int] | None = None,
    precision: str = 'auto',
) -> NetworkSource:
    """Build a source from the weights of a ViT.

    Args:
        encoder: complete weights.
        name: name that the user gives.
        kind: `vit`, `pose model` or `backbone`.
        image_size: size in px, (height, width); None for the size at which the weights were
            trained.
        precision: `auto`, `fp32` or `bf16`.

    Raises:
        BeastError: if the size is no multiple of the patch size.
    """
    network = LeanViT(encoder, image_size)
    return NetworkSource(
        network,
        str(name),
        kind,
        image_size or encoder.architecture.image_size,
        hash_tensors(encoder.state),
        precision,
    )
