"""Keeps pose checkpoints self-contained, and training in several processes alive.

The host stores the path of `backbone_checkpoint` in every pose checkpoint and opens it again on
every load. Lightning's official entry point for callbacks lets this package store the architecture
instead, so that a pose model can be moved and the pretraining output deleted.

The host lets all processes write `train_status.json` through one temporary file. Where two meet,
what one of them reads is no JSON and the run ends, so the first process alone writes it.
"""

import sys
from typing import Any

# in `lightning_pose.callbacks`
PROGRESS_TRACKER = 'JSONTrainingProgressTracker'


def callbacks() -> list[Any]:
    """Return the callbacks, if a beast backbone was ever built in this process.

    Lightning calls this for every trainer of the environment, so it imports nothing by itself.
    """
    if 'beast_lp.host.backbone' not in sys.modules:
        return []
    from lightning.pytorch import Callback, LightningModule, Trainer

    from beast_lp.host.backbone import ARCHITECTURE_PREFIX, BeastBackbone

    class SelfContainedCheckpoint(Callback):
        """Names the backbone's architecture in the hyper-parameters of a pose model."""

        def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
            backbone = getattr(pl_module, 'backbone', None)
            if isinstance(backbone, BeastBackbone):
                pl_module.hparams['backbone_checkpoint'] = (
                    ARCHITECTURE_PREFIX + backbone.architecture.to_json()
                )

    class OneWriterOfProgress(Callback):
        """Takes the host's progress file from all processes but the first."""

        def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
            if not trainer.is_global_zero:
                # a new list: Lightning is going through the old one
                trainer.callbacks = [  # pyright: ignore[reportAttributeAccessIssue]
                    callback
                    for callback in trainer.callbacks  # type: ignore[attr-defined]
                    if type(callback).__name__ != PROGRESS_TRACKER
                ]

    return [SelfContainedCheckpoint(), OneWriterOfProgress()]
