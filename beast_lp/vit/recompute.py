"""Linear layers whose input is computed again in the backward pass instead of kept.

Autograd keeps the input of every linear layer for the gradient of its weights. Where that input is
the norm or the activation of a tensor that is kept anyway, computing it again saves a third of the
activations of a transformer block and costs a hundredth of the time.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def linear_of(
    function: Callable[..., Tensor],
    linear: nn.Linear,
    *inputs: Tensor,
) -> Float[Tensor, '*batch out']:
    """Return `linear(function(*inputs))`; `function` runs once more in the backward pass.

    Args:
        function: elementwise function or norm; every tensor with a gradient that it reads is one
            of `inputs`.
        linear: linear layer with a bias.
        inputs: arguments of the function, one of which has the shape (*batch, in).
    """
    weight, bias = linear.weight, linear.bias
    device = weight.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        weight, bias = weight.to(dtype), bias.to(dtype)
    return _LinearOf.apply(function, weight, bias, *inputs)  # type: ignore[return-value]


def linear_of_norm(norm: nn.LayerNorm, linear: nn.Linear, x: Tensor) -> Tensor:
    """Return `linear(norm(x))` and keep only `x`."""

    def normalise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)

    return linear_of(normalise, linear, x, norm.weight, norm.bias)


class _LinearOf(torch.autograd.Function):
    """Autograd function of `linear_of`; weight and bias have the type of the product."""

    @staticmethod
    def forward(
        ctx: Any,
        function: Callable[..., Tensor],
        weight: Tensor,
        bias: Tensor,
        *inputs: Tensor,
    ) -> Tensor:
        ctx.function = function
        ctx.save_for_backward(weight, *inputs)
        return functional.linear(function(*inputs).to(weight.dtype), weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight, *inputs = ctx.saved_tensors
        inputs = [x.detach().requires_grad_() for x in inputs]
        with torch.enable_grad():
            read = ctx.function(*inputs)
        above = grads[0].flatten(0, -2)
        of_read = (above @ weight).to(read.dtype).view_as(read)
        of_weight = above.T @ read.detach().to(weight.dtype).flatten(0, -2)
        return None, of_weight, above.sum(0), *torch.autograd.grad(read, inputs, of_read)
