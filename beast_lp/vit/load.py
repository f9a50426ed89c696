"""Copy an encoder into a model, ours or transformers': strict, counted, and logged."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from beast_lp.errors import BeastError
from beast_lp.vit.model import Encoder
from beast_lp.vit.patches import interpolate_positions
from beast_lp.vit.tensor_names import PATCHES, POSITIONS, decoder_to_own, disk_name, encoder_to_own
from beast_lp.vit.weights import EncoderWeights

if TYPE_CHECKING:
    from transformers import ViTModel

logger = logging.getLogger(f'lightning_pose.{__name__}')


def load_encoder(model: Encoder, encoder: EncoderWeights) -> None:
    """Copy an encoder into a model, and its decoder too if the model has one of the same shape.

    Position embeddings are interpolated where the image sizes differ, and the model takes over
    what the weights' norms add to variances.

    Args:
        model: an `Encoder`, or a `MaskedAutoencoder` that training starts from.
        encoder: complete weights.

    Raises:
        BeastError: if the architectures differ.
    """
    ours, theirs = model.architecture, encoder.architecture
    for name in ('hidden_size', 'num_layers', 'num_heads', 'mlp_size', 'patch_size'):
        if getattr(ours, name) != getattr(theirs, name):
            raise BeastError(
                f'the initial weights {encoder.source} have {name} {getattr(theirs, name)}, but '
                f'by beast.model {name} is {getattr(ours, name)}; choose the preset or the sizes '
                'that fit the weights, other weights, or beast.init=random'
            )
    state, loaded = model.state_dict(), encoder_to_own(encoder.state)
    if theirs.grid != ours.grid:
        loaded['positions'] = interpolate_positions(loaded['positions'], theirs.grid, ours.grid)
    _log_load(encoder, len(encoder.state))
    own_decoder = state.keys() - loaded.keys()
    if own_decoder:
        decoder = decoder_to_own(encoder.other)
        # fixed sines: where the image size differs, the model's own are the right ones
        if decoder and theirs.grid != ours.grid:
            decoder['decoder_positions'] = state['decoder_positions']
        fits = decoder.keys() == own_decoder and all(
            state[name].shape == value.shape for name, value in decoder.items()
        )
        logger.info(
            f'beast: the decoder starts from {encoder.source}'
            if fits
            else f'beast: {encoder.source} has no decoder of this shape, so it starts at random'
        )
        loaded |= decoder if fits else {}
    model.load_state_dict({**state, **loaded})
    model.set_layer_norm_eps(theirs.layer_norm_eps)


def enlarge_patches(encoder: EncoderWeights, patch_size: int) -> EncoderWeights:
    """Return an encoder for images that are larger by a whole factor, in larger patches.

    Each of its pixels weighs the mean of the pixels that it becomes, so that the new encoder makes
    of an image exactly what the old one makes of the image scaled down by averaging. What was
    learned on small images in small patches, which is cheap, so serves heads that are built for
    patches of 16 px.

    Args:
        encoder: complete weights.
        patch_size: px, a multiple of the encoder's own.
    """
    shape = encoder.architecture
    factor = patch_size // shape.patch_size
    kernel = encoder.state[PATCHES]
    larger = kernel.repeat_interleave(factor, 2).repeat_interleave(factor, 3) / factor**2
    height, width = shape.image_size
    return replace(
        encoder,
        architecture=replace(
            shape, patch_size=patch_size, image_size=(factor * height, factor * width)
        ),
        state={**encoder.state, PATCHES: larger},
    )


def load_into_vit(vit: 'ViTModel', encoder: EncoderWeights) -> int:
    """Copy an encoder into a transformers `ViTModel` without pooler; every tensor is used.

    Args:
        vit: the model, of any version of transformers.
        encoder: complete weights; position embeddings are interpolated to the model's grid.

    Returns:
        the number of tensors loaded, which is all that the model has.

    Raises:
        BeastError: if a tensor of the model is missing or has another shape.
    """
    own = vit.state_dict()
    state = dict(encoder.state)
    if state[POSITIONS].shape != own[POSITIONS].shape:
        # a ViTModel keeps its grid in its config
        size: Any = vit.config.image_size
        patch: Any = vit.config.patch_size
        height, width = (size, size) if isinstance(size, int) else size
        state[POSITIONS] = interpolate_positions(
            state[POSITIONS],
            encoder.architecture.grid,
            (height // patch, width // patch),
        )
    matched = {
        name: state[disk_name(name)]
        for name, value in own.items()
        if disk_name(name) in state and state[disk_name(name)].shape == value.shape
    }
    if len(matched) != len(own):
        first = next(name for name in own if name not in matched)
        raise BeastError(
            f'only {len(matched)} of {len(own)} tensors of {encoder.source} fit this ViT '
            f'({first} does not, for one); give a checkpoint of the same architecture'
        )
    vit.load_state_dict(matched, strict=True)
    _log_load(encoder, len(matched))
    return len(matched)


def _log_load(encoder: EncoderWeights, used: int) -> None:
    """Log how much of a checkpoint was used."""
    millions = sum(value.numel() for value in encoder.state.values()) / 1e6
    logger.info(
        f'beast: loaded {used} of {len(encoder.state)} encoder tensors '
        f'({millions:.1f} M parameters) from {encoder.source}'
    )
