"""ViT weights from any file that holds a complete encoder: strict, counted, one set of names."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from beast_lp.errors import BeastError
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
    is_own,
)

_MLP = 'encoder.layer.0.intermediate.dense.weight'


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
            model directory, a weight file (`.safetensors`, `.ckpt`, `.pt`, `.pth`, `.bin`; old or
            new weight names, any prefix; also a run's own `checkpoints/best.ckpt`), or a model hub
            name such as `facebook/vit-mae-base`.

    Returns:
        the complete encoder.

    Raises:
        BeastError: if there is nothing there, it is no ViT, tensors are missing, or the config
            beside them contradicts their number or shapes.

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
    path = locate(checkpoint)
    weights = weight_file(path) if path.is_dir() else path
    tensors, shape = read_tensors(weights)
    raw = _from_own_checkpoint(tensors)
    prefix = _encoder_prefix(raw, weights)
    state = {disk_name(k.removeprefix(prefix)): v for k, v in raw.items() if k.startswith(prefix)}
    config = path / 'config.json'
    described = config if config.is_file() else weights
    if described == config:
        architecture = Architecture.from_transformers_config(_read_json(config), config)
    elif shape:
        architecture = Architecture.from_json(shape)
    else:
        architecture = infer_architecture(state, weights)
    names = encoder_tensor_names(architecture.num_layers)
    encoder = {name: state[name] for name in names if name in state}
    _check_complete(encoder, names, architecture, weights)
    _check_shapes(state, architecture, weights, described)
    other = {disk_name(k): v for k, v in raw.items() if not k.startswith(prefix) or prefix == ''}
    return EncoderWeights(architecture, encoder, weights, other)


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

    The number of heads leaves no trace in the tensors: every standard ViT has heads of width 64.

    Args:
        state: tensors by their names on disk.
        source: their file, for messages.

    Raises:
        BeastError: if the tensors do not determine a square ViT with heads of width 64.
    """
    missing = [name for name in (PATCHES, POSITIONS) if name not in state]
    if missing:
        raise BeastError(f'{source} holds no complete ViT encoder: {missing[0]} is missing')
    hidden, _, patch, _ = state[PATCHES].shape
    layers = _count_layers(state)
    side = math.isqrt(state[POSITIONS].shape[1] - 1)
    mlp = state.get(_MLP)
    if mlp is None or hidden % 64 or side * side != state[POSITIONS].shape[1] - 1:
        raise BeastError(
            f'{source} does not say what ViT it holds (width {hidden}, {layers} layers); put it '
            "beside transformers' config.json and give the directory"
        )
    size = (side * patch, side * patch)
    return Architecture(hidden, layers, hidden // 64, mlp.shape[0], patch, size)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise BeastError(f'{path} is not valid JSON; is it a complete copy?') from error


def _encoder_prefix(state: Mapping[str, Tensor], source: Path) -> str:
    """Return the prefix of the encoder's names: `vit.`, `vit_mae.vit.`, none, ..."""
    for name in state:
        if name.endswith(CLS):
            return name.removesuffix(CLS)
    example = next(iter(state))
    raise BeastError(
        f'{source} holds no ViT encoder: none of its {len(state)} tensors is named '
        f'...{CLS} (the first is {example}); give a checkpoint of a ViT or ViT-MAE'
    )


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
    width, patch = architecture.hidden_size, architecture.patch_size
    for name, shape in {
        CLS: (1, 1, width),
        PATCHES: (width, 3, patch, patch),
        POSITIONS: (1, 1 + math.prod(architecture.grid), width),
        _MLP: (architecture.mlp_size, width),
    }.items():
        found = tuple(state[name].shape)
        if found != shape:
            raise BeastError(
                f'{name} of {source} has the shape {found}, but by {described} it must be '
                f'{shape}; the two do not belong together'
            )


def _count_layers(state: Mapping[str, Tensor]) -> int:
    return 1 + max(
        (int(m.group(1)) for name in state if (m := re.match(r'encoder\.layer\.(\d+)\.', name))),
        default=-1,
    )
