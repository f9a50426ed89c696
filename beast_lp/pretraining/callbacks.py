"""What a run writes while it runs: a table of metrics and a checkpoint that can be resumed."""

import os
import time
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.utilities import rank_zero_only


class ProgressBar(TQDMProgressBar):
    """Lightning's progress bar with the loss, without the number of the logger's version."""

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule,
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return what stands at the end of the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        return {
            name.removesuffix('_step'): value for name, value in metrics.items()
            if name != 'v_num' and not name.endswith('_epoch')
        }


class LastCheckpoint(Callback):
    """Keeps `last.ckpt`, which a killed run resumes from, every few minutes and after the run.

    By the clock and not by epochs: with few frames an epoch takes seconds, with many hours, and a
    ViT-B checkpoint is 1.3 GB.
    """

    def __init__(self, path: Path, minutes: float) -> None:
        """Save to `path` once `minutes` have passed since the last save, and after the run."""
        self.path = path
        self.minutes = minutes
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:
        """Save within an epoch, if it is time; at its end there is a better moment."""
        if not trainer.is_last_batch:
            self._save(trainer, at_once=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if it is time, and at the end of the run."""
        self._save(trainer, at_once=trainer.current_epoch + 1 == trainer.max_epochs)

    def _save(self, trainer: Trainer, at_once: bool) -> None:
        due = at_once or time.monotonic() - self._saved_at >= self.minutes * 60
        # rank 0's clock decides for all, since saving is collective
        if trainer.world_size > 1:
            due = trainer.strategy.broadcast(due)
        if due:
            # Lightning writes to a temporary file and renames it
            trainer.save_checkpoint(self.path)
            self._saved_at = time.monotonic()


class MetricsTable(Callback):
    """Appends one row per epoch to `metrics.csv`, with the throughput; survives a resume.

    Lightning's CSV logger deletes the table of the run that it resumes.
    """

    def __init__(self, path: Path) -> None:
        """Write to `path`."""
        self.path = path
        self._epoch_start = self._wait_start = 0.0
        self._waited = 0.0
        self._frames = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of an epoch that is resumed: Lightning does not start it again."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch's clock."""
        self._epoch_start = self._wait_start = time.perf_counter()
        self._waited, self._frames = 0.0, 0

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int,
    ) -> None:
        """Count the time since the last step ended as waiting for data."""
        self._waited += time.perf_counter() - self._wait_start

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the frames of the step."""
        self._frames += 2 * len(batch.pixels) * trainer.world_size
        self._wait_start = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the epoch's clock: validation is no training throughput."""
        self._pause = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on with the epoch's clock."""
        self._epoch_start += time.perf_counter() - self._pause

    @rank_zero_only
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch's row; rows of epochs that a resumed run repeats are replaced."""
        seconds = time.perf_counter() - self._epoch_start
        metrics = {
            name.removesuffix('_epoch'): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith(('train_', 'val_')) and not name.endswith('_step')
        }
        row = {
            'epoch': trainer.current_epoch,
            'step': trainer.global_step,
            'learning_rate': trainer.optimizers[0].param_groups[0]['lr'],
            **metrics,
            'images_per_second': self._frames / seconds,
            'data_wait_share': self._waited / seconds,
        }
        table = pd.DataFrame([row])
        if self.path.exists():
            earlier = pd.read_csv(self.path)
            table = pd.concat([earlier[earlier.epoch < row['epoch']], table], ignore_index=True)
        temporary = self.path.with_suffix('.csv.tmp')
        table.to_csv(temporary, index=False)
        os.replace(temporary, self.path)
