"""A ViT and its masked autoencoder (He et al. 2022), as lean as their weights allow.

transformers' module spends its time on masked patches that it throws away, on three projections
where one serves, and on shuffling tokens back. Here only the visible patches are embedded, the
decoder keeps the order CLS, visible, masked, and only masked patches are predicted. The weights
convert to transformers' and back without loss (`beast_lp.vit.tensor_names`).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from beast_lp.config import ModelConfig
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.attention import attend
from beast_lp.vit.patches import patchify, sincos_positions, take
from beast_lp.vit.recompute import linear_of, linear_of_norm


class Block(nn.Module):
    """Pre-norm transformer block (Dosovitskiy et al. 2021)."""

    def __init__(self, width: int, heads: int, mlp_size: int, layer_norm_eps: float) -> None:
        """Build a block.

        Args:
            width: channels of a token.
            heads: attention heads.
            mlp_size: channels of the hidden layer.
            layer_norm_eps: added to the variances.
        """
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.mlp_in = nn.Linear(width, mlp_size)
        self.mlp_out = nn.Linear(mlp_size, width)

    def forward(self, x: Float[Tensor, 'images tokens dim']) -> Float[Tensor, 'images tokens dim']:
        """Add to each token what it attends to, and then what the MLP makes of it."""
        qkv = linear_of_norm(self.attention_norm, self.qkv, x)
        query, key, value = qkv.unflatten(-1, (3, self.heads, -1)).unbind(2)
        x = x + self.out(attend(query, key, value).flatten(2))
        hidden = linear_of_norm(self.mlp_norm, self.mlp_in, x)
        return x + linear_of(functional.gelu, self.mlp_out, hidden)


class Encoder(nn.Module):
    """ViT encoder without pooler; uninitialised until weights are loaded (`load_encoder`)."""

    positions: Tensor

    def __init__(self, architecture: Architecture) -> None:
        """Build an encoder of any shape."""
        super().__init__()
        self.architecture = shape = architecture
        # true: activations within a block are computed again in the backward pass, not kept
        self.checkpointing = False
        self.embed = nn.Linear(3 * shape.patch_size**2, shape.hidden_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.hidden_size))
        self.register_buffer('positions', sincos_positions(shape.hidden_size, shape.grid))
        self.blocks = nn.ModuleList(
            Block(shape.hidden_size, shape.num_heads, shape.mlp_size, shape.layer_norm_eps)
            for _ in range(shape.num_layers)
        )
        self.norm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)

    def encode(
        self, images: Float[Tensor, 'images 3 height width']
    ) -> Float[Tensor, 'images tokens dim']:
        """Encode whole images.

        Args:
            images: ImageNet-normalised pixels of the architecture's size.

        Returns:
            CLS, then all patches in raster order.
        """
        patches = patchify(images, self.architecture.patch_size)
        return self.encode_patches(self.embed(patches) + self.positions[:, 1:])

    def encode_patches(
        self, patches: Float[Tensor, 'images patches dim']
    ) -> Float[Tensor, 'images tokens dim']:
        """Encode any patches, embedded and placed, after CLS."""
        cls = (self.cls_token + self.positions[:, :1]).expand(len(patches), -1, -1)
        return self.norm(self.run_blocks(self.blocks, torch.cat([cls, patches], dim=1)))

    def run_blocks(self, blocks: Iterable[nn.Module], x: Tensor) -> Tensor:
        """Apply blocks in turn, under `checkpointing` without keeping their activations."""
        for block in blocks:
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x

    def set_layer_norm_eps(self, eps: float) -> None:
        """Set what is added to variances to the value that loaded weights were trained with."""
        self.architecture = replace(self.architecture, layer_norm_eps=eps)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = eps


class Masked(NamedTuple):
    """Result of a masked forward pass; `pixels` is 3 * patch_size ** 2."""

    cls: Float[Tensor, 'images dim']
    # absent where the decoder is left out
    prediction: Float[Tensor, 'images masked pixels'] | None
    target: Float[Tensor, 'images masked pixels']
    # raster positions of the masked patches
    masked: Int[Tensor, 'images masked']


class MaskedAutoencoder(Encoder):
    """Encoder on the visible patches, decoder on all, prediction of the masked ones."""

    decoder_positions: Tensor

    def __init__(self, config: ModelConfig, decoder: bool = True) -> None:
        """Build a randomly initialised model.

        Args:
            config: sizes.
            decoder: false leaves the decoder out (the contrastive-only ablation).
        """
        super().__init__(Architecture.from_config(config))
        self.num_visible = config.num_visible
        self.has_decoder = decoder
        if decoder:
            width, eps = config.decoder_hidden_size, self.architecture.layer_norm_eps
            self.decoder_embed = nn.Linear(config.hidden_size, width)
            self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
            self.register_buffer(
                'decoder_positions', sincos_positions(width, self.architecture.grid)
            )
            self.decoder_blocks = nn.ModuleList(
                Block(width, config.decoder_num_heads, config.decoder_mlp_size, eps)
                for _ in range(config.decoder_num_layers)
            )
            self.decoder_norm = nn.LayerNorm(width, eps=eps)
            self.predict = nn.Linear(width, 3 * config.patch_size**2)
            nn.init.normal_(self.mask_token, std=0.02)
        nn.init.normal_(self.cls_token, std=0.02)
        self.apply(_initialise)

    def forward(
        self,
        images: Float[Tensor, 'images 3 height width'],
        noise: Float[Tensor, 'images patches'],
    ) -> Masked:
        """Encode random patches of each image, 1 - `mask_ratio` of all, and predict the rest.

        Args:
            images: ImageNet-normalised pixels of the configured size.
            noise: the patches with the smallest values stay visible; one draw per image.
        """
        patches = patchify(images, self.architecture.patch_size)
        order = noise.argsort(dim=1)
        visible, masked = order[:, : self.num_visible], order[:, self.num_visible :]

        tokens = self.embed(take(patches, visible)) + self.positions[0, 1 + visible]
        tokens = self.encode_patches(tokens)
        prediction = self._decode(tokens, visible, masked) if self.has_decoder else None
        return Masked(tokens[:, 0], prediction, take(patches, masked), masked)

    def _decode(
        self,
        tokens: Float[Tensor, 'images seen dim'],
        visible: Int[Tensor, 'images visible'],
        masked: Int[Tensor, 'images masked'],
    ) -> Float[Tensor, 'images masked pixels']:
        """Predict the pixels of the masked patches from CLS and the visible ones."""
        positions = self.decoder_positions[0]
        cls = positions[:1].expand(len(tokens), -1, -1)
        seen = self.decoder_embed(tokens) + torch.cat([cls, positions[1 + visible]], dim=1)
        hidden = self.mask_token + positions[1 + masked]
        x = self.run_blocks(self.decoder_blocks, torch.cat([seen, hidden], dim=1))
        return self.predict(self.decoder_norm(x[:, -masked.shape[1] :]))


def _initialise(module: nn.Module) -> None:
    """Initialise as the reference ViT-MAE does: Xavier for products, zero biases."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def random_encoder(architecture: Architecture, seed: int) -> Encoder:
    """Build an encoder with the initial weights of a pretraining run, without its decoder.

    Nothing is left of it in torch's own draws.

    Args:
        architecture: shape of the encoder.
        seed: seed of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(architecture)
        nn.init.normal_(encoder.cls_token, std=0.02)
        return encoder.apply(_initialise).eval()
