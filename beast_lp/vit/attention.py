"""Scaled dot-product attention, by the faster of two equal implementations.

`attend` uses torch's fused kernel on GPUs, and on CPUs in exact fp32. Where a CPU computes
products in bf16 (under autocast, or by the matmul precision `medium`), the backward pass of that
kernel takes a sixth of the training step, and batched matrix products are two to six times as
fast: on so few images at a time that the scores stay in the cache, and, where there are many
tokens, with the scores computed again in the backward pass instead of kept.
`integration_tests/benchmarks/training_step.py --attention` measures both.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

# scores (images x heads x queries x keys) that are held at once: 1 MB in bf16
_CHUNK_SCORES = 1 << 19
# up to this many scores of an image and head, softmax is kept: at 50 tokens 5 kB
_KEPT_SCORES = 64 * 64


def attend(
    query: Float[Tensor, 'images queries heads dim'],
    key: Float[Tensor, 'images keys heads dim'],
    value: Float[Tensor, 'images keys heads dim'],
) -> Float[Tensor, 'images queries heads dim']:
    """Attend with every query to all keys of its image.

    Args:
        query: any strides, as for `key` and `value`.
        key: keys.
        value: values.
    """
    return (chunked if _slow_kernel(query) else fused)(query, key, value)


def _slow_kernel(query: Tensor) -> bool:
    """Return whether a CPU computes products of this tensor in bf16."""
    if query.device.type != 'cpu':
        return False
    medium = query.dtype == torch.float32 and torch.get_float32_matmul_precision() == 'medium'
    return medium or query.dtype == torch.bfloat16


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend by torch's kernel; shapes as in `attend`."""
    return functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    ).transpose(1, 2)


def chunked(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend by matrix products, a few images at a time; shapes as in `attend`."""
    return _Chunked.apply(query, key, value)  # type: ignore[return-value]


class _Chunked(torch.autograd.Function):
    """Attention of a few images at a time, in the forward and in the backward pass."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.kept = []
        keep = query.shape[1] * key.shape[1] <= _KEPT_SCORES and any(ctx.needs_input_grad)
        result = torch.empty_like(query, memory_format=torch.contiguous_format)
        for some in _chunks(query, key):
            q, k, v = (_heads_first(x[some]) for x in (query, key, value))
            weights = _weights(_scaled(q), k)
            _put(result[some], torch.bmm(weights, v))
            if keep:
                ctx.kept.append(weights)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = ctx.saved_tensors
        of_query, of_key, of_value = (
            torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)
        )
        for i, some in enumerate(_chunks(query, key)):
            q, k, v, above = (_heads_first(x[some]) for x in (query, key, value, grads[0]))
            q = _scaled(q)
            weights = ctx.kept[i] if ctx.kept else _weights(q, k)
            of_scores = torch.ops.aten._softmax_backward_data(
                torch.bmm(above, v.transpose(1, 2)),
                weights,
                -1,
                weights.dtype,
            )
            _put(of_query[some], _scaled(torch.bmm(of_scores, k)))
            _put(of_key[some], torch.bmm(of_scores.transpose(1, 2), q))
            _put(of_value[some], torch.bmm(weights.transpose(1, 2), above))
        return of_query, of_key, of_value


def _chunks(query: Tensor, key: Tensor) -> list[slice]:
    images, queries, heads, _ = query.shape
    size = max(1, _CHUNK_SCORES // (heads * queries * key.shape[1]))
    return [slice(start, start + size) for start in range(0, images, size)]


def _heads_first(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1).contiguous()


def _scaled(query: Tensor) -> Tensor:
    """Scale the queries: there are fewer of them than scores."""
    return query * query.shape[-1] ** -0.5


def _weights(scaled_query: Tensor, key: Tensor) -> Tensor:
    # softmax computes in fp32 within, whatever the type
    return torch.bmm(scaled_query, key.transpose(1, 2)).softmax(dim=-1)


def _put(target: Tensor, heads_first: Tensor) -> None:
    images, tokens, heads, dim = target.shape
    target.copy_(heads_first.view(images, heads, tokens, dim).transpose(1, 2))
