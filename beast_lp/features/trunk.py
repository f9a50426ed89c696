"""A ViT cut before its last layers: a source of what goes into them, and the layers themselves.

Who trains the last layers with a head needs their input for every frame. As features of a store,
they are computed once and not once per epoch.
"""

import copy

from jaxtyping import Float
from torch import Tensor, nn

from beast_lp.errors import BeastError
from beast_lp.features.networks import LeanViT, NetworkSource
from beast_lp.features.source import FeatureSource


class Tail(nn.Module):
    """The last layers of a ViT: hidden tokens to patch tokens."""

    def __init__(self, vit: LeanViT, layers: int) -> None:
        """Copy so many layers and the final norm."""
        super().__init__()
        model = vit.model
        self.blocks = copy.deepcopy(model.blocks[len(model.blocks) - layers :]).cpu()
        self.norm = copy.deepcopy(model.norm).cpu()

    def forward(
        self,
        tokens: Float[Tensor, 'frames tokens dim'],
    ) -> Float[Tensor, 'frames patches dim']:
        """Encode further, and leave CLS out at the end."""
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)[:, 1:]


class _Hidden(nn.Module):
    """The first layers of a ViT, all of whose tokens are a map of one row, CLS first."""

    def __init__(self, vit: LeanViT, leave_out: int) -> None:
        super().__init__()
        self.vit, self.leave_out = vit, leave_out

    def forward(
        self,
        images: Float[Tensor, 'images 3 height width'],
    ) -> tuple[Float[Tensor, 'images dim'], Float[Tensor, 'images dim 1 tokens']]:
        tokens = self.vit.model.encode(images, self.leave_out)
        return tokens[:, 0], tokens.transpose(1, 2).unsqueeze(2)


class Trunk(NetworkSource):
    """A ViT without its last layers; its patches are the tokens that go into them, CLS first."""

    def __init__(self, source: FeatureSource, unfreeze: int) -> None:
        """Cut a source.

        Args:
            source: the whole ViT.
            unfreeze: last layers to leave out, at least one.

        Raises:
            BeastError: if the source is no ViT, or has fewer layers.
        """
        vit = source.network if isinstance(source, NetworkSource) else None
        setting = f'beast.segmentation.fitting.unfreeze_layers={unfreeze}'
        if not isinstance(vit, LeanViT):
            raise BeastError(
                f'{setting} trains layers of a ViT, but {source.name} ({source.kind}) is none; '
                'set it to 0, or name a pretraining output as the source'
            )
        layers = len(vit.model.blocks)
        if unfreeze > layers:
            raise BeastError(f'{setting}, but {source.name} has {layers} layers; lower it')
        self._vit, self._layers = vit, unfreeze
        super().__init__(
            _Hidden(vit, unfreeze),
            source.name,
            f'{source.kind} without its last layers',
            source.image_size,
            f'{source.hash}-{unfreeze}',
            source.precision,
        )

    def tail(self) -> Tail:
        """Return the layers that were left out, with their pretrained weights."""
        return Tail(self._vit, self._layers)
