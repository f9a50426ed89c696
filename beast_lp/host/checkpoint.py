"""Callbacks for pose training: self-contained checkpoints, and one writer of the progress file.

The host stores the path of `backbone_checkpoint` in every pose checkpoint and opens it again on
every load. Lightning's official entry point for callbacks lets this package store the architecture
instead, so that a pose model can be moved and the pretraining output deleted.

In the host all processes write `train_status.json` through one temporary file. Where two write at
once, one of them reads broken JSON and the run ends; so only rank 0 writes it.
"""

import sys
from typing import Any

# name of the class in `lightning_pose.callbacks`
PROGRESS_TRACKER = 'JSONTrainingProgressTracker'


def callbacks() -> list[Any]:
    """Return the callbacks, if this process has built a beast backbone.

    Lightning calls this for every trainer in the environment, so it imports nothing before that.
    """
    if 'beast_lp.host.backbone' not in sys.modules:
        return []
    from lightning.pytorch import Callback, LightningModule, Trainer

    from beast_lp.host.backbone import ARCHITECTURE_PREFIX, BeastBackbone

    class SelfContainedCheckpoint(Callback):
        """Stores the backbone's architecture in the hyper-parameters of a pose model."""

        def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
            """Replace the path of the backbone's checkpoint."""
            backbone = getattr(pl_module, 'backbone', None)
            if isinstance(backbone, BeastBackbone):
                pl_module.hparams['backbone_checkpoint'] = (
                    ARCHITECTURE_PREFIX + backbone.architecture.to_json()
                )

    class OneWriterOfProgress(Callback):
        """Removes the host's progress tracker from every process except rank 0."""

        def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
            """Remove the tracker before the host's training begins."""
            if not trainer.is_global_zero:
                # a new list, since Lightning is iterating over the old one
                trainer.callbacks = [  # pyright: ignore[reportAttributeAccessIssue]
                    callback
                    for callback in trainer.callbacks  # type: ignore[attr-defined]
                    if type(callback).__name__ != PROGRESS_TRACKER
                ]

    return [SelfContainedCheckpoint(), OneWriterOfProgress()]
