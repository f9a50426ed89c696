"""The command that trains a pose model on a backbone: one spelling for log, report and guides."""

import os
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from beast_lp.host.cropped_labels import cropped_config
from beast_lp.host.late_failures import late_failures
from beast_lp.host.names import free_backbone_name
from beast_lp.host.pose_optimizer import has_resnet_optimizer, suitable_learning_rate
from beast_lp.host.spelling import as_override, command_line, small_number
from beast_lp.host.start import START_DIR


def pose_command(
    cfg: DictConfig,
    config_file: Path,
    output_dir: Path,
    hidden_size: int,
    cropped: Path | None = None,
) -> str:
    """Return the command that trains a pose model on a finished pretraining run.

    Args:
        cfg: pose config; what the host would refuse in it, or what suits a ResNet alone, is
            overridden.
        config_file: file of that config.
        output_dir: directory of the pretraining run.
        hidden_size: width of its ViT.
        cropped: folder of labelled frames that are cropped as those that it saw; None for none.
    """
    changes = {}
    if cropped is not None:
        cfg, changes = cropped_config(cfg, cropped)
    rate = suitable_learning_rate(hidden_size) if has_resnet_optimizer(cfg) else None
    mends = [as_override(key, value, force=True) for key, value in changes.items()]
    mends += [word for failure in late_failures(cfg) for word in failure.mend]
    backbone = _from_start(output_dir)
    return train_command(_from_start(config_file), backbone, f'{backbone}_pose', rate, mends)


def train_command(
    config_file: str,
    backbone: str,
    model_dir: str,
    learning_rate: float | None,
    more: Sequence[str] = (),
) -> str:
    """Return the command that trains a pose model on a backbone, as it is typed.

    Args:
        config_file: pose config.
        backbone: output directory of a pretraining run.
        model_dir: directory of the pose model.
        learning_rate: learning rate of AdamW; None to leave the optimiser as the config has it.
        more: further overrides.
    """
    overrides = [
        as_override('model.backbone', free_backbone_name()),
        as_override('model.backbone_checkpoint', backbone, force=True),
        *more,
    ]
    if learning_rate is not None:
        rate = small_number(learning_rate)
        overrides += [
            as_override('training.optimizer', 'AdamW', force=True),
            f'++training.optimizer_params.learning_rate={rate}',
        ]
    return command_line(
        ['litpose', 'train', config_file, '--output_dir', model_dir], [['--overrides', *overrides]]
    )


def _from_start(path: Path) -> str:
    """Return a path as it is typed where the command was started."""
    relative = os.path.relpath(path, START_DIR)
    return str(path) if relative.startswith(os.pardir) else relative
