"""ViT weights from any file that holds a complete encoder: strict, counted, one set of names."""

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from beast_lp.errors import BeastError
from beast_lp.runs.readable import check_readable
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.locate import locate, weight_file
from beast_lp.vit.safe_load import read_tensors
from beast_lp.vit.tensor_names import (
    CLS,
    PATCHES,
    POSITIONS,
    State,
    decoder_from_own,
    disk_name,
    encoder_from_own,
    encoder_tensor_names,
    from_timm,
    is_own,
    is_timm,
)

logger = logging.getLogger(f'lightning_pose.{__name__}')

_MLP = 'encoder.layer.0.intermediate.dense.weight'
# Every standard ViT has heads of width 64, but for the largest (Zhai et al. 2022, table 2):
# width -> heads
_HEADS = {1280: 16, 1408: 16, 1664: 16}
# added to variances by timm, facebookresearch/mae and DINO; transformers' default is 1e-12
_TIMM_EPS = 1e-6
# tensors beside the blocks without which a ViT computes something else
_NOT_PLAIN = re.compile(
    r'(embeddings\.)?(reg_token|register_tokens|storage_tokens|dist_token|distillation_token|'
    r'norm_pre|rel_pos_bias|rope)'
)


@dataclass(frozen=True)
class EncoderWeights:
    """An encoder's weights under their names on disk, and their origin."""

    architecture: Architecture
    state: State
    source: Path
    # the rest of the file, names normalised: the decoder of a ViT-MAE, if it has one
    other: State


def read_encoder(checkpoint: str | Path) -> EncoderWeights:
    """Read a ViT encoder from any place that `model.backbone_checkpoint` accepts.

    Args:
        checkpoint: the output directory of `litpose pretrain`, its `backbone/`, a transformers
            model directory, a weight file (`.safetensors`, `.ckpt`, `.pt`, `.pth`, `.bin`; with
            the names of transformers, old or new, or those of timm, facebookresearch/mae, DINO and
            lightly-train, after any prefix; also a run's own `checkpoints/best.ckpt`), or a model
            hub name such as `facebook/vit-mae-base`.

    Returns:
        the complete encoder.

    Raises:
        BeastError: if there is nothing there, it is no plain ViT, tensors are missing, not finite
            or need code to be run, or the config beside them contradicts their number or shapes.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from beast_lp.vit.model import Encoder
        >>> from beast_lp.vit.save import encoder_to_transformers, save_backbone
        >>> shape = Architecture(64, 2, 1, 256, patch_size=16, image_size=(32, 48))
        >>> with TemporaryDirectory() as folder:
        ...     backbone = Path(folder, 'backbone')
        ...     save_backbone(backbone, shape, encoder_to_transformers(Encoder(shape)))
        ...     encoder = read_encoder(backbone)
        >>> encoder.architecture.grid
        (2, 3)
        >>> len(encoder.state)
        38
    """
    weights, config = encoder_files(checkpoint)
    tensors, shape = read_tensors(weights)
    raw = _from_own_checkpoint(tensors)
    prefix = _encoder_prefix(raw, weights)
    within = {k.removeprefix(prefix): v for k, v in raw.items() if k.startswith(prefix)}
    state = _on_disk(within)
    described = config or weights
    if config is not None:
        architecture = Architecture.from_transformers_config(_read_json(config), config)
    elif shape:
        architecture = Architecture.from_json(shape, weights)
    else:
        architecture = infer_architecture(state, weights)
        if is_timm(within):
            architecture = replace(architecture, layer_norm_eps=_TIMM_EPS)
        logger.info(
            f'beast: {weights} does not say how many attention heads it has, so '
            f'{architecture.num_heads} are taken, as is usual at width {architecture.hidden_size}'
        )
    names = encoder_tensor_names(architecture.num_layers)
    encoder = {name: state[name] for name in names if name in state}
    _check_complete(encoder, names, architecture, weights)
    _check_shapes(state, architecture, weights, described)
    _check_plain(state, names, weights)
    # in a model of transformers the decoder is beside the encoder, under the same prefix
    beside = prefix.removesuffix('vit.')
    other = {
        disk_name(k.removeprefix(beside)): v for k, v in raw.items() if not k.startswith(prefix)
    }
    other |= {name: value for name, value in state.items() if name not in encoder}
    return EncoderWeights(architecture, encoder, weights, other)


def encoder_files(checkpoint: str | Path) -> tuple[Path, Path | None]:
    """Return the files that `read_encoder` reads: the weights, and the config beside them, if any.

    Args:
        checkpoint: as `read_encoder` takes it.

    Raises:
        BeastError: if there is nothing there.
    """
    path = locate(checkpoint)
    if not path.is_dir():
        return path, None
    config = path / 'config.json'
    return weight_file(path), config if config.is_file() else None


def _on_disk(state: State) -> State:
    """Return a ViT, of whatever program, under its names on disk."""
    if is_timm(state):
        return from_timm(state)
    return {disk_name(name): value for name, value in state.items()}


def _from_own_checkpoint(raw: State) -> State:
    """Give the tensors of a pretraining run's `last.ckpt` or `best.ckpt` the names on disk."""
    if not is_own(raw, 'model.'):
        return raw
    own = {
        name.removeprefix('model.'): value
        for name, value in raw.items()
        if name.startswith('model.')
    }
    return {**encoder_from_own(own), **decoder_from_own(own)}


