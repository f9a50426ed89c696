"""The learning rate over the steps, and which parameters decay."""

import math
from typing import Any

from torch import nn


def peak_learning_rate(base: float, global_batch: int) -> float:
    """Scale the learning rate linearly with the global batch, in frames (Goyal et al. 2017)."""
    return base * global_batch / 256


def schedule_factor(step: int, total: int, warmup_fraction: float, floor: float) -> float:
    """Return the share of the peak learning rate at a step.

    Linear warm-up from the floor to 1, then a cosine back to the floor.
    """
    warmup = round(total * warmup_fraction)
    if step < warmup:
        return floor + (1 - floor) * step / warmup
    progress = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
    return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters: matrices decay; biases, norms and tokens do not."""
    decayed = [p for p in module.parameters() if p.requires_grad and p.ndim == 2]
    others = [p for p in module.parameters() if p.requires_grad and p.ndim != 2]
    return [
        {'params': decayed, 'weight_decay': weight_decay},
        {'params': others, 'weight_decay': 0.0},
    ]
