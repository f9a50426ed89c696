"""ViT weights in and out, in transformers' file format: strict, counted, one set of names."""

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn

from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_folder
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

if TYPE_CHECKING:
    from transformers import ViTModel

logger = logging.getLogger(f'lightning_pose.{__name__}')

_MLP = 'encoder.layer.0.intermediate.dense.weight'
WEIGHT_SUFFIXES = ('.safetensors', '.ckpt', '.pt', '.pth', '.bin')


@dataclass(frozen=True)
class Architecture:
    """The shape of a ViT encoder."""

    hidden_size: int
    num_layers: int
    num_heads: int
    mlp_size: int
    patch_size: int
    # px, (height, width)
    image_size: tuple[int, int]
    layer_norm_eps: float = 1e-12

    @property
    def grid(self) -> tuple[int, int]:
        """Patches along (height, width)."""
        return self.image_size[0] // self.patch_size, self.image_size[1] // self.patch_size

    def to_json(self) -> str:
        """Write the architecture as one line of JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> 'Architecture':
        """Read what `to_json` wrote."""
        values = json.loads(text)
        height, width = values.pop('image_size')
        return Architecture(image_size=(height, width), **values)

    def transformers_config(self) -> dict[str, Any]:
        """Return the content of transformers' `config.json` for a `ViTModel`."""
        return {
            'architectures': ['ViTModel'],
            'model_type': 'vit',
            'hidden_size': self.hidden_size,
            'num_hidden_layers': self.num_layers,
            'num_attention_heads': self.num_heads,
            'intermediate_size': self.mlp_size,
            'patch_size': self.patch_size,
            # transformers reads a pair as (height, width)
            'image_size': list(self.image_size),
            'layer_norm_eps': self.layer_norm_eps,
            'hidden_act': 'gelu',
            'hidden_dropout_prob': 0.0,
            'attention_probs_dropout_prob': 0.0,
            'num_channels': 3,
            'qkv_bias': True,
        }

    @staticmethod
    def from_transformers_config(values: Mapping[str, Any], source: Path) -> 'Architecture':
        """Read the content of transformers' `config.json`.

        Raises:
            BeastError: if it describes something other than a ViT that this package can run.
        """
        if values.get('model_type') not in ('vit', 'vit_mae'):
            raise BeastError(
                f'{source} describes a model of type {values.get("model_type")!r}; '
                "beast reads 'vit' and 'vit_mae' models only"
            )
        if values.get('hidden_act', 'gelu') != 'gelu' or not values.get('qkv_bias', True):
            raise BeastError(
                f'{source} describes a ViT without GELU or without attention biases, '
                'which beast cannot run; use a standard ViT or ViT-MAE'
            )
        try:
            size = values.get('image_size', 224)
            height, width = (size, size) if isinstance(size, int) else size
            return Architecture(
                hidden_size=values['hidden_size'],
                num_layers=values['num_hidden_layers'],
                num_heads=values['num_attention_heads'],
                mlp_size=values['intermediate_size'],
                patch_size=values.get('patch_size', 16),
                image_size=(height, width),
                layer_norm_eps=values.get('layer_norm_eps', 1e-12),
            )
        except KeyError as error:
            raise BeastError(f'{source} lacks the key {error}; is it a complete copy?') from error


@dataclass(frozen=True)
class EncoderWeights:
    """An encoder's weights under their names on disk, with where they came from."""

    architecture: Architecture
    state: State
    source: Path
    # the rest of the file, names normalised: the decoder of a ViT-MAE, if it has one
    other: State


