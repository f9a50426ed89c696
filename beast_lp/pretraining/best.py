"""The best weights of a run, beside the last ones."""

import logging
import math
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from beast_lp.pretraining.floors import MARGIN
from beast_lp.pretraining.probing import Probe

logger = logging.getLogger(f'lightning_pose.{__name__}')


class BestCheckpoint(Callback):
    """Keeps `best.ckpt`: the weights with the lowest probe, or else the lowest validation loss.

    Where there is a probe, it alone decides, at the epochs at which it is measured: read-out can
    get worse while the loss falls. The file holds weights alone, since the run itself resumes from
    the last ones. The callback comes after the probe, and before `LastCheckpoint`, whose file must
    know the epoch's score.
    """

    def __init__(self, path: Path, probe: Probe | None) -> None:
        """Save to a path.

        Args:
            path: file of the checkpoint.
            probe: probe of the run, if it has one.
        """
        self.path = path
        # lowest score so far, the epochs trained at that time, and what was measured
        self.score, self.epochs, self.monitor = math.inf, 0, ''
        self._probe = probe

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save in all processes, if the first one finds the weights better than all before."""
        by_probe = self._probe is not None and self._probe.active
        monitor = 'probe_px' if by_probe else 'val_loss'
        values = self._probe.row() if self._probe and by_probe else trainer.callback_metrics
        score = float(values.get(monitor, math.inf))
        # a resumed run may have gained or lost its probe: the two cannot be compared
        before = self.score if monitor == self.monitor else math.inf
        better = trainer.is_global_zero and score < before
        if trainer.strategy.reduce_boolean_decision(better, all=False):
            self.score, self.epochs = score, trainer.current_epoch + 1
            self.monitor = monitor
            trainer.save_checkpoint(self.path, weights_only=True)
        if by_probe and trainer.current_epoch + 1 == trainer.max_epochs:
            self._compare(score)

    def _compare(self, last: float) -> None:
        """Warn where the last weights, which the backbone takes, read out clearly worse."""
        if self.score < (1 - MARGIN) * last:
            logger.warning(
                f'beast: the probe was lowest after epoch {self.epochs} ({self.score:.1f} px) and '
                f'is {last:.1f} px at the end, so that features got worse while the loss fell. '
                f'The backbone holds the last weights; for the best ones, use '
                f'`litpose embed {self.path} VIDEOS` or model.backbone_checkpoint={self.path}'
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the best score so far."""
        return {'score': self.score, 'epochs': self.epochs, 'monitor': self.monitor}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume."""
        self.score, self.epochs = state_dict['score'], state_dict['epochs']
        self.monitor = state_dict['monitor']
