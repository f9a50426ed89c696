"""A linear layer that keeps what it was computed from, not what it read.

Autograd keeps the input of every linear layer for the gradient of its weights. Where that input is
a norm or an activation of something that is kept anyway, it is cheaper to compute it again than to
store it: in a transformer block that is a third of all activations, for a hundredth of the time.
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
        function: elementwise or a norm; whatever it reads that has a gradient is in `inputs`.
        linear: has a bias.
        inputs: of the function, the tensor (*batch, in) among them.
    """
    if torch.compiler.is_compiling():
        # the compiler chooses by itself what it keeps
        return linear(function(*inputs))
    weight, bias = linear.weight, linear.bias
    device = weight.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        weight, bias = weight.to(dtype), bias.to(dtype)
    return _LinearOf.apply(function, weight, bias, *inputs)  # type: ignore[return-value]


def linear_of_norm(norm: nn.LayerNorm, linear: nn.Linear, x: Tensor) -> Tensor:
    """Return `linear(norm(x))`, keeping `x` alone."""

    def normalise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)

    return linear_of(normalise, linear, x, norm.weight, norm.bias)


class _LinearOf(torch.autograd.Function):
    """Weights and bias come in the type that the product is computed in."""

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
