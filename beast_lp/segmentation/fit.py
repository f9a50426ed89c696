"""Training one model on the features of scored videos; resumable, the same for the same seed."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from beast_lp.config.segmentation import FittingConfig, HeadConfig
from beast_lp.errors import BeastError
from beast_lp.features.store import read_rows
from beast_lp.runs.files import finished_file
from beast_lp.runs.keys import digest
from beast_lp.runs.seeds import derive_seed, numpy_generator
from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.losses import class_weights, frame_loss
from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.sequences import (
    Batch,
    Features,
    Window,
    balanced_windows,
    cut,
    read_batch,
    stretches,
    training_windows,
)
from beast_lp.vit.optimiser import parameter_groups, schedule_factor

logger = logging.getLogger(f'lightning_pose.{__name__}')

# frames from which the channels' mean and deviation are measured, spread over all that are trained
_STATISTICS_FRAMES = 2048
# of runs of frames from which the size of the differences is measured
_GAIN_WINDOWS, _GAIN_FRAMES = 32, 32


@dataclass(frozen=True)
class TrainingData:
    """What a model is trained on, one entry per video.

    Attributes:
        features: rows of stored frames, memory-mapped.
        target: class of each row, `UNSCORED` where there is none.
        train: rows that may be looked at at all; what is held out, and the gaps, are false.
        origin: name and content of the video and what made its features, by which an interrupted
            run knows them again; empty where there is no such run.
    """

    features: Sequence[Features]
    target: Sequence[Int[np.ndarray, ' frames']]
    train: Sequence[Bool[np.ndarray, ' frames']]
    origin: Sequence[str] = ()

    def counts(self, classes: int) -> Int[np.ndarray, ' classes']:
        """Return the scored training frames of each class."""
        labels = np.concatenate(
            [target[mask] for target, mask in zip(self.target, self.train, strict=True)]
        )
        return np.bincount(labels[labels != UNSCORED], minlength=classes)

    def key(self, classes: Sequence[str]) -> str:
        """Return what differs as soon as videos, labels, classes or what is held out do."""
        shapes = [features.shape for features in self.features]
        content = digest(json.dumps([list(classes), list(self.origin), shapes]).encode())
        for target, mask in zip(self.target, self.train, strict=True):
            content.update(target.astype(np.int64).tobytes())
            content.update(mask.astype(bool).tobytes())
        return content.hexdigest()


def check_training_labels(data: TrainingData, classes: Sequence[str]) -> None:
    """Make sure that there is something to learn of every class.

    Raises:
        BeastError: if all frames are unscored, or a class never occurs in training.
    """
    counts = data.counts(len(classes))
    if not counts.any():
        frames = sum(int(mask.sum()) for mask in data.train)
        raise BeastError(
            f'all {frames} training frames are unscored, so there is nothing to learn from; score '
            'some, or set beast.segmentation.background=class if background is a behaviour'
        )
    missing = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if missing:
        raise BeastError(
            f'the class {missing[0]} never occurs in the training frames ('
            + ', '.join(f'{name} {count}' for name, count in zip(classes, counts, strict=True))
            + '); score more of it, change beast.segmentation.split, or add it to '
            'beast.segmentation.ignore'
        )


def train_segmenter(
    model: Segmenter,
    data: TrainingData,
    classes: Sequence[str],
    settings: FittingConfig,
    seed: int,
    checkpoint: Path,
    name: str = 'training',
) -> list[dict[str, float]]:
    """Train a model in place, or go on from its checkpoint.

    All draws of an epoch are keyed by the seed and the epoch, so that a run that was killed ends
    with the weights that it would have had.

    Args:
        model: untrained, built under the same seed.
        data: at least one scored frame of every class.
        classes: names.
        settings: of the optimiser and the run.
        seed: of the sequences and the dropout.
        checkpoint: state to resume from; its folder exists.
        name: for the progress bar.

    Returns:
        one row per epoch: `epoch`, `loss`, `accuracy` (share of scored frames), `seconds`.

    Raises:
        BeastError: if the loss is no longer a number, a class is missing, or the checkpoint is of
            another run, be it of other labels.
    """
    check_training_labels(data, classes)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    model.to(device)
    fit_statistics(model, data)
    weights = None
    if settings.class_weights == 'balanced':
        weights = class_weights(torch.from_numpy(data.counts(len(classes)))).to(device)
    optimizer, schedule = _optimizer(model, settings)
    identity = _identity(settings, seed, data, classes)
    history, first = _resume(checkpoint, model, optimizer, identity, settings.epochs)
    saved_at = time.monotonic()
    epochs = tqdm(range(first, settings.epochs), name, initial=first, total=settings.epochs)
    for epoch in epochs:
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group['lr'] = group['peak'] * schedule(epoch)
        loss, accuracy = _epoch(model, data, settings, seed, epoch, optimizer, weights)
        if not np.isfinite(loss):
            raise BeastError(
                f'the loss became {loss} in epoch {epoch}; lower '
                'beast.segmentation.fitting.learning_rate and start again in a new output '
                'directory'
            )
        history.append(
            {
                'epoch': epoch,
                'loss': loss,
                'accuracy': accuracy,
                'seconds': time.perf_counter() - started,
            }
        )
        epochs.set_postfix(loss=f'{loss:.3f}', accuracy=f'{accuracy:.3f}')
        last = epoch + 1 == settings.epochs
        if last or time.monotonic() - saved_at >= settings.checkpoint_minutes * 60:
            _save(checkpoint, model, optimizer, history, identity)
            saved_at = time.monotonic()
    model.eval()
    return history


def build_segmenter(
    features: Features,
    classes: int,
    head: HeadConfig,
    seed: int,
    tail: Callable[[], torch.nn.Module] | None = None,
) -> Segmenter:
    """Build an untrained model for features of this kind, its weights drawn by the seed.

    Args:
        features: of any video; patch tokens have three axes, vectors two.
        classes: to tell apart.
        head: sizes.
        seed: of the weights.
        tail: builds the backbone's last layers, where they are trained too.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, 'segmenter'))
        return Segmenter(
            features.shape[-1],
            classes,
            head.pooled_size if features.ndim == 3 else None,
            head.heads,
            head.hidden_size,
            head.blocks,
            head.lags,
            head.dropout,
            tail() if tail else None,
        )


