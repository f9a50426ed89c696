"""Linear layers that compute their input again: as autograd has it, with less kept."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from beast_lp.vit.recompute import linear_of, linear_of_norm


@pytest.fixture
def layers() -> tuple[nn.LayerNorm, nn.Linear, nn.Linear]:
    """Return the layers of an MLP with nothing at its initial value."""
    torch.manual_seed(0)
    layers = nn.LayerNorm(6, eps=1e-3), nn.Linear(6, 10), nn.Linear(10, 6)
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.normal_(parameter)
    return layers


def _plain(norm: nn.LayerNorm, first: nn.Linear, second: nn.Linear, x: Tensor) -> Tensor:
    return second(functional.gelu(first(norm(x))))


def _ours(norm: nn.LayerNorm, first: nn.Linear, second: nn.Linear, x: Tensor) -> Tensor:
    return linear_of(functional.gelu, second, linear_of_norm(norm, first, x))


def _autocast(precision: str) -> AbstractContextManager[object]:
    return torch.autocast('cpu', torch.bfloat16) if precision == 'bf16' else nullcontext()


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
@pytest.mark.parametrize('shape', [(3, 5, 6), (4, 6), (1, 1, 6)])
def test_values_and_gradients_are_those_of_autograd(
    layers: tuple[nn.LayerNorm, nn.Linear, nn.Linear],
    shape: tuple[int, ...],
    precision: str,
) -> None:
    values = torch.randn(shape)
    weights = torch.randn(shape)
    found = {}
    for name, mlp in (('plain', _plain), ('ours', _ours)):
        x = values.clone().requires_grad_()
        for layer in layers:
            layer.zero_grad()
        with _autocast(precision):
            y = mlp(*layers, x)
        (y.float() * weights).sum().backward()
        parameters = [p for layer in layers for p in layer.parameters()]
        found[name] = [y, *(p.grad for p in [x, *parameters])]
    # in bf16 the sums are taken in another order
    rtol, atol = (1e-5, 1e-6) if precision == 'fp32' else (2e-2, 5e-2)
    for ours, plain in zip(found['ours'], found['plain'], strict=True):
        assert ours.dtype == plain.dtype
        torch.testing.assert_close(ours, plain, rtol=rtol, atol=atol)


def test_what_can_be_computed_again_is_not_kept(
    layers: tuple[nn.LayerNorm, nn.Linear, nn.Linear],
) -> None:
    parameters = {p.data_ptr() for layer in layers for p in layer.parameters()}

    def kept(mlp: Callable[..., Tensor]) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            if tensor.data_ptr() not in parameters:
                sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            alive = mlp(*layers, torch.randn(7, 6).requires_grad_())
        assert alive.requires_grad
        return sum(sizes.values())

    # the input and the hidden layer, against the norm of the one and the activation of the other
    # too (with the mean and the scale of every row)
    assert kept(_ours) == 7 * (6 + 10)
    assert kept(_plain) >= 7 * (6 + 6 + 10 + 10)
