"""Callbacks that report on a run: its speed, the time left, and a table of its metrics."""

import datetime
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from beast_lp.pretraining.plan import time_sentence
from beast_lp.runs.files import write_table
from beast_lp.runs.progress import LINE_SECONDS
from beast_lp.runs.words import duration

logger = logging.getLogger(f'lightning_pose.{__name__}')

# optimiser steps from random weights. Measured on mirror_mouse and fly_courtship: frozen features
# were hardly better than those of random weights after 1,000, and far better after 4,000
LEAST_STEPS = 2000
# steps whose speed tells the time that the run will take
_ESTIMATE_AFTER = 10
# lines of a whole run without a bar, at most: a log is to be read
_MOST_LINES = 20
# numbers of a line without a bar, in words
_SHOWN = {
    'train_loss': 'loss',
    'val_loss': 'validation',
    'val_background_explained': 'share explained beyond a constant picture',
    'probe_px': 'probe (px)',
}


class ShortRunWarning(Callback):
    """Warns if a run from random weights is too short to help a pose model."""

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the steps of the whole run with `LEAST_STEPS`."""
        steps = int(trainer.estimated_stepping_batches)
        if steps < LEAST_STEPS:
            logger.warning(
                f'beast: {steps} steps from random weights show that everything works, but are '
                'probably too few to learn anything: in our measurements 1,000 were, and 4,000 '
                'were not; raise beast.training.steps (presets say how many), or start from '
                'pretrained weights (beast.init)'
            )


class Throughput(Callback):
    """Measures the speed of training within each epoch, and estimates the time left.

    Validation counts in the time left, but not in the speed. The measurements of an epoch survive
    a resume.
    """

    def __init__(self) -> None:
        """Start with nothing measured."""
        # frames trained on in this epoch, and seconds of training and of waiting for data
        self.frames = 0
        self.seconds = self.waited = 0.0
        self._mark = 0.0
        # time and step at which this process started
        self._started = 0.0
        self._first_step = 0
        self._steps_left = self._steps_done = 0
        self._estimated = False

    @property
    def images_per_second(self) -> float:
        """Frames trained on per second, over all processes."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def data_wait_share(self) -> float:
        """Share of the time in which the step waited for its frames, 0 to 1."""
        return self.waited / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float:
        """Estimated time to the end of training, validation included; 0 before the first step."""
        passed = time.perf_counter() - self._started
        return passed / self._steps_done * self._steps_left if self._steps_done else 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clocks here too, because Lightning does not start a resumed epoch again."""
        self._started = self._mark = time.perf_counter()
        self._first_step = trainer.global_step

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start an epoch."""
        self.frames, self.seconds, self.waited = 0, 0.0, 0.0
        self._mark = time.perf_counter()

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the time since the last step ended as waiting for data."""
        self.waited += time.perf_counter() - self._mark

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the step."""
        now = time.perf_counter()
        self.frames += 2 * len(batch) * trainer.world_size
        self.seconds += now - self._mark
        self._mark = now
        self._steps_done = trainer.global_step - self._first_step
        self._steps_left = max(0, int(trainer.estimated_stepping_batches) - trainer.global_step)
        if self._steps_done == _ESTIMATE_AFTER and not self._estimated and trainer.is_global_zero:
            self._estimated = True
            sentence = time_sentence(
                (now - self._started) / self._steps_done,
                2 * len(batch) * trainer.world_size * trainer.accumulate_grad_batches,
                self._steps_left,
                self.seconds_left,
                datetime.datetime.now(),
            )
            logger.info(f'beast: {sentence}')

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the validation out of the waiting time."""
        self._mark = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the measurements of the epoch."""
        if trainer.logger is not None:
            trainer.logger.log_metrics(
                {
                    'images_per_second': self.images_per_second,
                    'data_wait_share': self.data_wait_share,
                    'hours_left': self.seconds_left / 3600,
                },
                trainer.global_step,
            )

    def state_dict(self) -> dict[str, float]:
        """Return the measurements of the epoch so far."""
        return {'frames': self.frames, 'seconds': self.seconds, 'waited': self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume an epoch."""
        self.frames = state_dict['frames']
        self.seconds, self.waited = state_dict['seconds'], state_dict['waited']


class ProgressBar(TQDMProgressBar):
    """Lightning's progress bar with the losses, the throughput and the time left."""

    def __init__(self, throughput: Throughput) -> None:
        """Show what `throughput` measures."""
        super().__init__()
        self._throughput = throughput

    def get_metrics(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return the text at the end of the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        speed = self._throughput
        return {
            **{
                name.removesuffix('_step').removeprefix('train_'): value
                for name, value in metrics.items()
                if name != 'v_num' and not name.endswith('_epoch')
            },
            'images/s': f'{speed.images_per_second:.3g}',
            'wait': f'{speed.data_wait_share:.0%}',
            'left': duration(speed.seconds_left),
        }


class EpochLines(Callback):
    """Logs the losses, the speed and the time left: once a minute at most, at the end of an epoch.

    It takes the place of the bar where no person watches.
    """

    def __init__(
        self,
        throughput: Throughput,
        more: Callable[[], Mapping[str, float]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Log a run.

        Args:
            throughput: callback that measures the speed of the run.
            more: function that returns further numbers of the epoch that ends.
            clock: seconds that have passed, for tests.
        """
        self._throughput, self._more, self._clock = throughput, more, clock
        self._said, self._parts = clock(), 0

    @rank_zero_only
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log a line, unless the last one is less than a minute old and more are to come."""
        now = self._clock()
        last = trainer.current_epoch + 1 == trainer.max_epochs
        parts = (trainer.current_epoch + 1) * _MOST_LINES // max(trainer.max_epochs or 1, 1)
        if not last and (now - self._said < LINE_SECONDS or parts == self._parts):
            return
        self._said, self._parts = now, parts
        values = {**trainer.callback_metrics, **self._more()}
        shown = ', '.join(
            f'{words} {float(values[name]):.3g}'
            for name, words in _SHOWN.items()
            if name in values
        )
        left = '' if last else f', about {duration(self._throughput.seconds_left)} left'
        logger.info(
            f'beast: epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, step '
            f'{trainer.global_step}: {shown}, {self._throughput.images_per_second:.3g} images/s'
            f'{left}'
        )


class MetricsTable(Callback):
    """Writes `metrics.csv`: one row per epoch, with averages over whole epochs after a resume too.

    Lightning's CSV logger deletes the table of the run that it resumes, and restarts its averages
    in the middle of an epoch.
    """

    def __init__(
        self,
        path: Path,
        throughput: Throughput,
        more: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """Write a table.

        Args:
            path: file of the table.
            throughput: callback that measures the speed of the run.
            more: function that returns further columns of the epoch that ends.
        """
        self.path = path
        self._throughput = throughput
        self._more = more
        self._sums: dict[str, Tensor] = {}
        self._pairs = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start an epoch's averages."""
        self._sums, self._pairs = {}, 0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add a step's losses, weighted by its number of pairs."""
        pairs = len(batch)
        for name, value in trainer.callback_metrics.items():
            if name.startswith('train_') and name.endswith('_step'):
                name = name.removesuffix('_step')
                # on their device, since a GPU waits for whoever reads a number of it
                self._sums[name] = self._sums.get(name, torch.zeros(())) + pairs * value
        self._pairs += pairs

    @rank_zero_only
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch's row; rows of epochs that a resumed run repeats are replaced."""
        row = {
            'epoch': trainer.current_epoch,
            'step': trainer.global_step,
            'learning_rate': trainer.optimizers[0].param_groups[0]['lr'],
            **{name: float(value) / self._pairs for name, value in self._sums.items()},
            **{
                name: float(value)
                for name, value in trainer.callback_metrics.items()
                if name.startswith('val_')
            },
            **self._more(),
            'images_per_second': self._throughput.images_per_second,
            'data_wait_share': self._throughput.data_wait_share,
            'seconds': self._throughput.seconds,
            'seconds_left': self._throughput.seconds_left,
        }
        table = pd.DataFrame([row])
        earlier = self._earlier()
        if earlier is not None:
            kept = earlier.loc[earlier['epoch'] < row['epoch']]
            table = pd.concat([kept, table], ignore_index=True)
        write_table(table, self.path)

    def _earlier(self) -> pd.DataFrame | None:
        """Return the rows of earlier epochs, if there are any."""
        if not self.path.exists():
            return None
        try:
            table = pd.read_csv(self.path)
            return table.assign(epoch=table['epoch'].astype(int))
        # what pandas raises for damaged tables
        except (ValueError, KeyError, TypeError):
            logger.warning(f'beast: {self.path} is damaged; it begins anew with this epoch')
            return None

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of the epoch so far."""
        sums = {name: value.cpu() for name, value in self._sums.items()}
        return {'sums': sums, 'pairs': self._pairs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume an epoch."""
        self._sums, self._pairs = state_dict['sums'], state_dict['pairs']
