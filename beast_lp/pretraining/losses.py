"""The objective: pure functions on tensors (Wang, Yu et al., ICLR 2026, arXiv 2507.09513).

L = reconstruction_weight * L_MSE + contrastive_weight * L_InfoNCE: the terms of `TERMS`.

Adding a new loss term:

1. write it here as a function of `Outputs` and `LossConfig`, and enter it in `TERMS` by its name
2. add its weight `<name>_weight` and its help to `LossConfig` in `beast_lp/config/pretraining.py`
3. test it against a slow loop in `tests/pretraining/test_losses.py`

A weight of 0 leaves the term out. `metrics.csv` gets its columns `train_<name>` and `val_<name>`.

Adding a new form of the contrastive term:

1. enter in `FORMS` which frames are queries
2. add its name and help to the choices of `LossConfig.contrastive_form`
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from beast_lp.config import LossConfig

# anchors that are looked up at once: all similarities of a large run would take gigabytes
_QUERIES = 1024


class Outputs(NamedTuple):
    """Everything that a loss term may read of a batch."""

    # pixels of the masked patches; the prediction is absent where the decoder is left out
    prediction: Float[Tensor, 'images masked pixels'] | None
    target: Float[Tensor, 'images masked pixels']
    # projections (CLS tokens where the projection is left out), in the same order
    anchors: Float[Tensor, 'pairs dim']
    positives: Float[Tensor, 'pairs dim']
    # pairs of this process; the others were gathered from other processes
    own: slice
    temperature: Float[Tensor, ''] | float


def reconstruction_loss(
    prediction: Float[Tensor, 'images masked pixels'],
    target: Float[Tensor, 'images masked pixels'],
    norm_pix: bool = False,
) -> Float[Tensor, '']:
    """Return the mean squared error over the masked patches (He et al. 2022, section 3).

    Args:
        prediction: predicted pixels of the masked patches.
        target: their true pixels, ImageNet-normalised.
        norm_pix: compare with pixels normalised to mean 0 and variance 1 within each patch.

    Examples:
        >>> target = torch.tensor([[[0.0, 2.0], [1.0, 1.0]]])
        >>> reconstruction_loss(torch.ones(1, 2, 2), target)
        tensor(0.5000)
    """
    if norm_pix:
        mean, scale = patch_statistics(target)
        target = (target - mean) / scale
    return functional.mse_loss(prediction.float(), target.float())


def patch_statistics(
    patches: Float[Tensor, 'images masked pixels'],
) -> tuple[Float[Tensor, 'images masked 1'], Float[Tensor, 'images masked 1']]:
    """Return the mean and the (never zero) standard deviation of each patch's pixels."""
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return mean, (variance + 1e-6).sqrt()


# rows of the queries among the anchors followed by the positives, from the rows of their pairs'
# anchors and the number of pairs
FORMS: dict[str, Callable[[Int[Tensor, ' queries'], int], Int[Tensor, ' rows']]] = {
    'symmetric': lambda rows, pairs: torch.cat([rows, rows + pairs]),
    'anchors': lambda rows, pairs: rows,
}


def info_nce(
    anchors: Float[Tensor, 'pairs dim'],
    positives: Float[Tensor, 'pairs dim'],
    temperature: float | Float[Tensor, ''] = 1.0,
    form: str = 'symmetric',
    queries: slice = slice(None),
) -> Float[Tensor, '']:
    """Contrast every query with its partner against all other frames of the batch.

    The candidates of a frame i are all j != i of the 2 * pairs frames; similarities are cosines
    over the temperature.

    Args:
        anchors: projections of the anchors, of any length.
        positives: projections of their positives, in the same order.
        temperature: divisor of the cosines.
        form: `symmetric` takes anchors and positives as queries (NT-Xent, Chen et al. 2020, and
            the authors' package); `anchors` takes the anchors alone (the paper's sum, -(2/B) over
            B/2 anchors).
        queries: pairs whose frames are queries; the others are candidates alone, such as the
            frames of other processes. All of them by default.

    Examples:
        >>> anchors, positives = torch.eye(2), torch.eye(2)
        >>> info_nce(anchors, positives)
        tensor(0.5514)
        >>> info_nce(anchors, positives.flip(0))
        tensor(1.5514)
    """
    pairs = len(anchors)
    rows = FORMS[form](torch.arange(pairs, device=anchors.device)[queries], pairs)
    itself = rows[:, None] == torch.arange(2 * pairs, device=anchors.device)
    # autocast would round the factors to bf16, and a low temperature multiplies what that costs
    with torch.autocast(anchors.device.type, enabled=False):
        frames = functional.normalize(torch.cat([anchors, positives]).float(), dim=-1)
        cosines = frames[rows] @ frames.T
    logits = (cosines / temperature).masked_fill(itself, -torch.inf)
    return functional.cross_entropy(logits, (rows + pairs) % (2 * pairs))


