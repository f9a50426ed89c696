"""Checkpoints of the host's pose models, checked before the host opens them.

The host opens them in a way that runs what code they hold. A file that the restricted reader could
read holds none, so that the host may open it afterwards.
"""

from collections.abc import Mapping
from pathlib import Path

from beast_lp.errors import BeastError
from beast_lp.vit.safe_load import read_checkpoint, read_tensors

# hyper-parameter under which Lightning imports and calls whatever a checkpoint names
_CALLED = '_instantiator'
# hyper-parameter that names weights, which the host opens again
_WEIGHTS = 'backbone_checkpoint'


def pose_checkpoint(model_dir: Path, model_name: str) -> Path:
    """Return the checkpoint of a trained pose model that the host would open.

    Args:
        model_dir: directory of the model.
        model_name: `model.model_name` of its config.

    Raises:
        BeastError: if there is none.
    """
    # imported here because the host's models take seconds
    from lightning_pose.utils.io import ckpt_path_from_base_path

    path = ckpt_path_from_base_path(str(model_dir), model_name)
    if path is None:
        raise BeastError(
            f'{model_dir} holds no checkpoint of a pose model: its training has not finished; run '
            '`litpose train` again, or leave it out'
        )
    return Path(path)


def check_pose_checkpoint(model_dir: Path, model_name: str) -> None:
    """Check that a trained pose model can be opened without running code from its files.

    Args:
        model_dir: directory of the model.
        model_name: `model.model_name` of its config.

    Raises:
        BeastError: if it has no checkpoint, or its checkpoint is damaged, holds weights that are
            not finite, or needs code to be run.
    """
    path = pose_checkpoint(model_dir, model_name)
    settings = read_checkpoint(path).get('hyper_parameters')
    if not isinstance(settings, Mapping):
        return
    if _CALLED in settings:
        raise BeastError(
            f'{path} names code that is to be run ({settings[_CALLED]}), which beast does not do; '
            'train the model again, or get the file from who trained it'
        )
    weights = Path(str(settings.get(_WEIGHTS) or ''))
    if weights.is_file():
        read_tensors(weights)
