"""Sources of features that the user names on the command line, the host's models among them.

The host's models take seconds to import, so they are imported only for a source that needs them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from jaxtyping import Float
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn

from beast_lp.config import PRESETS, BeastConfig
from beast_lp.errors import BeastError
from beast_lp.features.motion import is_motion, motion_source, no_files
from beast_lp.features.networks import NetworkSource, vit_source
from beast_lp.features.pca import frame_pca_files, frame_pca_source, is_frame_pca
from beast_lp.features.source import FeatureSource, SourceKind
from beast_lp.host.compose import load_config, pose_image_size
from beast_lp.host.names import is_random
from beast_lp.host.pose_checkpoint import check_pose_checkpoint, pose_checkpoint
from beast_lp.host.random_weights import random_name, random_weights, shape_like
from beast_lp.runs.foreign import foreign_file, reason_of
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.tensor_names import disk_name
from beast_lp.vit.weights import EncoderWeights, encoder_files, read_encoder

_RESTORE = 'restore the file that `litpose train` wrote, or train the model again'
# px, (height, width) of the images on which the host's backbones were trained
BACKBONE_IMAGE_SIZE = (224, 224)


class PooledMap(nn.Module):
    """Convolutional backbone whose vector is the average of its feature map."""

    def __init__(self, backbone: nn.Module) -> None:
        """Wrap a module that returns a feature map."""
        super().__init__()
        self.backbone = backbone

    def forward(
        self,
        images: Float[Tensor, 'images 3 height width'],
    ) -> tuple[Float[Tensor, 'images dim'], Float[Tensor, 'images dim rows columns']]:
        """Return the averages and the maps."""
        maps = self.backbone(images)
        return maps.float().mean(dim=(2, 3)), maps


class TransformerTokens(nn.Module):
    """ViT of transformers with tokens beside CLS and patches, such as DINOv2 and DINOv3."""

    def __init__(self, encoder: nn.Module, patch_size: int, prefix: int) -> None:
        """Wrap a model whose tokens are CLS, `prefix - 1` registers and the patches."""
        super().__init__()
        self.encoder, self.patch_size, self.prefix = encoder, patch_size, prefix

    def forward(
        self,
        images: Float[Tensor, 'images 3 height width'],
    ) -> tuple[Float[Tensor, 'images dim'], Float[Tensor, 'images dim rows columns']]:
        """Return the CLS tokens and the patch tokens as a map."""
        grid = tuple(side // self.patch_size for side in images.shape[-2:])
        tokens = self.encoder(images).last_hidden_state
        return tokens[:, 0], tokens[:, self.prefix :].transpose(1, 2).unflatten(2, grid)


def open_source(
    name: str,
    image_size: tuple[int, int] | None = None,
    precision: str = 'auto',
) -> FeatureSource:
    """Open the source of features that the user names.

    Args:
        name: output directory of a pretraining or its `backbone/`, weight file, directory of a
            trained pose model, file of frame components, name of a backbone that the host can
            build, or name of a ViT on a model hub.
        image_size: size in px, (height, width); None for the source's own.
        precision: `auto`, `fp32` or `bf16`.

    Raises:
        BeastError: if there is no such source, or its weights are not available.
    """
    return _kind_of(name).open(name, image_size, precision)


def source_files(name: str) -> Sequence[Path]:
    """Return the files that `open_source` reads for a name, without opening any weights.

    Args:
        name: as `open_source` takes it.

    Raises:
        BeastError: if there is no such source.
    """
    return _kind_of(name).files(name)


def _kind_of(name: str) -> SourceKind:
    for kind in SOURCES.values():
        if kind.accepts(name):
            return kind
    raise BeastError(
        f'{name!r} is no source of features: there is no such path, and the host has no '
        f'backbone of that name; give a pretraining output, a backbone directory, a weight '
        f'file, a pose model, `pca`, or one of {", ".join(backbone_names())}'
    )


def backbone_names() -> list[str]:
    """Return the names of the host's own backbones."""
    from lightning_pose.models.backbones import factory

    return [
        str(name)
        for group in (
            factory.ALLOWED_CONVNET_BACKBONES,
            factory.ALLOWED_TRANSFORMER_BACKBONES,
        )
        for name in get_args(group)
    ]


def backbone_source(
    name: str,
    image_size: tuple[int, int] | None,
    precision: str,
) -> NetworkSource:
    """Build one of the host's backbones with its published weights.

    Raises:
        BeastError: if the weights are not cached and cannot be downloaded.
    """
    from lightning_pose.models.backbones import factory

    size = image_size or BACKBONE_IMAGE_SIZE
    try:
        backbone, _ = factory.build_backbone(name, image_size=size[0])  # type: ignore[arg-type]
    except Exception as error:  # each library reports a missing network in its own way
        raise BeastError(
            f'the weights of {name!r} are neither in the local cache nor could they be downloaded '
            f'({type(error).__name__}); on a machine with a network run `litpose embed {name} '
            'video.mp4` and copy the caches of torch and Hugging Face from there '
            '(~/.cache/torch, ~/.cache/huggingface)'
        ) from error
    return _module_source(backbone, name, 'backbone', size, precision)


