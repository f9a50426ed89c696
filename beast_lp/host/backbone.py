"""The backbone that the host's pose models use."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn
from transformers import ViTConfig, ViTModel

from beast_lp.errors import BeastError
from beast_lp.host.names import STRIDE, is_random
from beast_lp.host.pose import NO_REGRESSION, NO_WEIGHTS
from beast_lp.host.random_weights import random_weights
from beast_lp.host.softargmax import warn_if_heatmaps_are_misread
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.load import enlarge_patches, load_into_vit
from beast_lp.vit.weights import read_encoder

# A pose checkpoint holds the backbone's weights; it names the architecture in place of the path
# that the weights came from, so that it opens wherever it is moved.
ARCHITECTURE_PREFIX = 'beast-architecture:'


class BeastBackbone(nn.Module):
    """Plain ViT that returns a feature map: feature (i, j) is patch (i, j) of the image."""

    def __init__(self, architecture: Architecture) -> None:
        """Build an untrained backbone.

        Args:
            architecture: sizes of the encoder; the patch size is the stride of the feature map.
        """
        super().__init__()
        self.architecture = architecture
        # the host's multiview model looks for a ViTModel under this name
        self.vision_encoder = ViTModel(
            ViTConfig(**architecture.transformers_config()),
            add_pooling_layer=False,
        )

    def forward(
        self,
        x: Float[Tensor, 'images 3 height width'],
    ) -> Float[Tensor, 'images dim rows columns']:
        """Encode ImageNet-normalised images of any size that is a multiple of the patch size."""
        rows, columns = (side // self.architecture.patch_size for side in x.shape[-2:])
        tokens = self.vision_encoder(x, interpolate_pos_encoding=True).last_hidden_state
        return tokens[:, 1:].transpose(1, 2).unflatten(2, (rows, columns))


def build(model_type: str, checkpoint: str | None) -> tuple[BeastBackbone, int]:
    """Build the backbone for one of the host's models.

    Args:
        model_type: the host's `heatmap` or `regression`.
        checkpoint: any checkpoint that `read_encoder` accepts, the architecture that a pose
            checkpoint names, or what `resolve_random` returned.

    Returns:
        the backbone and its number of feature channels.

    Raises:
        BeastError: if the host's model cannot work with it, or there are no weights.
    """
    if model_type == 'regression':
        raise BeastError(NO_REGRESSION)
    if not checkpoint:
        raise BeastError(NO_WEIGHTS)
    warn_if_heatmaps_are_misread()
    if str(checkpoint).startswith(ARCHITECTURE_PREFIX):
        architecture = Architecture.from_json(
            checkpoint.removeprefix(ARCHITECTURE_PREFIX), Path('model.backbone_checkpoint')
        )
        return BeastBackbone(architecture), architecture.hidden_size

    encoder = random_weights(checkpoint) if is_random(checkpoint) else read_encoder(checkpoint)
    if STRIDE % encoder.architecture.patch_size:
        raise BeastError(
            f'{encoder.source} has patches of {encoder.architecture.patch_size} px, but the pose '
            f'heads are built for {STRIDE}; pretrain with beast.model.patch_size={STRIDE}, or '
            'with a smaller size that divides it'
        )
    encoder = enlarge_patches(encoder, STRIDE)
    architecture = encoder.architecture
    backbone = BeastBackbone(architecture)
    load_into_vit(backbone.vision_encoder, encoder)
    return backbone, architecture.hidden_size