def infer_architecture(state: Mapping[str, Tensor], source: Path) -> Architecture:
    """Infer an encoder's shape from its tensors, for weight files without a `config.json`.

    The number of heads leaves no trace in the tensors; it is the usual one at their width.

    Args:
        state: tensors by their names on disk.
        source: their file, for messages.

    Raises:
        BeastError: if the tensors do not determine a square ViT of a usual width.
    """
    missing = [name for name in (PATCHES, POSITIONS) if name not in state]
    if missing:
        raise BeastError(f'{source} holds no complete ViT encoder: {missing[0]} is missing')
    layers, mlp = _count_layers(state), state.get(_MLP)
    hidden, patch = state[PATCHES].shape[0], state[PATCHES].shape[-1]
    places = state[POSITIONS].shape[1] - 1
    side = math.isqrt(max(places, 0))
    heads = _HEADS.get(hidden, hidden // 64)
    if mlp is None or (hidden % 64 and hidden not in _HEADS) or side * side != places:
        raise BeastError(
            f'{source} does not say what ViT it holds (width {hidden}, {layers} layers); put it '
            "beside transformers' config.json and give the directory"
        )
    size = (side * patch, side * patch)
    return Architecture(hidden, layers, heads, mlp.shape[0], patch, size)


def _read_json(path: Path) -> Any:
    check_readable(path)
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise BeastError(f'{path} is not valid JSON; is it a complete copy?') from error


def _encoder_prefix(state: Mapping[str, Tensor], source: Path) -> str:
    """Return the prefix of the encoder's names: `vit.`, `vit_mae.vit.`, `module.backbone.`, ..."""
    prefixes = [name.removesuffix(CLS) for name in state if name.endswith(CLS)] or [
        prefix
        for prefix in (name.removesuffix('cls_token') for name in state if 'cls_token' in name)
        if f'{prefix}pos_embed' in state
    ]
    if not prefixes:
        example = next(iter(state))
        raise BeastError(
            f'{source} holds no ViT encoder: none of its {len(state)} tensors is named '
            f'...{CLS} or ...cls_token (the first is {example}); give a checkpoint of a ViT or '
            'ViT-MAE'
        )
    # of a student and its teacher the latter, which the authors of DINO evaluate
    chosen = next((prefix for prefix in prefixes if 'teacher' in prefix), prefixes[0])
    if len(prefixes) > 1:
        logger.info(
            f'beast: {source} holds {len(prefixes)} encoders ({", ".join(prefixes)}), of which '
            f'{chosen} is read'
        )
    return chosen


def _check_complete(
    state: Mapping[str, Tensor],
    names: list[str],
    architecture: Architecture,
    source: Path,
) -> None:
    missing = [name for name in names if name not in state]
    if missing:
        raise BeastError(
            f'{source} has only {len(names) - len(missing)} of the {len(names)} tensors of a '
            f'{architecture.num_layers}-layer ViT ({missing[0]} is missing, for one); it would '
            'train from mostly random weights, so give a complete checkpoint'
        )


def _check_plain(state: Mapping[str, Tensor], names: list[str], source: Path) -> None:
    """Refuse encoders that compute something besides what their complete tensors say."""
    odd = [
        name
        for name in state
        if name not in names and (_NOT_PLAIN.match(name) or name.startswith('encoder.layer.'))
    ]
    if odd:
        raise BeastError(
            f'{source} holds {odd[0]}, which a plain ViT lacks, so that beast would compute '
            'something else than its authors; give a ViT without layer scale, registers and the '
            'like'
        )


def _check_shapes(
    state: Mapping[str, Tensor],
    architecture: Architecture,
    source: Path,
    described: Path,
) -> None:
    """Check that complete weights have the architecture that a file ascribes to them.

    Args:
        state: all tensors of the encoder, also those of layers beyond the architecture's.
        architecture: shape of the encoder.
        source: file of the weights.
        described: file that describes the architecture.
    """
    layers = _count_layers(state)
    if layers != architecture.num_layers:
        raise BeastError(
            f'{source} has {layers} layers, but {described} says {architecture.num_layers}; the '
            'two do not belong together'
        )
    # the width and the size of patches first, by which other shapes differ too
    for name in (CLS, PATCHES, *encoder_tensor_names(layers)):
        found, shape = tuple(state[name].shape), _shape(name, architecture)
        if found != shape:
            raise BeastError(
                f'{name} of {source} has the shape {found}, but by {described} it must be '
                f'{shape}; the two do not belong together'
            )


def _shape(name: str, architecture: Architecture) -> tuple[int, ...]:
    """Return the shape that a tensor of an encoder must have."""
    width, patch = architecture.hidden_size, architecture.patch_size
    places = {
        CLS: (1, 1, width),
        PATCHES: (width, 3, patch, patch),
        POSITIONS: (1, 1 + math.prod(architecture.grid), width),
    }
    if name in places:
        return places[name]
    inner = architecture.mlp_size
    rows = inner if '.intermediate.' in name else width
    if not name.endswith('.dense.weight') and '.attention.attention.' not in name:
        return (rows,)
    if name.endswith('.bias'):
        return (rows,)
    columns = inner if re.search(r'\d\.output\.dense', name) else width
    return rows, columns


def _count_layers(state: Mapping[str, Tensor]) -> int:
    return 1 + max(
        (int(m.group(1)) for name in state if (m := re.match(r'encoder\.layer\.(\d+)\.', name))),
        default=-1,
    )
