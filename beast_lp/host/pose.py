"""Pose training with `backbone: beast`: checks, paths, and the pretraining stage before it."""

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from beast_lp.config import parse_config
from beast_lp.errors import BeastError
from beast_lp.host.children import OUTPUT_DIR_VARIABLE, told_to_children
from beast_lp.host.compose import absolute_path, path_from
from beast_lp.host.messages import NO_REGRESSION, NO_SHARED_DIRECTORY, NO_WEIGHTS
from beast_lp.host.start import START_DIR, START_DIR_VARIABLE

logger = logging.getLogger(f'lightning_pose.{__name__}')

# what the host's default config asks of Adam
RESNET_RATE = 1e-3


def check_pose_config(cfg: DictConfig) -> None:
    """Refuse what the host would build wrongly in silence.

    Raises:
        BeastError: for a model type, heatmap size or image shape that a ViT at stride 16 cannot
            serve.
    """
    if cfg.model.model_type == 'regression':
        raise BeastError(NO_REGRESSION)
    if cfg.data.get('downsample_factor', 2) == 3:
        raise BeastError(
            'backbone: beast does not work with data.downsample_factor: 3, for which the host '
            'builds a head with the wrong number of outputs at stride 16; use 2'
        )
    height, width = cfg.data.image_resize_dims.height, cfg.data.image_resize_dims.width
    if cfg.model.model_type == 'heatmap_multiview_transformer' and height != width:
        raise BeastError(
            f'multiview models need square images, found data.image_resize_dims {height} x '
            f'{width}; set both to the same'
        )


def prepare_training(cfg: DictConfig, model_dir: str | Path | None) -> None:
    """Make a pose config ready for the host's `train`: checked, with an absolute checkpoint.

    Where there is a `beast:` section and no checkpoint, the pretraining stage runs first.

    Args:
        cfg: the pose config; `model.backbone_checkpoint` is filled in.
        model_dir: of the pose model; the current directory if not given.

    Raises:
        BeastError: for anything that the user can mend.
    """
    check_pose_config(cfg)
    warn_of_resnet_settings(cfg)
    checkpoint = cfg.model.get('backbone_checkpoint')
    if checkpoint:
        checkpoint = absolute_path(str(checkpoint), cfg)
    elif cfg.get('beast') is not None:
        check_before_pretraining(cfg)
        checkpoint = str(_pretraining_stage(cfg, Path(model_dir or Path.cwd()).absolute()))
    else:
        raise BeastError(NO_WEIGHTS)
    with open_dict(cfg):
        cfg.model.backbone_checkpoint = checkpoint


def check_before_pretraining(cfg: DictConfig) -> None:
    """Refuse now what the host would refuse once the pretraining stage is over.

    Raises:
        BeastError: with the host's reason.
    """
    # late: the host's models take seconds to import
    import torch
    from lightning_pose.api import ModelConfig
    from lightning_pose.models import check_if_semi_supervised

    try:
        ModelConfig(cfg).validate()
    except AssertionError as error:
        raise BeastError(f'Lightning Pose cannot train with this config: {error}') from error
    losses = cfg.model.get('losses_to_use')
    if check_if_semi_supervised(losses) and not torch.cuda.is_available():
        raise BeastError(
            f'model.losses_to_use {list(losses)} needs an NVIDIA GPU, which this machine lacks; '
            'set model.losses_to_use=[] or train on another'
        )


@contextmanager
def prepared_training(cfg: DictConfig, model_dir: str | Path | None) -> Iterator[None]:
    """Prepare the host's `train`, which is to run in the block, in all processes alike.

    Its children go through the command from its beginning, and where no directory was given the
    host would name one by the clock for each of them.

    Args:
        cfg: the pose config; `model.backbone_checkpoint` is filled in.
        model_dir: of the pose model; the current directory if not given.

    Raises:
        BeastError: for anything that the user can mend.
    """
    # late: it brings Lightning with it
    from beast_lp.pretraining.distributed import launched_processes

    own = Path(model_dir or Path.cwd()).absolute()
    if model_dir is None and launched_processes() > 1 and _is_dated(own):
        _leave(own, Path(START_DIR))
        raise BeastError(NO_SHARED_DIRECTORY)
    with (
        told_to_children(START_DIR_VARIABLE, START_DIR),
        told_to_children(OUTPUT_DIR_VARIABLE, str(own)) as shared,
    ):
        if model_dir is None and shared != str(own):
            _leave(own, Path(shared))
        prepare_training(cfg, shared)
        yield


def _is_dated(directory: Path) -> bool:
    """Say whether the host named a directory by the time at which the command was started."""
    name = Path(os.path.relpath(directory, START_DIR)).as_posix()
    return re.fullmatch(r'outputs/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d', name) is not None


def _leave(own: Path, other: Path) -> None:
    """Change into another directory; what the host made for this process alone goes away."""
    os.chdir(other)
    with suppress(OSError):
        # not empty where another process chose the same moment
        own.rmdir()


def warn_of_resnet_settings(cfg: DictConfig) -> None:
    """Say so where the optimiser is still the one that the host ships for a ResNet."""
    if has_resnet_optimizer(cfg):
        width = _hidden_size(cfg)
        rate = (
            '5e-5 for ViT-B, 5e-4 for the smallest'
            if width is None
            else (f'{suitable_learning_rate(width):g} for this one')
        )
        logger.warning(
            f'beast: training.optimizer {_optimizer(cfg)} with learning rate '
            f'{_learning_rate(cfg):g} suits a ResNet; a ViT usually wants AdamW, with {rate}'
        )


def has_resnet_optimizer(cfg: DictConfig) -> bool:
    """Say whether the optimiser is still the one that the host ships for a ResNet."""
    return _optimizer(cfg) == 'Adam' and _learning_rate(cfg) >= RESNET_RATE


def suitable_learning_rate(hidden_size: int) -> float:
    """Return the step of AdamW that suits the pose training of a backbone of this width."""
    return 5e-4 if hidden_size <= 192 else 5e-5


def _hidden_size(cfg: DictConfig) -> int | None:
    """Return the width of the backbone, or None where only its weights would tell."""
    checkpoint = cfg.model.get('backbone_checkpoint')
    if not checkpoint:
        section = cfg.get('beast')
        return None if section is None else parse_config(section).model.hidden_size
    path = Path(absolute_path(str(checkpoint), cfg)).expanduser()
    for config in (path / 'backbone' / 'config.json', path / 'config.json'):
        if config.is_file():
            try:
                return int(json.loads(config.read_text(encoding='utf-8'))['hidden_size'])
            except (ValueError, KeyError, TypeError):
                # loading the weights will say what is wrong with it
                return None
    return None


def _optimizer(cfg: DictConfig) -> str:
    return str(OmegaConf.select(cfg, 'training.optimizer', default='Adam'))


def _learning_rate(cfg: DictConfig) -> float:
    key = 'training.optimizer_params.learning_rate'
    return float(OmegaConf.select(cfg, key, default=RESNET_RATE))


def _pretraining_stage(cfg: DictConfig, model_dir: Path) -> Path:
    # late: the stage brings Lightning and the video room with it
    from beast_lp.host.jobs.pretrain import pretrain

    wanted = parse_config(cfg.beast).output_dir
    output_dir = path_from(Path(START_DIR), wanted) if wanted else model_dir / 'beast'
    logger.info(f'beast: the pretraining stage is in {output_dir}')
    return pretrain(cfg, output_dir, model_dir / 'train_status.json', reuse=True)
