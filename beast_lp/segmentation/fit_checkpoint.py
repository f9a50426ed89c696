"""The checkpoint of a training: by what it is known again, how it is written and read."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from beast_lp.config.segmentation import FittingConfig
from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file
from beast_lp.runs.readable import check_readable
from beast_lp.runs.settings import run_difference
from beast_lp.segmentation.model import Segmenter, current_names
from beast_lp.segmentation.training_data import TrainingData
from beast_lp.vit.safe_load import damaged_part

logger = logging.getLogger(f'lightning_pose.{__name__}')

# settings of the fit that a resumed run may change
_MAY_DIFFER = ('checkpoint_minutes', 'ensemble')


def resume(
    checkpoint: Path,
    model: Segmenter,
    optimizer: torch.optim.Optimizer,
    identity: dict[str, Any],
    epochs: int,
) -> tuple[list[dict[str, float]], int]:
    """Load the checkpoint, if there is one; return the history and the next epoch."""
    if not checkpoint.exists():
        return [], 0
    check_readable(checkpoint)
    try:
        if damaged_part(checkpoint):
            raise ValueError
        state: Any = torch.load(checkpoint, map_location='cpu', weights_only=True)
        changed = run_difference(_named(state['settings']), _named(identity))
    except Exception as error:  # pickle, zip and torch each say in their own way what is damaged
        raise _damaged(checkpoint, error) from error
    if changed:
        raise BeastError(
            f'{checkpoint.parent} holds an unfinished run with other settings or labels: a label '
            'file, a video or what made the features was added, removed or changed since; restore '
            'it to resume the run, or give another --output_dir to train on what is there now'
        )
    try:
        model.load_state_dict(current_names(state['model']))
        optimizer.load_state_dict(state['optimizer'])
        history = [dict(row) for row in state['history']]
        finite = all(value.isfinite().all() for value in model.state_dict().values())
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(checkpoint, error) from error
    if not finite or len(history) > epochs:
        raise _damaged(checkpoint, ValueError())
    if len(history) < epochs:
        logger.info(f'beast: resuming after epoch {len(history)} of {epochs}')
    return history, len(history)


def _damaged(checkpoint: Path, error: Exception) -> BeastError:
    if isinstance(error, OSError):
        # the operating system says better what it is about
        raise error
    return BeastError(
        f'{checkpoint} is damaged ({type(error).__name__}); delete it, so that this model is '
        'trained anew when you run the same command again'
    )


def save(
    checkpoint: Path,
    model: Segmenter,
    optimizer: torch.optim.Optimizer,
    history: list[dict[str, float]],
    identity: dict[str, Any],
) -> None:
    """Write the checkpoint; it is replaced only once it is complete."""
    # torch says why it could not write only where it did not open the file itself
    with finished_file(checkpoint) as part, part.open('wb') as file:
        torch.save(
            {
                'model': model.state_dict(),
                'optimizer': optimizer.state_dict(),
                'history': history,
                'settings': identity,
            },
            file,
        )


def fit_identity(
    settings: FittingConfig,
    seed: int,
    data: TrainingData,
    classes: Sequence[str],
) -> dict[str, Any]:
    """Return everything by which the training of one model is known again."""
    values = {name: value for name, value in asdict(settings).items() if name not in _MAY_DIFFER}
    return {**values, 'seed': seed, 'data': data.key(classes)}


def _named(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity with its settings under their names in a config."""
    fitting = {name: value for name, value in identity.items() if name not in ('seed', 'data')}
    return {
        'segmentation': {'fitting': fitting},
        'seed': identity['seed'],
        'data': identity['data'],
    }
