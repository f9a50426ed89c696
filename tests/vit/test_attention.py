"""Both ways to attend against a slow loop, with their gradients."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from beast_lp.vit import attention
from beast_lp.vit.attention import attend, chunked, fused


def _slow(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    result = torch.zeros_like(query)
    for image in range(len(query)):
        for head in range(query.shape[2]):
            for token in range(query.shape[1]):
                products = [query[image, token, head] @ other for other in key[image, :, head]]
                weights = (torch.stack(products) / query.shape[-1] ** 0.5).softmax(dim=0)
                result[image, token, head] = weights @ value[image, :, head]
    return result


@pytest.mark.parametrize('way', [chunked, fused, attend])
@pytest.mark.parametrize(
    ('images', 'queries', 'keys', 'heads', 'dim'),
    [
        (1, 1, 1, 1, 4),
        (3, 5, 5, 2, 8),
        (5, 3, 7, 1, 8),
        (2, 4, 9, 3, 16),
    ],
)
@pytest.mark.parametrize('kept', [0, 10_000])
def test_attention_equals_a_slow_loop(
    way: Callable[..., Tensor],
    images: int,
    queries: int,
    keys: int,
    heads: int,
    dim: int,
    kept: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # several chunks, one of them smaller
    monkeypatch.setattr(attention, '_CHUNK_SCORES', 2 * heads * queries * keys)
    monkeypatch.setattr(attention, '_KEPT_SCORES', kept)
    torch.manual_seed(0)
    inputs = [
        torch.randn(images, n, heads, dim, dtype=torch.float64, requires_grad=True)
        for n in (queries, keys, keys)
    ]
    before = [x.detach().clone() for x in inputs]
    fast, slow = way(*inputs), _slow(*inputs)
    torch.testing.assert_close(fast, slow)
    above = torch.randn_like(slow)
    for a, b in zip(
        torch.autograd.grad(fast, inputs, above),
        torch.autograd.grad(slow, inputs, above),
        strict=True,
    ):
        torch.testing.assert_close(a, b)
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True))


@pytest.mark.parametrize(
    ('dtype', 'precision', 'way'),
    [
        (torch.float32, 'highest', 'fused'),
        (torch.float32, 'medium', 'chunked'),
        (torch.bfloat16, 'highest', 'chunked'),
        (torch.float64, 'medium', 'fused'),
    ],
)
def test_the_faster_way_is_taken(
    dtype: torch.dtype,
    precision: str,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, 'get_float32_matmul_precision', lambda: precision)
    for name in ('fused', 'chunked'):
        monkeypatch.setattr(attention, name, lambda *_, name=name: name)
    assert attend(*torch.zeros(3, 1, 2, 1, 4, dtype=dtype)) == way


@pytest.mark.parametrize('tokens', [50, 197])
def test_bf16_on_a_cpu_is_as_exact_as_the_kernel(tokens: int) -> None:
    torch.manual_seed(0)
    exact = torch.randn(3, 2, tokens, 4, 16, dtype=torch.float64)
    wanted = fused(*exact)
    rounded = exact.bfloat16().unbind()
    ours, theirs = ((way(*rounded).double() - wanted).norm() for way in (attend, fused))
    assert ours < 1.5 * theirs
