"""The loss of a frame classifier whose classes are unequal and whose labels have holes."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from beast_lp.segmentation.classes import UNSCORED


def class_weights(counts: Int[Tensor, ' classes']) -> Float[Tensor, ' classes']:
    """Return max(count) / count: the rarer a class, the more its frames count.

    Args:
        counts: scored frames of each class, none of them 0.
    """
    return counts.max() / counts.float()


def frame_loss(
    logits: Float[Tensor, 'batch frames classes'],
    target: Int[Tensor, 'batch frames'],
    weights: Float[Tensor, ' classes'] | None = None,
    focal_gamma: float = 0.0,
) -> Float[Tensor, '']:
    """Compute the weighted mean cross-entropy over the scored frames.

    Args:
        logits: of the classes.
        target: class numbers; frames that are `UNSCORED` do not count.
        weights: of the classes; the mean is over the weights, as in torch's cross-entropy.
        focal_gamma: 0 is the cross-entropy, more turns towards frames that are still wrong
            (focal loss: Lin et al., ICCV 2017).

    Returns:
        the loss; 0, and no gradient, where no frame is scored.
    """
    chosen = target != UNSCORED
    if not chosen.any():
        return logits.sum() * 0
    flat, wanted = logits[chosen], target[chosen]
    losses = functional.cross_entropy(flat, wanted, reduction='none')
    if focal_gamma:
        # the probability of the right class is exp(-cross-entropy)
        losses = losses * (1 - torch.exp(-losses)).clamp(min=0) ** focal_gamma
    if weights is None:
        return losses.mean()
    share = weights[wanted]
    return (share * losses).sum() / share.sum()