def pose_source(
    name: str,
    image_size: tuple[int, int] | None,
    precision: str,
) -> NetworkSource:
    """Open the fine-tuned backbone of a trained pose model of the host.

    Args:
        name: directory of the pose model.
        image_size: size in px, (height, width); None for that of the model's training.
        precision: `auto`, `fp32` or `bf16`.

    Raises:
        BeastError: if the directory holds no trained pose model, or one that needs code to be run.
    """
    model_dir = Path(name).expanduser().absolute()
    cfg = _pose_config(model_dir)
    check_pose_checkpoint(model_dir, str(cfg.model.get('model_name')))
    from lightning_pose.api import Model

    # the host has no sentences for settings that its config lacks
    with foreign_file(model_dir / 'config.yaml', _RESTORE, 'the config of its pose model'):
        model = Model.from_dir(model_dir)
        model._load()
    assert model.model is not None
    size = image_size or pose_image_size(cfg)
    if size is None:
        raise BeastError(f'{model_dir} does not say its image size; give --image_size')
    return _module_source(model.model.backbone, str(model_dir), 'pose model', size, precision)


def _pose_files(name: str) -> list[Path]:
    model_dir = Path(name).expanduser().absolute()
    model_name = str(_pose_config(model_dir).model.get('model_name'))
    return [model_dir / 'config.yaml', pose_checkpoint(model_dir, model_name)]


def _pose_config(model_dir: Path) -> DictConfig:
    """Read the config of a pose model.

    Raises:
        BeastError: if it is none.
    """
    cfg, reason = load_config(model_dir / 'config.yaml'), ''
    try:
        if OmegaConf.select(cfg, 'model.model_type') is not None:
            return cfg
    except (OmegaConfBaseException, ValueError, RecursionError) as error:
        reason = f' ({reason_of(error)})'
    raise BeastError(
        f'{model_dir} has a config.yaml that is not that of a pose model{reason}; give the output '
        'directory of `litpose train` or of `litpose pretrain`'
    )


def _module_source(
    backbone: nn.Module,
    name: str,
    kind: str,
    size: tuple[int, int],
    precision: str,
) -> NetworkSource:
    encoder: Any = getattr(backbone, 'vision_encoder', None)
    config = getattr(encoder, 'config', None)
    if config is not None and getattr(config, 'model_type', '') == 'vit':
        state = {disk_name(key): value.detach() for key, value in encoder.state_dict().items()}
        architecture = Architecture.from_transformers_config(config.to_dict(), Path(name))
        plain = EncoderWeights(architecture, state, Path(name), {})
        return vit_source(plain, name, kind, size, precision)
    network: nn.Module = PooledMap(backbone)
    if config is not None and hasattr(encoder, 'embeddings') and hasattr(config, 'patch_size'):
        prefix = 1 + getattr(config, 'num_register_tokens', 0)
        network = TransformerTokens(encoder, config.patch_size, prefix)
    return NetworkSource(network, name, kind, size, precision=precision)


def _is_pose_model(name: str) -> bool:
    path = Path(name).expanduser()
    return (path / 'config.yaml').is_file() and not (path / 'beast.yaml').is_file()


def _is_backbone(name: str) -> bool:
    return not Path(name).expanduser().exists() and name in backbone_names()


def _has_weights(name: str) -> bool:
    """Return whether a name is a path of weights, or the name of a ViT on a model hub."""
    return Path(name).expanduser().exists() or '/' in name


def _is_random(name: str) -> bool:
    return is_random(name) and not Path(name).expanduser().exists()


def _open_random(name: str, image_size: tuple[int, int] | None, precision: str) -> NetworkSource:
    """Build a ViT with the random weights that a pretraining begins with.

    Args:
        name: `random` (of the default preset), or `random:` and the name of a preset, or a
            checkpoint whose shape is taken.
        image_size: size in px, (height, width); None for that of the preset or checkpoint.
        precision: `auto`, `fp32` or `bf16`.

    Raises:
        BeastError: if the checkpoint cannot be read.
    """
    like = name.partition(':')[2]
    if like.startswith('{'):
        # as the config of a pose model has it
        encoder = random_weights(name)
    else:
        shape = shape_like(like or BeastConfig.preset)
        encoder = random_weights(random_name(shape, seed=0))
    return vit_source(encoder, name, 'random weights', image_size, precision)


def _random_files(name: str) -> Sequence[Path]:
    like = name.partition(':')[2]
    return () if not like or like in PRESETS or like.startswith('{') else _vit_files(like)


def _open_vit(name: str, image_size: tuple[int, int] | None, precision: str) -> NetworkSource:
    path = Path(name).expanduser()
    kept = str(path.absolute()) if path.exists() else name
    return vit_source(read_encoder(name), kept, 'vit', image_size, precision)


def _vit_files(name: str) -> list[Path]:
    return [file for file in encoder_files(name) if file is not None]


# by `FeatureSource.kind`; the first that accepts a name opens it
SOURCES = {
    'motion energy': SourceKind(is_motion, motion_source, no_files),
    'random weights': SourceKind(_is_random, _open_random, _random_files),
    'frame PCA': SourceKind(is_frame_pca, frame_pca_source, frame_pca_files),
    'pose model': SourceKind(_is_pose_model, pose_source, _pose_files),
    'backbone': SourceKind(_is_backbone, backbone_source, no_files),
    'vit': SourceKind(_has_weights, _open_vit, _vit_files),
}