@torch.no_grad()
def fit_statistics(model: Segmenter, data: TrainingData) -> None:
    """Measure the channels on training frames, spread evenly over all of them."""
    total = sum(int(mask.sum()) for mask in data.train)
    step = max(1, total // _STATISTICS_FRAMES)
    device = next(model.parameters()).device
    count, sums, squares = 0, None, None
    for features, mask in zip(data.features, data.train, strict=True):
        rows = np.flatnonzero(mask)[::step]
        for part in np.array_split(rows, max(1, len(rows) // 128)):
            if len(part) == 0:
                continue
            some = np.concatenate([read_rows(features, row, row + 1) for row in part])
            values = torch.from_numpy(some).to(device, torch.float32)
            if model.tail is not None:
                values = model.tail(values)
            flat = values.flatten(0, -2).double()
            count += len(flat)
            sums = flat.sum(dim=0) + (0 if sums is None else sums)
            squares = flat.square().sum(dim=0) + (0 if squares is None else squares)
    if sums is None or squares is None:
        raise BeastError('no frame is left to train on; hold out less (beast.segmentation.split)')
    mean = sums / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    model.standardise.fit(mean.float(), deviation.float())
    _fit_difference_gain(model, data)


def _fit_difference_gain(model: Segmenter, data: TrainingData) -> None:
    """Bring the frame differences of the untrained model to the spread of its vectors."""
    device = next(model.parameters()).device
    windows = [
        window
        for video, mask in enumerate(data.train)
        for start, stop in stretches(mask)
        for window in cut(video, start, stop, _GAIN_FRAMES, 0)
    ]
    vectors, steps = [], []
    for window in windows[:: max(1, len(windows) // _GAIN_WINDOWS)]:
        batch = read_batch([window], data.features)
        own = model.frame_vectors(batch.features.to(device))[0]
        vectors.append(own)
        steps.append(own.diff(dim=0))
    if not steps or not torch.cat(steps).numel():
        return
    spread = torch.cat(vectors).var(dim=0, correction=0).mean().sqrt()
    step = torch.cat(steps).square().mean().sqrt()
    # features that never change from frame to frame have no differences to scale
    if step > 1e-6 * spread:
        model.difference_gain.copy_(spread / step)


def _epoch(
    model: Segmenter,
    data: TrainingData,
    settings: FittingConfig,
    seed: int,
    epoch: int,
    optimizer: torch.optim.Optimizer,
    weights: Float[Tensor, ' classes'] | None,
) -> tuple[float, float]:
    """Train for one epoch; return the mean loss and the share of frames that were right."""
    rng = numpy_generator(seed, 'segmentation', epoch)
    windows = draw_windows(data, settings, model.context, rng)
    device = next(model.parameters()).device
    model.train()
    losses, right, frames = [], 0, 0
    for step, start in enumerate(range(0, len(windows), settings.batch_size)):
        chosen = windows[start : start + settings.batch_size]
        speeds = 1 + settings.time_stretch * rng.uniform(-1, 1, len(chosen))
        batch = _to(read_batch(chosen, data.features, data.target, speeds.tolist()), device)
        if not (batch.target != UNSCORED).any():
            continue
        with torch.random.fork_rng(devices=[device] if device.type == 'cuda' else []):
            torch.manual_seed(derive_seed(seed, 'dropout', epoch, step))
            logits = model(batch.features, batch.valid)
        loss = frame_loss(
            logits,
            batch.target,
            weights,
            settings.focal_gamma if settings.loss == 'focal' else 0.0,
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scored = batch.target != UNSCORED
        losses.append(loss.item())
        right += int((logits.argmax(dim=-1) == batch.target)[scored].sum())
        frames += int(scored.sum())
    return float(np.mean(losses)), right / max(frames, 1)


def draw_windows(
    data: TrainingData,
    settings: FittingConfig,
    context: int,
    rng: np.random.Generator,
) -> list[Window]:
    """Draw the windows of an epoch."""
    if settings.sampling == 'balanced':
        return balanced_windows(data.train, data.target, settings.sequence_frames, context, rng)
    return training_windows(data.train, settings.sequence_frames, context, rng)


def _to(batch: Batch, device: torch.device) -> Batch:
    return Batch(batch.features.to(device), batch.target.to(device), batch.valid.to(device))


def _optimizer(
    model: Segmenter,
    settings: FittingConfig,
) -> tuple[torch.optim.Optimizer, Callable[[int], float]]:
    """Build AdamW with the backbone's layers at their own rate, and the rate's schedule."""
    tail = {id(p) for p in (model.tail.parameters() if model.tail else ())}
    groups = []
    for group in parameter_groups(model, settings.weight_decay):
        for slow in (False, True):
            chosen = [p for p in group['params'] if (id(p) in tail) == slow]
            peak = settings.learning_rate * (settings.unfrozen_rate if slow else 1.0)
            if chosen:
                groups.append({**group, 'params': chosen, 'lr': peak, 'peak': peak})
    optimizer = torch.optim.AdamW(groups)
    return optimizer, lambda epoch: schedule_factor(epoch, settings.epochs, 0.05, 0.01)


def _resume(
    checkpoint: Path,
    model: Segmenter,
    optimizer: torch.optim.Optimizer,
    identity: dict[str, Any],
    epochs: int,
) -> tuple[list[dict[str, float]], int]:
    """Load a checkpoint, if there is one; return the history and the next epoch."""
    if not checkpoint.exists():
        return [], 0
    state: dict[str, Any] = torch.load(checkpoint, map_location='cpu', weights_only=True)
    if state['settings'] != identity:
        raise BeastError(
            f'{checkpoint.parent} holds an unfinished run with other settings or labels: a label '
            'file, a video or what made the features was added, removed or changed since; restore '
            'it to continue the run, or give another --output_dir to train on what is there now'
        )
    model.load_state_dict(state['model'])
    optimizer.load_state_dict(state['optimizer'])
    history = state['history']
    if len(history) < epochs:
        logger.info(f'beast: continuing after epoch {len(history)} of {epochs}')
    return history, len(history)


def _save(
    checkpoint: Path,
    model: Segmenter,
    optimizer: torch.optim.Optimizer,
    history: list[dict[str, float]],
    identity: dict[str, Any],
) -> None:
    with finished_file(checkpoint) as part:
        torch.save(
            {
                'model': model.state_dict(),
                'optimizer': optimizer.state_dict(),
                'history': history,
                'settings': identity,
            },
            part,
        )


def _identity(
    settings: FittingConfig,
    seed: int,
    data: TrainingData,
    classes: Sequence[str],
) -> dict[str, Any]:
    """Return what makes two trainings the same."""
    values = asdict(settings)
    for name in ('checkpoint_minutes', 'ensemble'):
        del values[name]
    return {**values, 'seed': seed, 'data': data.key(classes)}
