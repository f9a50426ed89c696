"""Checkpoints from which any run can be resumed: atomic, finite, and written before it stops."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer

from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file
from beast_lp.runs.foreign import reason_of
from beast_lp.vit.safe_load import ARCHITECTURE_KEY, first_broken, read_checkpoint

logger = logging.getLogger(f'lightning_pose.{__name__}')

# signals that end a run from outside: Ctrl-C, `kill` and Slurm's pre-emption, and Slurm's early
# warning (`sbatch --signal=USR1@120`)
STOPPING = tuple(
    getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGUSR1') if hasattr(signal, name)
)

# what a run is resumed from
_STATES = (
    'epoch',
    'global_step',
    'loops',
    'optimizer_states',
    'lr_schedulers',
    ARCHITECTURE_KEY,
)


class Stopped(SystemExit):
    """The run was stopped from outside, after its state was saved."""


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes checkpoints that appear complete or not at all, and reads them without running code.

    Neither writes nor reads broken weights. Lightning's own writer holds a second copy of the
    checkpoint in memory, and on a full disk its error is several pages long; its reader runs what
    code the file holds.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,
    ) -> None:
        """Write a checkpoint; an earlier one stays until the new one is on the disk.

        Args:
            checkpoint: Lightning's checkpoint, with `state_dict` and `global_step`.
            path: final name.
            storage_options: not used.

        Raises:
            BeastError: if a weight is not finite or the disk is full; the earlier file stays.
        """
        path = Path(path)
        broken = first_broken(checkpoint['state_dict'])
        if broken:
            raise diverged(f'the weights of {broken} became non-finite', checkpoint['global_step'])
        path.parent.mkdir(parents=True, exist_ok=True)
        with finished_file(path) as part, part.open('wb') as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint without running code from it, as Lightning's own reader would.

        Args:
            path: file of the checkpoint.
            args: not used; versions of Lightning differ in them.
            kwargs: not used.

        Raises:
            BeastError: if the file is damaged, lacks a state, holds weights that are not finite or
                a class that is not known to be harmless.
        """
        content = read_checkpoint(Path(path))
        missing = [name for name in _STATES if content.get(name) in (None, [], {}, '')]
        if missing:
            # Lightning would begin some of the states anew, and say nothing
            raise BeastError(
                f'{path} is not the state of a run (it lacks {", ".join(missing)}); restore the '
                'file, or delete it to train from the start when you run the same command again'
            )
        return content


@contextmanager
def resuming(path: Path, signals: 'StopSignals') -> Iterator[None]:
    """Turn what Lightning raises for a checkpoint of another run into one sentence.

    Args:
        path: checkpoint from which the block starts a fit.
        signals: tells when the states of the checkpoint are restored.

    Raises:
        BeastError: if the checkpoint lacks states, or has those of another model.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise
    except (LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        if signals.listening or not path.exists():
            raise
        raise BeastError(
            f'{path} is not the state of this run ({reason_of(error)}); restore the file, or '
            'delete it to train from the start when you run the same command again'
        ) from error


def diverged(what: str, step: int) -> BeastError:
    """Return the error of a run that diverged.

    Args:
        what: beginning of the sentence, which states what became non-finite.
        step: optimiser steps until then.
    """
    return BeastError(
        f'{what} at step {step}; checkpoints/last.ckpt keeps the last good weights: lower '
        'beast.training.peak_learning_rate and start again in a new output directory'
    )


class StopSignals:
    """Remembers a signal that asks the process to end, so that it can save first.

    Used as a context around the run: Lightning installs handlers of its own when a fit starts, so
    `listen` is called after that, and leaving the context restores the earlier handlers.
    """

    def __init__(self) -> None:
        """Start without handlers; `listen` installs them."""
        # number of the signal; 0 for none
        self.received = 0
        # whether the fit has begun, all states being restored
        self.listening = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> 'StopSignals':
        """Remember the present handlers."""
        # only the main thread may install handlers
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in STOPPING}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the handlers that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def listen(self) -> None:
        """Take over the signals that end a run."""
        self.listening = True
        for number in self._before:
            signal.signal(number, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        logger.warning(
            f'beast: {signal.Signals(number).name} received; the run stops after this step, once '
            'its state is saved'
        )
        if number == signal.SIGINT:
            # a second Ctrl-C ends the process at once
            signal.signal(number, signal.default_int_handler)


class LastCheckpoint(Callback):
    """Keeps `last.ckpt`, from which the same command resumes the run.

    Written every so many minutes, at the end, and before a signal stops the run. By the clock and
    not by epochs: with few frames an epoch takes seconds, with many hours, and a ViT-B checkpoint
    is 1.3 GB.
    """

    def __init__(self, path: Path, minutes: float, signals: StopSignals) -> None:
        """Save to a path.

        Args:
            path: file of the checkpoint.
            minutes: minutes between two checkpoints.
            signals: signals that ask the run to stop.
        """
        self.path = path
        self.minutes = minutes
        self.signals = signals
        self._saved_at = time.monotonic()
        self._validating = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to signals, now that Lightning has installed its own handlers."""
        self.signals.listen()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save within an epoch, but not at its end, nor between accumulated batches."""
        if not trainer.is_last_batch and (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self._save(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save before the validation, which may be long."""
        self._validating = True
        self._save(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop if a signal came; a resumed run repeats the validation."""
        self._save(trainer, only_if_stopped=True)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the validation is complete."""
        self._validating = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if it is time, and at the end of the run."""
        self._save(trainer, at_once=trainer.current_epoch + 1 == trainer.max_epochs)

    def on_save_checkpoint(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Mark a state from before or within a validation, which a resumed run repeats."""
        if self._validating:
            # the state that Lightning records in the first batch: one started, none completed
            progress = checkpoint['loops']['fit_loop']['epoch_loop.val_loop.batch_progress']
            for part in ('total', 'current'):
                progress[part] = {'ready': 1, 'started': 1, 'processed': 0, 'completed': 0}

    def _save(
        self,
        trainer: Trainer,
        at_once: bool = False,
        only_if_stopped: bool = False,
    ) -> None:
        """Save in all processes if it is time in any of them, or a signal came."""
        due = at_once or time.monotonic() - self._saved_at >= self.minutes * 60
        wanted = (due and not only_if_stopped) or self.signals.received > 0
        agree = trainer.strategy.reduce_boolean_decision
        if not agree(wanted, all=False):
            return
        trainer.save_checkpoint(self.path)
        self._saved_at = time.monotonic()
        if agree(self.signals.received > 0, all=False):
            finished = trainer.current_epoch + 1 == trainer.max_epochs and not self._validating
            if finished and trainer.is_last_batch:
                # the last step is done and saved; the rest takes seconds
                return
            self._stop(trainer)

    def _stop(self, trainer: Trainer) -> None:
        # the other processes of the run may not have had the signal
        number = self.signals.received or signal.SIGTERM
        logger.warning(
            f'beast: stopped by {signal.Signals(number).name} after step {trainer.global_step}; '
            f'{self.path} holds the state, and the same command resumes the run'
        )
        # as a shell reports a process that a signal ended; another process that ends with an
        # error would make Lightning kill the main one while it closes its files
        raise Stopped(128 + number if trainer.is_global_zero else 0)
