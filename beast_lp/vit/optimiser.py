"""Learning rate over the steps, and weight decay by parameter."""

import math
from typing import Any

from torch import nn


def peak_learning_rate(base: float, global_batch: int) -> float:
    """Scale a learning rate linearly with the batch (Goyal et al. 2017).

    Args:
        base: learning rate for 256 frames.
        global_batch: frames of a step, over all devices and accumulated batches.

    Examples:
        >>> peak_learning_rate(5e-5, 512)
        0.0001
    """
    return base * global_batch / 256


def schedule_factor(step: int, total: int, warmup_fraction: float, floor: float) -> float:
    """Return the learning rate at a step as a share of its peak.

    A linear warm-up from the floor to 1, then a cosine back to the floor.

    Args:
        step: number of the step, from 0.
        total: steps of the whole run.
        warmup_fraction: share of the steps that warm up.
        floor: share of the peak at the first and at the last step.

    Examples:
        >>> [round(schedule_factor(step, 9, 0.25, 0.1), 2) for step in range(9)]
        [0.1, 0.55, 1.0, 0.94, 0.78, 0.55, 0.33, 0.16, 0.1]
    """
    warmup = round(total * warmup_fraction)
    if step < warmup:
        return floor + (1 - floor) * step / warmup
    progress = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
    return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters into matrices, which decay, and biases, norms and tokens, which do not.

    Args:
        module: module that is trained.
        weight_decay: decay of the matrices.

    Returns:
        groups for a torch optimizer.
    """
    decayed = [p for p in module.parameters() if p.requires_grad and p.ndim == 2]
    others = [p for p in module.parameters() if p.requires_grad and p.ndim != 2]
    return [
        {'params': decayed, 'weight_decay': weight_decay},
        {'params': others, 'weight_decay': 0.0},
    ]
