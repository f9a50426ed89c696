"""How many threads of a CPU share one training step."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from beast_lp.config import BeastConfig

# Channels of all visible tokens of a batch, below which threads wait for each other longer than
# they save. On two cores (images/s with one thread and with two, beside light work, 2026-11-29, by
# integration_tests/benchmarks/threads.py): `laptop`, 139,000 channels, 940 and 650; with twice its
# batch 1,050 and 920; `vit_tiny`, 614,000, 94 and 114.
_SMALL_STEP = 400_000


def small_step(config: BeastConfig) -> bool:
    """Return whether one thread trains faster than several.

    The answer depends on settings alone, since the number of threads decides the order of sums: a
    run that is resumed elsewhere must not end in other weights.

    Args:
        config: all settings.
    """
    model = config.model
    tokens = config.training.batch_size * (1 + model.num_visible)
    return tokens * model.hidden_size < _SMALL_STEP


@contextmanager
def suitable_threads(config: BeastConfig) -> Iterator[None]:
    """Let a small step run in one thread, unless the user chose a number (OMP_NUM_THREADS).

    Args:
        config: all settings.
    """
    before = torch.get_num_threads()
    if small_step(config) and 'OMP_NUM_THREADS' not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
