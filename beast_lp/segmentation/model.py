"""Patch tokens to classes: attention pooling, frame differences, a dilated TCN.

After the action segmentation head of BEAST (Wang, Yu et al., ICLR 2026): one learned query looks
at the patch tokens of a frame; its answer and the difference to the previous frame's go through a
temporal convolutional network. Frames beyond the ends of a video are masked to zero in every
layer, so that windows of any length give the very numbers that the whole video would give.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations


class Standardise(nn.Module):
    """Centres and scales channels by the training data's mean and standard deviation."""

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int) -> None:
        """Start with no change at all; `fit` comes later."""
        super().__init__()
        self.register_buffer('mean', torch.zeros(channels))
        self.register_buffer('scale', torch.ones(channels))

    def fit(self, mean: Float[Tensor, ' channels'], deviation: Float[Tensor, ' channels']) -> None:
        """Take over measured values; a constant channel is only centred."""
        self.mean.copy_(mean)
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
    test compares the two) at a fraction of its work.
    """

    def __init__(self, channels: int, size: int, heads: int) -> None:
        """Build the pooling.

        Args:
            channels: of a token.
            size: of the pooled vector, a multiple of `heads`.
            heads: that attend independently.
        """
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.empty(size))
        self.to_query = nn.Linear(size, size)
        # a bias of the keys would shift all scores alike, and softmax does not see that
        self.to_key = nn.Linear(channels, size, bias=False)
        self.to_value = nn.Linear(channels, size)
        self.out = nn.Linear(size, size)
        nn.init.normal_(self.query)

    def forward(
        self,
        tokens: Float[Tensor, '*frames tokens channels'],
    ) -> Float[Tensor, '*frames size']:
        """Pool the tokens of each frame."""
        query = self.to_query(self.query)
        size = len(query)
        keys = self.to_key.weight.view(self.heads, size // self.heads, -1)
        looks_for = torch.einsum('hd,hdc->hc', query.view(self.heads, -1), keys)
        scores = tokens @ looks_for.T / math.sqrt(size // self.heads)
        attention = scores.softmax(dim=-2)
        means = attention.transpose(-1, -2) @ tokens
        values = self.to_value.weight.view(self.heads, size // self.heads, -1)
        attended = torch.einsum('...hc,hdc->...hd', means, values).flatten(-2)
        pooled = query + attended + self.to_value.bias
        return pooled + functional.relu(self.out(pooled))


def frame_differences(
    x: Float[Tensor, 'batch frames size'],
    valid: Bool[Tensor, 'batch frames'],
    gain: float | Tensor = 1.0,
) -> Float[Tensor, 'batch frames twice']:
    """Put the difference to the previous frame, times `gain`, beside each vector; first is 0."""
    difference = torch.zeros_like(x)
    has_previous = (valid[:, 1:] & valid[:, :-1]).unsqueeze(-1)
    difference[:, 1:] = (x[:, 1:] - x[:, :-1]) * has_previous * gain
    return torch.cat([x, difference], dim=-1)


class TCNBlock(nn.Module):
    """Two dilated, weight-normalised convolutions over time and a residual connection."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        lags: int,
        dilation: int,
        dropout: float,
    ) -> None:
        """Build a block; a kernel reaches `lags * dilation` frames either way."""
        super().__init__()

        def convolution(inputs: int) -> nn.Module:
            return parametrizations.weight_norm(
                nn.Conv1d(
                    inputs,
                    hidden,
                    2 * lags + 1,
                    dilation=dilation,
                    padding=lags * dilation,
                )
            )

        self.first, self.second = convolution(channels), convolution(hidden)
        self.dropout = nn.Dropout1d(dropout)
        self.skip = nn.Identity() if channels == hidden else nn.Conv1d(channels, hidden, 1)

    def forward(
        self,
        x: Float[Tensor, 'batch channels frames'],
        mask: Float[Tensor, 'batch 1 frames'],
    ) -> Float[Tensor, 'batch hidden frames']:
        """Convolve; what lies beyond the mask is, and stays, zero."""
        y = x
        for convolution in (self.first, self.second):
            y = self.dropout(functional.leaky_relu(convolution(y))) * mask
        return functional.leaky_relu(y + self.skip(x)) * mask


class DilatedTCN(nn.Module):
    """A stack of blocks whose dilation doubles, and a linear classifier per frame."""

    def __init__(
        self,
        channels: int,
        classes: int,
        hidden: int,
        blocks: int,
        lags: int,
        dropout: float,
    ) -> None:
        """Build the network."""
        super().__init__()
        self.blocks = nn.ModuleList(
            TCNBlock(channels if i == 0 else hidden, hidden, lags, 2**i, dropout)
            for i in range(blocks)
        )
        self.classify = nn.Conv1d(hidden, classes, 1)

    def forward(
        self,
        x: Float[Tensor, 'batch frames channels'],
        valid: Bool[Tensor, 'batch frames'],
    ) -> Float[Tensor, 'batch frames classes']:
        """Return the classes' logits for every frame."""
        mask = valid.unsqueeze(1).to(x.dtype)
        y = x.transpose(1, 2) * mask
        for block in self.blocks:
            y = block(y, mask)
        return self.classify(y).transpose(1, 2)


def reach(blocks: int, lags: int) -> int:
    """Return how many frames to either side a prediction depends on, without the difference."""
    return 2 * lags * (2**blocks - 1)


class Segmenter(nn.Module):
    """Features of frames to logits of classes.

    Differs from the published head in that the frame differences are brought to the spread of the
    vectors, by one factor that is measured before training.

    Attributes:
        context: frames before and after a frame that its prediction depends on.
        difference_gain: by which frame differences are multiplied.
    """

    difference_gain: Tensor

    def __init__(
        self,
        channels: int,
        classes: int,
        pooled: int | None,
        heads: int,
        hidden: int,
        blocks: int,
        lags: int,
        dropout: float,
        tail: nn.Module | None = None,
    ) -> None:
        """Build an untrained model.

        Args:
            channels: of a token, or of a frame's vector.
            classes: to tell apart.
            pooled: size of the pooled vector; None where a frame is one vector already.
            heads: of the pooling.
            hidden: channels of the TCN.
            blocks: of the TCN.
            lags: of the TCN's kernels.
            dropout: of the TCN.
            tail: the backbone's last layers, where they are trained too; takes the tokens of all
                frames, CLS first, and returns the patch tokens.
        """
        super().__init__()
        self.context = reach(blocks, lags) + 1
        self.tail = tail
        self.standardise = Standardise(channels)
        self.pool = None if pooled is None else AttentionPooling(channels, pooled, heads)
        # what an animal does in a frame changes its vector by a few percent of the spread between
        # frames: unscaled, the differences would hardly reach the network
        self.register_buffer('difference_gain', torch.ones(()))
        self.tcn = DilatedTCN(2 * (pooled or channels), classes, hidden, blocks, lags, dropout)

    def forward(
        self,
        features: Float[Tensor, 'batch frames *tokens channels'],
        valid: Bool[Tensor, 'batch frames'],
    ) -> Float[Tensor, 'batch frames classes']:
        """Return the logits; `valid` is false where a window ends beyond its video."""
        vectors = self.frame_vectors(features)
        return self.tcn(frame_differences(vectors, valid, self.difference_gain), valid)

    def frame_vectors(
        self,
        features: Float[Tensor, 'batch frames *tokens channels'],
    ) -> Float[Tensor, 'batch frames size']:
        """Return one vector per frame."""
        if self.tail is not None:
            features = self.tail(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        x = self.standardise(features)
        return x if self.pool is None else self.pool(x)
