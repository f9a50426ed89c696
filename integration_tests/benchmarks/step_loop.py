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

# of each order; a GPU's first steps in a precision choose kernels, and its launches run ahead
_STEPS = {'cpu': (0, 1), 'cuda': (3, 10)}


def serve(
    loss: Callable[[], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    device: str,
) -> None:
    """Do whole steps in the precision that each line of the standard input names.

    Args:
        loss: the forward pass.
        optimizer: of the weights.
        device: `cpu`, whose CPU seconds count, or `cuda`, whose time counts.
    """
    warm_up, steps = _STEPS[device]

    def step(precision: str) -> torch.Tensor:
        with _autocast(precision, device):
            value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value

    print('ready', flush=True)
    for line in sys.stdin:
        precision = line.strip()
        torch.set_float32_matmul_precision('medium' if precision == 'medium' else 'highest')
        rate = matmul_rate(precision, device)
        for _ in range(warm_up):
            step(precision)
        _reset_peak(device)
        start = _now(device)
        values = [step(precision) for _ in range(steps)]
        seconds = (_now(device) - start) / steps
        print(
            json.dumps(
                {
                    'seconds': seconds,
                    'loss': values[0].item(),
                    'peak': _peak(device),
                    'rate': rate,
                }
            ),
            flush=True,
        )


def matmul_rate(precision: str, device: str) -> float:
    """Return the FLOP/s of a product as in ViT-B's MLPs: at batch 16 on a CPU, 1,024 on a GPU."""
    rows = {'cpu': 800, 'cuda': 51_200}[device]
    kind = torch.bfloat16 if precision == 'bf16' else torch.float32
    a, b = (torch.randn(shape, dtype=kind, device=device) for shape in ((rows, 768), (768, 3072)))
    torch.mm(a, b)
    times = []
    for _ in range(5):
        start = _now(device)
        torch.mm(a, b)
        times.append(_now(device) - start)
    return 2 * rows * 768 * 3072 / sorted(times)[2]


def _now(device: str) -> float:
    """Return seconds: of the CPU, or of the clock once the GPU has done what it was given."""
    if device == 'cpu':
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def _autocast(precision: str, device: str) -> AbstractContextManager[object]:
    return torch.autocast(device, torch.bfloat16) if precision == 'bf16' else nullcontext()


def _reset_peak(device: str) -> None:
    """Count the peak anew; on a CPU the kernel does (Linux)."""
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    else:
        Path('/proc/self/clear_refs').write_text('5')


def _peak(device: str) -> float:
    """Return the peak of the resident memory, or of the GPU's, since, in MB."""
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 1e6
    lines = Path('/proc/self/status').read_text().splitlines()
    (line,) = (line for line in lines if line.startswith('VmHWM'))
    return int(line.split()[1]) / 1000
