"""A lean ViT-MAE (He et al. 2022) whose weights convert to transformers' and back without loss.

transformers' module spends its time on masked patches that it throws away, on three projections
where one serves, and on shuffling tokens back. Here only the visible patches are embedded, the
decoder keeps the order CLS, visible, masked, and only masked patches are predicted. What its first
block projects of a mask token depends on the patch alone, so that is computed once per batch; its
last block computes what the prediction reads, the masked tokens.
"""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from beast_lp.config import ModelConfig
from beast_lp.errors import BeastError
from beast_lp.vit.attention import attend
from beast_lp.vit.recompute import linear_of, linear_of_norm
from beast_lp.vit.tensor_names import State, decoder_to_own, encoder_from_own, encoder_to_own
from beast_lp.vit.weights import Architecture, EncoderWeights, interpolate_positions, log_load

logger = logging.getLogger(f'lightning_pose.{__name__}')


class Masked(NamedTuple):
    """What one masked forward pass yields; `pixels` is 3 * patch_size ** 2."""

    cls: Float[Tensor, 'images dim']
    # absent where the decoder is left out
    prediction: Float[Tensor, 'images masked pixels'] | None
    target: Float[Tensor, 'images masked pixels']
    # raster positions of the masked patches
    masked: Int[Tensor, 'images masked']


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int, mlp_size: int, layer_norm_eps: float) -> None:
        """Build a block of the given width, heads and MLP size."""
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.mlp_in = nn.Linear(width, mlp_size)
        self.mlp_out = nn.Linear(mlp_size, width)

    def forward(
        self,
        x: Float[Tensor, 'images tokens dim'],
        last: int | None = None,
    ) -> Float[Tensor, 'images kept dim']:
        """Attend, then transform every token.

        Args:
            x: the tokens.
            last: return the last so many tokens alone; the others are attended to.
        """
        if last is None or last == x.shape[1]:
            return self.transform(x, *self._split(self._project(x)))
        normal, width = self.attention_norm(x), x.shape[-1]
        query = self._part(normal[:, -last:], slice(0, width))
        rest = self._part(normal, slice(width, None))
        return self.transform(x[:, -last:], *self._split(query), *self._split(rest))

    def first(
        self,
        seen: Float[Tensor, 'images seen dim'],
        shared: Float[Tensor, 'patches dim'],
        index: Int[Tensor, 'images hidden'],
    ) -> Float[Tensor, 'images tokens dim']:
        """Do as `forward` on tokens of which many are the same in all images.

        Args:
            seen: the images' own tokens.
            shared: tokens that images share.
            index: which of them each image has, after its own.
        """
        own, common = self._project(seen), self._project(shared)
        x = torch.cat([seen, functional.embedding(index, shared)], dim=1)
        qkv = torch.cat([own, functional.embedding(index, common)], dim=1)
        return self.transform(x, *self._split(qkv))

    def transform(self, x: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Add to each token what it attends to, and then what the MLP makes of it."""
        x = x + self.out(attend(query, key, value).flatten(2))
        hidden = linear_of_norm(self.mlp_norm, self.mlp_in, x)
        return x + linear_of(functional.gelu, self.mlp_out, hidden)

    def _project(self, x: Tensor) -> Tensor:
        return linear_of_norm(self.attention_norm, self.qkv, x)

    def _part(self, x: Tensor, rows: slice) -> Tensor:
        return functional.linear(x, self.qkv.weight[rows], self.qkv.bias[rows])

    def _split(self, x: Tensor) -> list[Tensor]:
        """Cut (images, tokens, n * dim) into n parts (images, tokens, heads, dim of a head)."""
        head = self.qkv.in_features // self.heads
        return list(x.view(*x.shape[:2], -1, self.heads, head).unbind(2))


class MaskedAutoencoder(nn.Module):
    """Encoder on the visible patches, decoder on all, prediction of the masked ones."""

    positions: Tensor
    decoder_positions: Tensor

    def __init__(self, config: ModelConfig, decoder: bool = True) -> None:
        """Build a randomly initialised model.

        Args:
            config: sizes.
            decoder: false leaves the decoder out (the contrastive-only ablation).
        """
        super().__init__()
        height, width = config.image_size
        self.architecture = Architecture(
            config.hidden_size,
            config.num_layers,
            config.num_heads,
            config.mlp_size,
            config.patch_size,
            (height, width),
        )
        self.num_visible = config.num_visible
        # true: activations within a block are computed again in the backward pass, not kept
        self.checkpointing = False
        pixels = 3 * config.patch_size**2
        eps = self.architecture.layer_norm_eps
        grid = self.architecture.grid

        self.embed = nn.Linear(pixels, config.hidden_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.register_buffer('positions', sincos_positions(config.hidden_size, grid))
        self.blocks = nn.ModuleList(
            Block(config.hidden_size, config.num_heads, config.mlp_size, eps)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.hidden_size, eps=eps)

        self.has_decoder = decoder
        if decoder:
            width = config.decoder_hidden_size
            self.decoder_embed = nn.Linear(config.hidden_size, width)
            self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
            self.register_buffer('decoder_positions', sincos_positions(width, grid))
            self.decoder_blocks = nn.ModuleList(
                Block(width, config.decoder_num_heads, config.decoder_mlp_size, eps)
                for _ in range(config.decoder_num_layers)
            )
            self.decoder_norm = nn.LayerNorm(width, eps=eps)
            self.predict = nn.Linear(width, pixels)
            nn.init.normal_(self.mask_token, std=0.02)
        nn.init.normal_(self.cls_token, std=0.02)
        self.apply(_initialise)

    def set_layer_norm_eps(self, eps: float) -> None:
        """Add to variances what given weights were trained with; new models have 1e-12."""
        self.architecture = replace(self.architecture, layer_norm_eps=eps)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = eps

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

        tokens = self.embed(_take(patches, visible)) + self.positions[0, 1 + visible]
        tokens = self._encode(tokens)
        prediction = self._decode(tokens, visible, masked) if self.has_decoder else None
        return Masked(tokens[:, 0], prediction, _take(patches, masked), masked)

    def encode(
        self,
        images: Float[Tensor, 'images 3 height width'],
        leave_out: int = 0,
    ) -> Float[Tensor, 'images tokens dim']:
        """Encode whole images: CLS, then all patches in raster order.

        Args:
            images: ImageNet-normalised pixels of the configured size.
            leave_out: last layers to leave out; with any of them the final norm is left out too.
        """
        tokens = self.embed(patchify(images, self.architecture.patch_size)) + self.positions[:, 1:]
        return self._encode(tokens, leave_out)

    def _run(self, function: Callable[..., Tensor], *inputs: Tensor | int) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(function, *inputs, use_reentrant=False)
        return function(*inputs)

    def _encode(self, tokens: Tensor, leave_out: int = 0) -> Tensor:
        cls = (self.cls_token + self.positions[:, :1]).expand(len(tokens), -1, -1)
        x = torch.cat([cls.to(tokens.dtype), tokens], dim=1)
        for block in self.blocks[: len(self.blocks) - leave_out]:
            x = self._run(block, x)
        return x if leave_out else self.norm(x)

    def _decode(self, tokens: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        positions = self.decoder_positions[0]
        cls = positions[:1].expand(len(tokens), -1, -1)
        seen = self.decoder_embed(tokens) + torch.cat([cls, positions[1 + visible]], dim=1)
        hidden = (self.mask_token[0] + positions[1:]).to(seen.dtype)
        first, *others = cast(Iterable[Block], self.decoder_blocks)
        x = self._run(first.first, seen, hidden, masked)
        for block in others[:-1]:
            x = self._run(block, x)
        count = masked.shape[1]
        x = self._run(others[-1], x, count) if others else x[:, -count:]
        return self.predict(self.decoder_norm(x))


# ---------------------------------------------------------------------------------------------
# parts
# ---------------------------------------------------------------------------------------------


def patchify(
    images: Float[Tensor, 'images 3 height width'],
    patch_size: int,
) -> Float[Tensor, 'images patches pixels']:
    """Cut images into patches in raster order; pixels run row, column, channel (as ViT-MAE)."""
    count, channels, height, width = images.shape
    p = patch_size
    x = images.view(count, channels, height // p, p, width // p, p)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(count, -1, p * p * channels)


def unpatchify(
    patches: Float[Tensor, 'images patches pixels'],
    grid: tuple[int, int],
) -> Float[Tensor, 'images 3 height width']:
    """Put patches back together; the inverse of `patchify`."""
    count, _, pixels = patches.shape
    p = math.isqrt(pixels // 3)
    x = patches.view(count, *grid, p, p, 3)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(count, 3, grid[0] * p, grid[1] * p)


def sincos_positions(width: int, grid: tuple[int, int]) -> Float[Tensor, '1 tokens dim']:
    """Fixed sine-cosine position embeddings, zero for CLS (He et al. 2022; Chen et al. 2021).

    The first half of the channels encodes the column and the second half the row, as in the
    published ViT-MAE weights.

    Args:
        width: channels, a multiple of 4.
        grid: patches along (height, width).
    """
    frequency = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    rows, columns = torch.meshgrid(
        torch.arange(grid[0], dtype=torch.float64),
        torch.arange(grid[1], dtype=torch.float64),
        indexing='ij',
    )
    angles = [axis.reshape(-1, 1) * frequency for axis in (columns, rows)]
    patches = torch.cat([part for a in angles for part in (a.sin(), a.cos())], dim=1)
    return torch.cat([torch.zeros(1, width), patches.float()])[None]


def _take(x: Float[Tensor, 'images all dim'], index: Int[Tensor, 'images some']) -> Tensor:
    first = torch.arange(len(x), device=x.device)[:, None] * x.shape[1]
    # whole rows: four times as fast as `gather`, which looks up every number
    return functional.embedding(first + index, x.flatten(0, 1))


def _initialise(module: nn.Module) -> None:
    """Initialise as the reference ViT-MAE does: Xavier for products, zero biases."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


# ---------------------------------------------------------------------------------------------
# transformers' weights
# ---------------------------------------------------------------------------------------------


def encoder_to_transformers(model: MaskedAutoencoder) -> State:
    """Return the encoder's tensors under transformers' names on disk."""
    return encoder_from_own({name: value.detach() for name, value in model.state_dict().items()})


def load_encoder(model: MaskedAutoencoder, encoder: EncoderWeights) -> None:
    """Start the encoder from given weights, and the decoder too where the file has one that fits.

    Position embeddings are interpolated where the image sizes differ, and the norms become those
    of the weights.

    Raises:
        BeastError: if the architectures differ.
    """
    ours, theirs = model.architecture, encoder.architecture
    for name in ('hidden_size', 'num_layers', 'num_heads', 'mlp_size', 'patch_size'):
        if getattr(ours, name) != getattr(theirs, name):
            raise BeastError(
                f'the initial weights {encoder.source} have {name} {getattr(theirs, name)}, but '
                f'beast.model.{name} is {getattr(ours, name)}; choose the preset that fits the '
                'weights, other weights, or beast.init=random'
            )
    state, loaded = model.state_dict(), encoder_to_own(encoder.state)
    if theirs.grid != ours.grid:
        loaded['positions'] = interpolate_positions(loaded['positions'], theirs.grid, ours.grid)
    log_load(encoder, len(encoder.state))
    if model.has_decoder:
        decoder = decoder_to_own(encoder.other)
        # fixed sines: where the image size differs, the model's own are the right ones
        if decoder and theirs.grid != ours.grid:
            decoder['decoder_positions'] = state['decoder_positions']
        own = {name for name in state if name not in loaded}
        fits = decoder.keys() == own and all(state[k].shape == v.shape for k, v in decoder.items())
        logger.info(
            f'beast: the decoder starts from {encoder.source}'
            if fits
            else f'beast: {encoder.source} has no decoder of this shape, so it starts at random'
        )
        loaded |= decoder if fits else {}
    model.load_state_dict({**state, **loaded})
    model.set_layer_norm_eps(theirs.layer_norm_eps)