def contrastive_chance(pairs: int) -> float:
    """Return the contrastive loss of a batch whose frames all look alike to the model.

    Args:
        pairs: pairs among whose frames each query looks for its partner.

    Examples:
        >>> round(contrastive_chance(2), 4), float(info_nce(torch.ones(2, 3), torch.ones(2, 3)))
        (1.0986, 1.0986123085021973)
    """
    return math.log(2 * pairs - 1)


def _reconstruction(outputs: Outputs, settings: LossConfig) -> Float[Tensor, '']:
    assert outputs.prediction is not None
    return reconstruction_loss(outputs.prediction, outputs.target, settings.norm_pix_loss)


def _contrastive(outputs: Outputs, settings: LossConfig) -> Float[Tensor, '']:
    return info_nce(
        outputs.anchors,
        outputs.positives,
        outputs.temperature,
        settings.contrastive_form,
        outputs.own,
    )


# by its name, whose weight is the setting `<name>_weight`
TERMS: dict[str, Callable[[Outputs, LossConfig], Float[Tensor, '']]] = {
    'reconstruction': _reconstruction,
    'contrastive': _contrastive,
}


def objective(outputs: Outputs, settings: LossConfig) -> dict[str, Float[Tensor, '']]:
    """Return the weighted sum, as `loss`, and each term whose weight is not 0, by its name.

    Args:
        outputs: what the model makes of a batch.
        settings: weights and options of the terms.
    """
    weights = {name: getattr(settings, f'{name}_weight') for name in TERMS}
    losses = {name: TERMS[name](outputs, settings) for name, weight in weights.items() if weight}
    total = sum((weights[name] * loss for name, loss in losses.items()), torch.tensor(0.0))
    return {'loss': total, **losses}


def nearest_frame(
    anchors: Float[Tensor, 'pairs dim'],
    positives: Float[Tensor, 'pairs dim'],
) -> Int[Tensor, ' pairs']:
    """Return, for every anchor, the most similar other frame among all anchors and positives.

    Args:
        anchors: vectors of the anchors, of any length.
        positives: vectors of their positives, in the same order.

    Returns:
        indices into the anchors followed by the positives: `pairs + i` is anchor i's positive.

    Examples:
        >>> nearest_frame(torch.eye(3), torch.eye(3)[[0, 2, 1]])
        tensor([3, 5, 4])
    """
    pairs = len(anchors)
    frames = functional.normalize(torch.cat([anchors, positives]).float(), dim=-1)
    nearest = []
    for start in range(0, pairs, _QUERIES):
        similarity = frames[start : start + _QUERIES][: pairs - start] @ frames.T
        # a frame is not its own neighbour
        similarity.diagonal(start).fill_(-2)
        nearest.append(similarity.argmax(-1))
    return torch.cat(nearest)


def retrieval_accuracy(nearest: Int[Tensor, ' pairs']) -> Float[Tensor, '']:
    """Return the share of anchors whose nearest frame is their positive; chance is 1/(2n - 1).

    Args:
        nearest: as `nearest_frame` returns it.

    Examples:
        >>> retrieval_accuracy(torch.tensor([3, 5, 4]))
        tensor(0.3333)
    """
    pairs = len(nearest)
    positives = torch.arange(pairs, 2 * pairs, device=nearest.device)
    return (nearest == positives).float().mean()
