"""Fit one segmenter to the features of scored videos; resumable, the same for the same seed."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from beast_lp.config.segmentation import FittingConfig
from beast_lp.errors import BeastError
from beast_lp.runs.progress import progress_bar
from beast_lp.runs.seeds import derive_seed, numpy_generator
from beast_lp.segmentation.fit_checkpoint import fit_identity, resume, save
from beast_lp.segmentation.held_out_curve import curve_point, is_past_its_best
from beast_lp.segmentation.labelling import UNSCORED, Labelling
from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.sequences import FrameSequence, read_batch, training_sequences
from beast_lp.segmentation.standardisation import fit_statistics
from beast_lp.segmentation.training_data import TrainingData, check_training_labels
from beast_lp.segmentation.training_length import with_length
from beast_lp.vit.optimiser import parameter_groups, schedule_factor

# decay of the weight matrices: AdamW's own default (Loshchilov and Hutter, ICLR 2019)
WEIGHT_DECAY = 0.01
# share of the probability that is spread over all classes (Szegedy et al., CVPR 2016): without it,
# the loss on held-out blocks of a fly rose threefold after a few passes
LABEL_SMOOTHING = 0.1


def class_weights(counts: Int[np.ndarray, ' answers']) -> Float[Tensor, ' answers']:
    """Return max(count) / count: the rarer a class, the more each of its frames counts.

    Args:
        counts: number of scored frames of each class, or with and without a behaviour; none of
            them 0.

    Examples:
        >>> class_weights(np.array([100, 50, 10])).tolist()
        [1.0, 2.0, 10.0]
    """
    return torch.from_numpy(counts.max() / counts).float()


def segmentation_loss(
    logits: Float[Tensor, 'frames classes'],
    target: Int[Tensor, ' frames'],
    weights: Sequence[Float[Tensor, ' answers']],
    labelling: Labelling,
) -> Float[Tensor, '']:
    """Return the weighted cross-entropy of the answers, averaged over the questions.

    With one question, that is the cross-entropy of the classes; with one for each behaviour, the
    binary cross-entropy of their sigmoids.

    Args:
        logits: output of the network.
        target: codes; `UNSCORED` frames do not count.
        weights: weights of the answers to each question.
        labelling: which questions there are.
    """
    answers = labelling.answers(target.cpu().numpy(), logits.shape[-1])
    loss = _evenly_smoothed if labelling.allows_several else _smoothed
    losses = [
        loss(own, torch.from_numpy(answer).to(logits.device), weight)
        for own, answer, weight in zip(
            labelling.split_logits(logits), answers, weights, strict=True
        )
    ]
    return torch.stack(losses).mean()


def _smoothed(
    logits: Float[Tensor, 'frames answers'],
    answers: Int[Tensor, ' frames'],
    weights: Float[Tensor, ' answers'],
) -> Float[Tensor, '']:
    """Return the smoothed cross-entropy, each logarithm weighted by its own answer.

    It predicts rare behaviours too often, which their F1 gains by: on a fly, macro-F1 of the
    ensemble was 0.55, 0.56, 0.62 and 0.71 (four kinds of features), and with each frame weighted
    by its answer 0.53, 0.49, 0.66 and 0.53 (2026-11-29).
    """
    return functional.cross_entropy(
        logits, answers, weights, ignore_index=UNSCORED, label_smoothing=LABEL_SMOOTHING
    )


def _evenly_smoothed(
    logits: Float[Tensor, 'frames answers'],
    answers: Int[Tensor, ' frames'],
    weights: Float[Tensor, ' answers'],
) -> Float[Tensor, '']:
    """Return the smoothed cross-entropy, each frame weighted by its answer.

    Weighted otherwise, the part of the probability that smoothing gives to a behaviour in frames
    without it counts as much as the behaviour itself: of one in less than 5 % of the frames, every
    frame would show it.
    """
    scored = answers != UNSCORED
    losses = functional.cross_entropy(
        logits[scored], answers[scored], reduction='none', label_smoothing=LABEL_SMOOTHING
    )
    own = weights[answers[scored]]
    return (own * losses).sum() / own.sum()


def _share_right(
    logits: Float[Tensor, 'frames classes'],
    target: Int[Tensor, ' frames'],
    labelling: Labelling,
) -> float:
    """Return the share of answers in scored frames that are the likeliest ones."""
    chosen = target != UNSCORED
    answers = labelling.answers(target[chosen].cpu().numpy(), logits.shape[-1])
    guesses = [
        part.argmax(dim=-1).cpu().numpy() for part in labelling.split_logits(logits[chosen])
    ]
    return float(np.mean([a == b for a, b in zip(answers, guesses, strict=True)]))


def fit_segmenter(
    model: Segmenter,
    data: TrainingData,
    classes: Sequence[str],
    settings: FittingConfig,
    seed: int,
    checkpoint: Path,
    name: str = 'training',
    held_out: TrainingData | None = None,
) -> list[dict[str, float]]:
    """Train a model in place, or resume from its checkpoint.

    The loss is `segmentation_loss`, in which rare answers weigh as much as common ones. Every
    random draw is keyed by the seed and the epoch, so that a run that was killed ends with the
    weights that it would have had.

    Args:
        model: untrained, built with the same seed.
        data: at least one scored frame of every class.
        classes: names, in the order of the class numbers.
        settings: optimiser and length of the run.
        seed: decides the sequences and the dropout.
        checkpoint: file to write, and to resume from where it exists; its folder exists.
        name: label of the progress bar.
        held_out: frames, in its `train`, that are scored after every epoch; training ends once
            their loss has had no new minimum for a while.

    Returns:
        one row per epoch: `epoch`, `loss`, `accuracy` (share of answers that are right in scored
        frames), `seconds`, and with `held_out` what `curve_point` returns.

    Raises:
        BeastError: if the loss is no longer a number, a class is missing, or the checkpoint is
            damaged or belongs to another run, for instance one on other labels.
    """
    check_training_labels(data, classes)
    settings = with_length(settings, len(data.codes()), data.runs())
    assert settings.epochs is not None
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    model.to(device)
    fit_statistics(model, data)
    weights = [class_weights(own).to(device) for own in data.answers(len(classes))]
    optimizer = torch.optim.AdamW(parameter_groups(model, WEIGHT_DECAY))
    identity = fit_identity(settings, seed, data, classes)
    history, first = resume(checkpoint, model, optimizer, identity, settings.epochs)
    saved_at = time.monotonic()
    epochs = progress_bar(
        range(first, settings.epochs),
        desc=name,
        unit='epoch',
        total=settings.epochs,
        initial=first,
    )
    for epoch in epochs:
        if held_out is not None and is_past_its_best(history, settings.epochs):
            break
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
        row: dict[str, float] = {'epoch': epoch, 'loss': loss, 'accuracy': accuracy}
        if held_out is not None:
            row |= curve_point(model, held_out)
        history.append(row | {'seconds': time.perf_counter() - started})
        epochs.set_postfix_str(f'loss {loss:.3f}, accuracy {accuracy:.3f}')
        last = epoch + 1 == settings.epochs or (
            held_out is not None and is_past_its_best(history, settings.epochs)
        )
        if last or time.monotonic() - saved_at >= settings.checkpoint_minutes * 60:
            save(checkpoint, model, optimizer, history, identity)
            saved_at = time.monotonic()
    epochs.close()
    model.eval()
    return history


def _epoch(
    model: Segmenter,
    data: TrainingData,
    settings: FittingConfig,
    seed: int,
    epoch: int,
    optimizer: torch.optim.Optimizer,
    weights: Sequence[Float[Tensor, ' answers']],
) -> tuple[float, float]:
    """Train for one epoch; return the mean loss and the share of answers that were right."""
    rng = numpy_generator(seed, 'segmentation', epoch)
    assert settings.sequence_frames is not None
    cut = training_sequences(data.train, settings.sequence_frames, model.context, rng)
    sequences = [sequence for sequence in cut if _has_labels(sequence, data)]
    device = next(model.parameters()).device
    model.train()
    losses, right, frames = [], 0.0, 0
    for step, start in enumerate(range(0, len(sequences), settings.batch_size)):
        chosen = sequences[start : start + settings.batch_size]
        batch = read_batch(chosen, data.features, data.target).to(device)
        with torch.random.fork_rng(devices=[device] if device.type == 'cuda' else []):
            torch.manual_seed(derive_seed(seed, 'dropout', epoch, step))
            logits = model(batch.features, batch.valid)
        logits, target = logits.flatten(0, 1), batch.target.flatten()
        loss = segmentation_loss(logits, target, weights, data.labelling)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        scored = int((target != UNSCORED).sum())
        right += scored * _share_right(logits.detach(), target, data.labelling)
        frames += scored
    return float(np.mean(losses)), right / max(frames, 1)


def _has_labels(sequence: FrameSequence, data: TrainingData) -> bool:
    target = data.target[sequence.video][sequence.start : sequence.stop]
    return bool((target != UNSCORED).any())
