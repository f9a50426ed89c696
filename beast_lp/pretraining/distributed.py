"""Processes of a distributed run: their ranks, and sums over them with gradients.

In a run of one process, sums and gathered tensors are the tensors themselves.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.nn import functional


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