# ---------------------------------------------------------------------------------------------
# reading
# ---------------------------------------------------------------------------------------------


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
        BeastError: if there is nothing there, it is no ViT, tensors are missing, or they are not
            of the shapes and layers that the config beside them says.
    """
    path = locate(checkpoint)
    weights = _weight_file(path) if path.is_dir() else path
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


def locate(checkpoint: str | Path) -> Path:
    """Return the model directory or weight file that a checkpoint setting names.

    Raises:
        BeastError: if there is nothing there, or the pretraining run there is unfinished.
    """
    path = Path(checkpoint).expanduser()
    if path.is_file():
        if path.suffix not in WEIGHT_SUFFIXES:
            raise BeastError(
                f'{path} is no weight file; beast reads {", ".join(WEIGHT_SUFFIXES)} files, '
                'model directories and pretraining outputs'
            )
        return path
    if path.is_dir():
        if (path / 'backbone').is_dir():
            return path / 'backbone'
        if (path / 'checkpoints').is_dir() or (path / 'windows').is_dir():
            raise BeastError(
                f'{path} holds a pretraining run that has not finished (no backbone/ in it); '
                f'finish it with `litpose pretrain <config> --output_dir {path}`'
            )
        return path
    if re.fullmatch(r'[\w.-]+/[\w.-]+', str(checkpoint)):
        return fetch_from_hub(str(checkpoint))
    raise BeastError(
        f'there is no checkpoint at {path}; give a pretraining output directory, a model '
        'directory, a weight file or a model hub name'
    )


def fetch_from_hub(name: str) -> Path:
    """Return the local directory of a hub model, from the hub's cache or the hub itself.

    Raises:
        BeastError: if neither has it; the message says how to go on without a network.
    """
    import huggingface_hub

    patterns = ['config.json', 'model.safetensors', 'pytorch_model.bin']
    try:
        # the cache first: a complete copy there must work, and at once, without a network
        path = Path(
            huggingface_hub.snapshot_download(
                name,
                allow_patterns=patterns,
                local_files_only=True,
            )
        )
        _weight_file(path)
        return path
    except (OSError, ValueError, BeastError):
        pass
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # the hub's client raises many kinds, all of which mean "not here"
        raise BeastError(
            f'the weights {name!r} are neither a local path, nor in the local model cache, nor '
            f'could the model hub be reached ({type(error).__name__}); on a machine with a '
            f'network run `hf download {name} --local-dir {Path(name).name}` and copy that folder '
            'here (then give its path as beast.init or model.backbone_checkpoint), or set '
            'beast.init=random to pretrain from scratch'
        ) from error


def infer_architecture(state: Mapping[str, Tensor], source: Path) -> Architecture:
    """Work out an encoder's shape from its tensors, for weight files without a `config.json`.

    The number of heads leaves no trace in the tensors: every standard ViT has heads of width 64.

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


def _weight_file(directory: Path) -> Path:
    for name in ('model.safetensors', 'pytorch_model.bin'):
        if (directory / name).is_file():
            return directory / name
    raise BeastError(
        f'{directory} holds no model.safetensors or pytorch_model.bin; give a pretraining output '
        "directory or a directory in transformers' format"
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise BeastError(f'{path} is not valid JSON; is it a complete copy?') from error


def _encoder_prefix(state: Mapping[str, Tensor], source: Path) -> str:
    """Return what stands before the encoder's names: `vit.`, `vit_mae.vit.`, nothing, ..."""
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
    """Make sure that complete weights are of the architecture that is said to be theirs.

    Args:
        state: all tensors of the encoder, also of layers that the architecture has not.
        architecture: of the encoder.
        source: file of the weights.
        described: what names the architecture.
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


# ---------------------------------------------------------------------------------------------
# using and writing
# ---------------------------------------------------------------------------------------------


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
    log_load(encoder, len(matched))
    return len(matched)


def log_load(encoder: EncoderWeights, used: int) -> None:
    """Say how much of a checkpoint was used."""
    millions = sum(value.numel() for value in encoder.state.values()) / 1e6
    logger.info(
        f'beast: loaded {used} of {len(encoder.state)} encoder tensors '
        f'({millions:.1f} M parameters) from {encoder.source}'
    )


def interpolate_positions(
    positions: Float[Tensor, '1 tokens dim'],
    from_grid: tuple[int, int],
    to_grid: tuple[int, int],
) -> Float[Tensor, '1 new_tokens dim']:
    """Resample the position embeddings of the patches to another grid; CLS keeps its own.

    Bicubic without anti-aliasing, as transformers' `interpolate_pos_encoding` does.

    Args:
        positions: embeddings of CLS and of the patches in raster order.
        from_grid: their patches along (height, width).
        to_grid: wanted patches along (height, width).
    """
    cls, patches = positions[:, :1], positions[:, 1:]
    grid = patches.reshape(1, *from_grid, -1).permute(0, 3, 1, 2)
    grid = nn.functional.interpolate(
        grid.float(),
        size=to_grid,
        mode='bicubic',
        align_corners=False,
    )
    return torch.cat([cls, grid.permute(0, 2, 3, 1).flatten(1, 2).to(cls.dtype)], dim=1)


def save_backbone(
    directory: Path,
    architecture: Architecture,
    state: Mapping[str, Tensor],
) -> None:
    """Write an encoder as a directory that `transformers.ViTModel.from_pretrained` opens.

    The directory appears complete or not at all.

    Args:
        directory: final name; must not exist.
        architecture: shape of the encoder.
        state: all tensors of the encoder under their names on disk.
    """
    tensors = {name: value.detach().cpu().float().contiguous() for name, value in state.items()}
    with finished_folder(directory) as part:
        (part / 'config.json').write_text(
            json.dumps(architecture.transformers_config(), indent=2) + '\n',
            encoding='utf-8',
        )
        safetensors.torch.save_file(tensors, part / 'model.safetensors', {'format': 'pt'})
