"""Pose training with `backbone: beast`: checks, paths, and the pretraining stage first."""

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from beast_lp.config import parse_config
from beast_lp.config.presets import PRESETS
from beast_lp.errors import BeastError
from beast_lp.host.compose import absolute_path, path_from
from beast_lp.host.late_failures import refuse_late_failures
from beast_lp.host.names import is_random
from beast_lp.host.pose_optimizer import (
    has_resnet_optimizer,
    pose_learning_rate,
    pose_optimizer,
    suitable_learning_rate,
)
from beast_lp.host.start import (
    NO_SHARED_DIRECTORY,
    OUTPUT_DIR_VARIABLE,
    START_DIR,
    START_DIR_VARIABLE,
    InheritedVariable,
)
from beast_lp.host.train_status import NAME

logger = logging.getLogger(f'lightning_pose.{__name__}')

NO_REGRESSION = (
    'backbone: beast does not work with model_type: regression, whose head needs pooled features '
    'and which does not pass on the checkpoint; use model_type: heatmap'
)
NO_WEIGHTS = (
    'backbone: beast needs weights: set model.backbone_checkpoint to the output directory of '
    '`litpose pretrain`, or add a `beast:` section so that `litpose train` pretrains first'
)
_VIT_B = 768


def check_pose_config(cfg: DictConfig) -> None:
    """Refuse configs for which the host would silently build a wrong model.

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


def prepare_training(
    cfg: DictConfig,
    model_dir: str | Path | None,
    evaluates: bool = True,
) -> None:
    """Check a pose config for the host's `train`, and make its checkpoint path absolute.

    Where there is a `beast:` section and no checkpoint, the pretraining stage runs first.

    Args:
        cfg: pose config; `model.backbone_checkpoint` is filled in.
        model_dir: directory of the pose model; None for the current one.
        evaluates: whether the host evaluates the model after training.

    Raises:
        BeastError: for anything that the user can mend.
    """
    check_pose_config(cfg)
    warn_about_resnet_optimizer(cfg)
    checkpoint = cfg.model.get('backbone_checkpoint')
    if not checkpoint and cfg.get('beast') is None:
        raise BeastError(NO_WEIGHTS)
    if evaluates:
        refuse_late_failures(cfg)
    if is_random(checkpoint):
        # imported here because torch takes seconds, and the GUI imports this module
        from beast_lp.host.random_weights import resolve_random

        checkpoint = resolve_random(str(checkpoint), cfg)
    elif checkpoint:
        checkpoint = absolute_path(str(checkpoint), cfg)
    else:
        check_before_pretraining(cfg)
        checkpoint = str(_pretraining_stage(cfg, Path(model_dir or Path.cwd()).absolute()))
    with open_dict(cfg):
        cfg.model.backbone_checkpoint = checkpoint


def check_before_pretraining(cfg: DictConfig) -> None:
    """Refuse now a config that the host would refuse after the pretraining stage.

    Raises:
        BeastError: with the host's reason.
    """
    # imported here because the host's models take seconds, and the GUI imports this module
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
def prepared_training(
    cfg: DictConfig,
    model_dir: str | Path | None,
    evaluates: bool = True,
) -> Iterator[None]:
    """Prepare the host's `train`, which runs in the block, alike in all processes, and keep a log.

    Processes that Lightning starts run the whole command again, and where no directory was given
    the host would name one by the clock for each of them.

    Args:
        cfg: pose config; `model.backbone_checkpoint` is filled in.
        model_dir: directory of the pose model; None for the current one.
        evaluates: whether the host evaluates the model after training.

    Raises:
        BeastError: for anything that the user can mend.
    """
    from beast_lp.pretraining.launch import launched_processes, launched_rank
    from beast_lp.runs.log_file import run_log

    own = Path(model_dir or Path.cwd()).absolute()
    if model_dir is None and launched_processes() > 1 and _is_dated(own):
        _leave(own, Path(START_DIR))
        raise BeastError(NO_SHARED_DIRECTORY)
    with (
        InheritedVariable(START_DIR_VARIABLE, START_DIR),
        InheritedVariable(OUTPUT_DIR_VARIABLE, str(own)) as shared,
    ):
        if model_dir is None and shared != str(own):
            _leave(own, Path(shared))
        # one process writes it, as in pretraining
        with run_log(Path(shared)) if launched_rank() == 0 else nullcontext():
            prepare_training(cfg, shared, evaluates)
            yield


def _is_dated(directory: Path) -> bool:
    """Return whether the host named a directory by the time of the start."""
    name = Path(os.path.relpath(directory, START_DIR)).as_posix()
    return re.fullmatch(r'outputs/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d', name) is not None


def _leave(own: Path, other: Path) -> None:
    """Change into another directory, and remove the empty one that the host made."""
    os.chdir(other)
    with suppress(OSError):
        # not empty where another process chose the same moment
        own.rmdir()


def warn_about_resnet_optimizer(cfg: DictConfig) -> None:
    """Warn where the optimiser is still the host's default, which suits a ResNet."""
    if has_resnet_optimizer(cfg):
        width = _hidden_size(cfg)
        rate = (
            '5e-5 for ViT-B, 5e-4 for the smallest'
            if width is None
            else (f'{suitable_learning_rate(width):g} for this one')
        )
        logger.warning(
            f'beast: training.optimizer {pose_optimizer(cfg)} with learning rate '
            f'{pose_learning_rate(cfg):g} suits a ResNet; a ViT usually wants AdamW, with {rate}'
        )


def learning_rate_of(checkpoint: str) -> float:
    """Return the learning rate of AdamW that suits pose training from a checkpoint.

    Args:
        checkpoint: as `model.backbone_checkpoint` takes it; where its width is not written beside
            it, the rate that suits ViT-B.
    """
    width = _hidden_size(OmegaConf.create({'model': {'backbone_checkpoint': checkpoint}}))
    return suitable_learning_rate(width or _VIT_B)


def _hidden_size(cfg: DictConfig) -> int | None:
    """Return the width of the backbone, or None where only the weights know it."""
    checkpoint = str(cfg.model.get('backbone_checkpoint') or '')
    if is_random(checkpoint):
        checkpoint = checkpoint.partition(':')[2]
    section = {'preset': checkpoint} if checkpoint in PRESETS else cfg.get('beast')
    if not checkpoint or checkpoint in PRESETS:
        return None if section is None else parse_config(section).model.hidden_size
    path = Path(absolute_path(checkpoint, cfg)).expanduser()
    for config in (path / 'backbone' / 'config.json', path / 'config.json'):
        if config.is_file():
            try:
                return int(json.loads(config.read_text(encoding='utf-8'))['hidden_size'])
            except (ValueError, KeyError, TypeError):
                # loading the weights raises the proper error
                return None
    return None


def _pretraining_stage(cfg: DictConfig, model_dir: Path) -> Path:
    # imported here because the GUI imports this module, without the video room
    from beast_lp.host.jobs.pretrain import pretrain

    wanted = parse_config(cfg.beast).output_dir
    output_dir = path_from(Path(START_DIR), wanted) if wanted else model_dir / 'beast'
    logger.info(f'beast: the pretraining stage is in {output_dir}')
    return pretrain(cfg, output_dir, model_dir / NAME, reuse=True)
