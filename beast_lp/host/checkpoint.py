"""Keeps pose checkpoints self-contained.

The host stores the path of `backbone_checkpoint` in every pose checkpoint and opens it again on
every load. Lightning's official entry point for callbacks lets this package store the architecture
instead, so that a pose model can be moved and the pretraining output deleted.
"""

import sys
from typing import Any


def callbacks() -> list[Any]:
    """Return the callback, if a beast backbone was ever built in this process.

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

    return [SelfContainedCheckpoint()]
