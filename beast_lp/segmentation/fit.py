"""Fit one segmenter to the features of scored videos; resumable, the same for the same seed."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from beast_lp.config.segmentation import FittingConfig
from beast_lp.errors import BeastError
from beast_lp.features.store import read_rows
from beast_lp.runs.files import finished_file
from beast_lp.runs.keys import digest
from beast_lp.runs.readable import check_readable
from beast_lp.runs.seeds import derive_seed, numpy_generator
from beast_lp.runs.settings import run_difference
from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.sequences import (
    Features,
    cut_sequences,
    read_batch,
    stretches,
    training_sequences,
)
from beast_lp.vit.optimiser import parameter_groups, schedule_factor
from beast_lp.vit.safe_load import damaged_part

logger = logging.getLogger(f'lightning_pose.{__name__}')

# settings of the fit that a resumed run may change
_MAY_DIFFER = ('checkpoint_minutes', 'ensemble')
# decay of the weight matrices: AdamW's own default (Loshchilov and Hutter, ICLR 2019)
WEIGHT_DECAY = 0.01
# frames from which the channels' mean and deviation are measured, spread over all training frames
_STATISTICS_FRAMES = 2048
# number and length of the sequences from which the size of the frame differences is measured
_GAIN_SEQUENCES, _GAIN_FRAMES = 32, 32


@dataclass(frozen=True)
class TrainingData:
    """The frames that a model is trained on, one entry per video.

    Attributes:
        features: rows of stored frames, memory-mapped.
        target: class of each row, `UNSCORED` where there is none.
        train: rows that the model may see at all; held-out rows and gaps are false.
        origin: name and content of the video and the maker of its features, by which an
            interrupted run recognises them; empty where no run will be resumed.
    """

    features: Sequence[Features]
    target: Sequence[Int[np.ndarray, ' frames']]
    train: Sequence[Bool[np.ndarray, ' frames']]
    origin: Sequence[str] = ()

    def counts(self, classes: int) -> Int[np.ndarray, ' classes']:
        """Return the number of scored training frames of each class."""
        labels = np.concatenate(
            [target[mask] for target, mask in zip(self.target, self.train, strict=True)]
        )
        return np.bincount(labels[labels != UNSCORED], minlength=classes)

    def key(self, classes: Sequence[str]) -> str:
        """Hash the videos, the labels, the classes and the split."""
        shapes = [features.shape for features in self.features]
        content = digest(json.dumps([list(classes), list(self.origin), shapes]).encode())
        for target, mask in zip(self.target, self.train, strict=True):
            content.update(target.astype(np.int64).tobytes())
            content.update(mask.astype(bool).tobytes())
        return content.hexdigest()


def check_training_labels(data: TrainingData, classes: Sequence[str]) -> None:
    """Check that every class occurs in the training frames.

    Args:
        data: the training frames.
        classes: names, in the order of the class numbers.

    Raises:
        BeastError: if all frames are unscored, or a class never occurs.
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


def class_weights(counts: Int[np.ndarray, ' classes']) -> Float[Tensor, ' classes']:
    """Return max(count) / count: the rarer a class, the more each of its frames counts.

    Args:
        counts: number of scored frames of each class, none of them 0.

    Examples:
        >>> class_weights(np.array([100, 50, 10])).tolist()
        [1.0, 2.0, 10.0]
    """
    return torch.from_numpy(counts.max() / counts).float()


def fit_segmenter(
    model: Segmenter,
    data: TrainingData,
    classes: Sequence[str],
    settings: FittingConfig,
    seed: int,
    checkpoint: Path,
    name: str = 'training',
) -> list[dict[str, float]]:
    """Train a model in place, or resume from its checkpoint.

    The loss is the cross-entropy over the scored frames, weighted by class. Every random draw is
    keyed by the seed and the epoch, so that a run that was killed ends with the weights that it
    would have had.

    Args:
        model: untrained, built with the same seed.
        data: at least one scored frame of every class.
        classes: names, in the order of the class numbers.
        settings: optimiser and length of the run.
        seed: decides the sequences and the dropout.
        checkpoint: file to write, and to resume from where it exists; its folder exists.
        name: label of the progress bar.

    Returns:
        one row per epoch: `epoch`, `loss`, `accuracy` (share of scored frames), `seconds`.

    Raises:
        BeastError: if the loss is no longer a number, a class is missing, or the checkpoint is
            damaged or belongs to another run, for instance one on other labels.
    """
    check_training_labels(data, classes)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    model.to(device)
    fit_statistics(model, data)
    weights = class_weights(data.counts(len(classes))).to(device)
    optimizer = torch.optim.AdamW(parameter_groups(model, WEIGHT_DECAY))
    identity = _identity(settings, seed, data, classes)
    history, first = _resume(checkpoint, model, optimizer, identity, settings.epochs)
    saved_at = time.monotonic()
    epochs = tqdm(range(first, settings.epochs), name, initial=first, total=settings.epochs)
    for epoch in epochs:
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group['lr'] = settings.learning_rate * schedule_factor(
                epoch, settings.epochs, warmup_fraction=0.05, floor=0.01
            )
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


@torch.no_grad()
def fit_statistics(model: Segmenter, data: TrainingData) -> None:
    """Measure the channels' mean and deviation on training frames, spread evenly over all.

    Args:
        model: untrained; its standardisation and its gain of the frame differences are set.
        data: the training frames.

    Raises:
        BeastError: if there is no training frame.
    """
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
            flat = torch.from_numpy(some).to(device, torch.float32).flatten(0, -2).double()
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
    """Scale the frame differences of the untrained model to the spread of its frame vectors."""
    device = next(model.parameters()).device
    sequences = [
        sequence
        for video, mask in enumerate(data.train)
        for start, stop in stretches(mask)
        for sequence in cut_sequences(video, start, stop, _GAIN_FRAMES, context=0)
    ]
    vectors, steps = [], []
    for sequence in sequences[:: max(1, len(sequences) // _GAIN_SEQUENCES)]:
        batch = read_batch([sequence], data.features)
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
    weights: Float[Tensor, ' classes'],
) -> tuple[float, float]:
    """Train for one epoch; return the mean loss and the share of scored frames that were right."""
    rng = numpy_generator(seed, 'segmentation', epoch)
    sequences = training_sequences(data.train, settings.sequence_frames, model.context, rng)
    device = next(model.parameters()).device
    model.train()
    losses, right, frames = [], 0, 0
    for step, start in enumerate(range(0, len(sequences), settings.batch_size)):
        chosen = sequences[start : start + settings.batch_size]
        batch = read_batch(chosen, data.features, data.target).to(device)
        scored = batch.target != UNSCORED
        if not scored.any():
            continue
        with torch.random.fork_rng(devices=[device] if device.type == 'cuda' else []):
            torch.manual_seed(derive_seed(seed, 'dropout', epoch, step))
            logits = model(batch.features, batch.valid)
        loss = functional.cross_entropy(
            logits.flatten(0, 1), batch.target.flatten(), weights, ignore_index=UNSCORED
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        right += int((logits.argmax(dim=-1) == batch.target)[scored].sum())
        frames += int(scored.sum())
    return float(np.mean(losses)), right / max(frames, 1)


def _resume(
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
        model.load_state_dict(state['model'])
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


def _save(
    checkpoint: Path,
    model: Segmenter,
    optimizer: torch.optim.Optimizer,
    history: list[dict[str, float]],
    identity: dict[str, Any],
) -> None:
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


def _identity(
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
