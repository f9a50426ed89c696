"""Answers orders for training steps, one JSON line each; both sides of `training_step.py` use it.

Needs torch alone, since the authors' environment has nothing of ours.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch


def serve(loss: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
    """Do a whole step in the precision that each line of the standard input names.

    Args:
        loss: the forward pass.
        optimizer: of the weights.
    """
    print('ready', flush=True)
    for line in sys.stdin:
        precision = line.strip()
        torch.set_float32_matmul_precision('medium' if precision == 'medium' else 'highest')
        rate = matmul_rate(precision)
        _reset_peak()
        start = time.process_time()
        with _autocast(precision):
            value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        cpu = time.process_time() - start
        print(json.dumps({
            'cpu': cpu, 'loss': value.item(), 'peak': _peak(), 'rate': rate,
        }), flush=True)


def matmul_rate(precision: str) -> float:
    """Return the FLOP/s of a product of the size that ViT-B's MLPs have at batch 16."""
    kind = torch.bfloat16 if precision == 'bf16' else torch.float32
    a, b = torch.ones(800, 768, dtype=kind), torch.ones(768, 3072, dtype=kind)
    torch.mm(a, b)
    times = []
    for _ in range(5):
        start = time.process_time()
        torch.mm(a, b)
        times.append(time.process_time() - start)
    return 2 * 800 * 768 * 3072 / sorted(times)[2]


def _autocast(precision: str) -> AbstractContextManager[object]:
    return torch.autocast('cpu', torch.bfloat16) if precision == 'bf16' else nullcontext()


def _reset_peak() -> None:
    """Let the kernel count the peak anew (Linux)."""
    Path('/proc/self/clear_refs').write_text('5')


def _peak() -> float:
    """Return the peak of the resident memory since, in MB."""
    lines = Path('/proc/self/status').read_text().splitlines()
    (line,) = (line for line in lines if line.startswith('VmHWM'))
    return int(line.split()[1]) / 1000
