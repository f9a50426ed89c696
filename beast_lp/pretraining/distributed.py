"""Processes of a distributed run: their ranks, sums over them with gradients, and their launch.

In a run of one process, sums and gathered tensors are the tensors themselves.
"""

import datetime
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from torch import Tensor, distributed, nn
from torch.distributed import PrefixStore, Store, TCPStore  # pyright: ignore
from torch.distributed.rendezvous import rendezvous
from torch.nn import functional

from beast_lp.errors import BeastError

# longest time that the other processes wait for rank 0 to prepare the windows
_PREPARATION = datetime.timedelta(days=7)


def world_size() -> int:
    """Return the number of processes of this training run."""
    return distributed.get_world_size() if _running() else 1


def global_rank() -> int:
    """Return the rank of this process among them."""
    return distributed.get_rank() if _running() else 0


def sum_over_ranks(x: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; gradients flow back to each."""
    return _Sum.apply(x) if world_size() > 1 else x  # type: ignore[return-value]


def gather_over_ranks(x: Float[Tensor, 'local ...']) -> Float[Tensor, 'all ...']:
    """Concatenate the equally large tensors of all processes by rank; gradients flow back."""
    rows, rank = len(x), global_rank()
    around = (rank * rows, (world_size() - 1 - rank) * rows)
    # a sum with zeros is exact
    return sum_over_ranks(functional.pad(x, (*(0, 0) * (x.ndim - 1), *around)))


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm over the frames of all processes, on every device.

    torch's SyncBatchNorm refuses CPUs. On a (frames, channels) matrix this one costs two small
    sums over the ranks. Its weights have the names of torch's.
    """

    def forward(self, input: Float[Tensor, 'frames channels']) -> Float[Tensor, 'frames channels']:
        """Normalise by the statistics of the joined batch; in evaluation, by the running ones."""
        if not self.training or world_size() == 1:
            return super().forward(input)
        x = input.float()
        total = sum_over_ranks(torch.cat([x.sum(0), x.new_tensor([len(x)])]))
        count, mean = total[-1].detach(), total[:-1] / total[-1]
        # around the mean, not as the difference of two large numbers
        variance = sum_over_ranks((x - mean).square().sum(0)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        normal = (x - mean) * (variance + self.eps).rsqrt()
        return (normal * self.weight + self.bias).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class _Sum(torch.autograd.Function):
    """Sum over the ranks. Every rank's loss depends on it, so the gradient is a sum over them too.

    torch.distributed.nn.functional.all_reduce does the same, but is deprecated as of torch 2.15.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.detach().clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].contiguous().clone()
        distributed.all_reduce(total)
        return total


def _running() -> bool:
    return distributed.is_available() and distributed.is_initialized()


# ---------------------------------------------------------------------------------------------
# before Lightning has started the process group
# ---------------------------------------------------------------------------------------------


def launched_rank() -> int:
    """Return this process's rank as an outside launcher (torchrun, srun) or Lightning set it."""
    # Slurm's comes last: children that Lightning starts within a Slurm job inherit its 0
    for name in ('RANK', 'LOCAL_RANK', 'SLURM_PROCID'):
        if os.environ.get(name, '').isdigit():
            return int(os.environ[name])
    return 0


def launched_processes() -> int:
    """Return the number of processes that an outside launcher started; 0 if there is none."""
    if distributed.is_available() and distributed.is_torchelastic_launched():
        return int(os.environ['WORLD_SIZE'])
    if SLURMEnvironment.detect():
        return int(os.environ['SLURM_NTASKS'])
    return 0


def check_launch(num_devices: int, num_nodes: int) -> None:
    """Check that the launcher started as many processes as the settings ask for.

    Args:
        num_devices: devices of each machine (`training.num_gpus`).
        num_nodes: machines (`beast.num_nodes`).

    Raises:
        BeastError: if it did not, or this machine has fewer devices.
    """
    wanted, started = num_devices * num_nodes, launched_processes()
    if started and started != wanted:
        raise BeastError(
            f'the launcher started {started} processes, but training.num_gpus ({num_devices}) '
            f'times beast.num_nodes ({num_nodes}) is {wanted}; make the two agree'
        )
    if num_nodes > 1 and not started:
        raise BeastError(
            f'beast.num_nodes is {num_nodes}, but neither torchrun nor srun started this '
            'process; start the same command with one of them on every machine'
        )
    visible = torch.cuda.device_count()
    # without any, processes on the CPU take their place
    if 0 < visible < num_devices:
        raise BeastError(
            f'training.num_gpus is {num_devices}, but this process sees {visible}; lower it, or '
            'let it see more (CUDA_VISIBLE_DEVICES)'
        )


@contextmanager
def first_process_first() -> Iterator[bool]:
    """Let rank 0 of the launched processes run the block before all others.

    Lightning starts its own children later, so they wait for nothing.

    Yields:
        whether this process has rank 0.

    Raises:
        BeastError: if rank 0 ends within the block.
    """
    others, first = launched_processes() - 1, launched_rank() == 0
    if others < 1:
        yield first
        return
    store = _launch_store(first, others + 1)
    if first:
        yield True
        store.set('through', '1')
        # this process may serve the store, so it stays until all have read it
        while store.add('seen', 0) < others:
            time.sleep(0.05)
        return
    try:
        store.wait(['through'], _PREPARATION)
    except RuntimeError as error:
        raise BeastError('the first process has ended; its own message says why') from error
    yield False
    store.add('seen', 1)


def _launch_store(first: bool, processes: int) -> Store:
    """Return a key-value store of all launched processes, at the address that DDP will use."""
    if distributed.is_torchelastic_launched():
        store = next(iter(rendezvous('env://', timeout=_PREPARATION)))[0]
        prefix = f'beast/{os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)}'
    else:
        slurm = SLURMEnvironment()
        store = TCPStore(
            slurm.main_address,
            slurm.main_port,
            processes,
            first,
            _PREPARATION,
            wait_for_workers=False,
        )
        prefix = 'beast'
    return PrefixStore(prefix, store)
