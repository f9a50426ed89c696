"""One standardised vector per frame from its patch tokens."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Standardise(nn.Module):
    """Centre and scale channels by the mean and the spread of the training data."""

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int) -> None:
        """Start as the identity, until `fit` is called."""
        super().__init__()
        self.register_buffer('mean', torch.zeros(channels))
        self.register_buffer('scale', torch.ones(channels))

    def fit(
        self,
        mean: Float[Tensor, ' channels'],
        deviation: Float[Tensor, ' channels'],
        one_scale: bool = False,
    ) -> None:
        """Adopt measured values; a constant channel is only centred.

        Args:
            mean: mean of each channel.
            deviation: standard deviation of each channel.
            one_scale: divide all channels by the same number, so that their variance is 1 on
                average and those that hardly change weigh little.
        """
        self.mean.copy_(mean)
        if one_scale:
            deviation = deviation.square().mean().sqrt().expand(len(mean))
        constant = deviation <= 1e-6 * mean.abs().clamp(min=1e-6)
        self.scale.copy_(torch.where(constant, 1.0, 1 / deviation.clamp(min=1e-12)))

    def forward(self, x: Float[Tensor, '*rest channels']) -> Float[Tensor, '*rest channels']:
        """Standardise the last axis."""
        return (x - self.mean) * self.scale


class AttentionPooling(nn.Module):
    """One vector per frame from its patch tokens, by one learned query with several heads.

    With a single query the keys are needed for one product each, and the mean of the values is the
    value of the mean. So the query goes through the key projection once, and the tokens are
    averaged before the value projection: the same function as textbook multi-head attention (a
    test compares the two) at a fraction of its work. Tokens are standardised in the same way, once
    they are averaged.
    """

    def __init__(self, channels: int, size: int, heads: int) -> None:
        """Build the pooling.

        Args:
            channels: size of a token.
            size: size of the pooled vector, a multiple of `heads`.
            heads: number of attention heads.
        """
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.empty(size))
        self.to_query = nn.Linear(size, size)
        # a bias of the keys would shift all scores alike, which softmax ignores
        self.to_key = nn.Linear(channels, size, bias=False)
        self.to_value = nn.Linear(channels, size)
        self.out = nn.Linear(size, size)
        nn.init.normal_(self.query)

    def forward(
        self,
        tokens: Float[Tensor, '*frames tokens channels'],
        standardise: 'Standardise | None' = None,
    ) -> Float[Tensor, '*frames size']:
        """Pool the tokens of each frame.

        Args:
            tokens: patch tokens.
            standardise: applied to the tokens first, in effect; None takes them as they are.
        """
        query = self.to_query(self.query)
        size = len(query)
        keys = self.to_key.weight.view(self.heads, size // self.heads, -1)
        looks_for = torch.einsum('hd,hdc->hc', query.view(self.heads, -1), keys)
        if standardise is not None:
            # the mean shifts the scores of all tokens alike, which softmax ignores
            looks_for = looks_for * standardise.scale
        scores = tokens @ looks_for.T / math.sqrt(size // self.heads)
        attention = scores.softmax(dim=-2)
        means = attention.transpose(-1, -2) @ tokens
        if standardise is not None:
            means = standardise(means)
        values = self.to_value.weight.view(self.heads, size // self.heads, -1)
        attended = torch.einsum('...hc,hdc->...hd', means, values).flatten(-2)
        pooled = query + attended + self.to_value.bias
        return pooled + functional.relu(self.out(pooled))
