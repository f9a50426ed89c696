"""Optimisers, learning rate over the steps, and weight decay by parameter.

Adding a new optimiser:

1. write a function like `adamw`, and enter it in `OPTIMISERS` by its name
2. add the name and its help to the choices of `TrainingConfig.optimizer` in
   `beast_lp/config/pretraining.py`, and run `python -m beast_lp.config.document`
3. the tests of every optimiser in `tests/vit/test_optimiser.py` include it already
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from beast_lp.config import TrainingConfig
from beast_lp.errors import BeastError

# decay of AdamW's first moment, about which the authors' schedule cycles it (0.95, 0.85, 0.95)
_BETA1 = 0.9


def adamw(module: nn.Module, peak: float, settings: TrainingConfig) -> torch.optim.Optimizer:
    """Build AdamW (Loshchilov and Hutter, 2019) for all parameters.

    Args:
        module: module that is trained.
        peak: learning rate at the peak of the schedule.
        settings: weight decay and the decay of the second moment.
    """
    return torch.optim.AdamW(
        parameter_groups(module, settings.weight_decay),
        lr=peak,
        betas=(_BETA1, settings.beta2),
        fused=True,
    )


def muon(module: nn.Module, peak: float, settings: TrainingConfig) -> torch.optim.Optimizer:
    """Build Muon (Jordan et al. 2024) for the matrices of the blocks, AdamW for the rest.

    Muon makes every update of a matrix orthogonal; scaled to the size of AdamW's updates (Liu et
    al. 2025, arXiv 2502.16982) it takes the same learning rate and weight decay.

    Args:
        module: module that is trained.
        peak: learning rate at the peak of the schedule, of both.
        settings: weight decay, and the decay of AdamW's second moment.

    Raises:
        BeastError: if this version of torch has no Muon.
    """
    if not hasattr(torch.optim, 'Muon'):
        raise BeastError(
            f'beast.training.optimizer=muon needs torch 2.9, found {torch.__version__}; upgrade '
            'torch, or set beast.training.optimizer=adamw'
        )
    matrices = {
        parameter
        for name, parameter in module.named_parameters()
        if 'blocks.' in name and parameter.ndim == 2
    }
    decayed, others = parameter_groups(module, settings.weight_decay)
    rest = {**decayed, 'params': [p for p in decayed['params'] if p not in matrices]}
    return JointOptimizer(
        [
            torch.optim.Muon(
                [p for p in decayed['params'] if p in matrices],
                lr=peak,
                weight_decay=settings.weight_decay,
                adjust_lr_fn='match_rms_adamw',
            ),
            torch.optim.AdamW([rest, others], lr=peak, betas=(_BETA1, settings.beta2), fused=True),
        ]
    )


# each takes the module, the peak of the learning rate and the settings
OPTIMISERS: dict[str, Callable[[nn.Module, float, TrainingConfig], torch.optim.Optimizer]] = {
    'adamw': adamw,
    'muon': muon,
}


class JointOptimizer(torch.optim.Optimizer):
    """Several optimisers of disjoint parameters as one, for schedulers and checkpoints."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        """Join optimisers, which are from then on stepped by this one alone."""
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step every part.

        Args:
            closure: function that computes the gradients, and the loss, which is returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of all parts."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """Let the parts work on the states and groups of this optimiser."""
        groups = iter(self.param_groups)
        for part in self.parts:
            part.state = self.state
            part.param_groups = [next(groups) for _ in part.param_groups]


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
