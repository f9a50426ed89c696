"""Patch tokens to classes: attention pooling, frame differences, a dilated TCN.

After the action segmentation head of BEAST (Wang, Yu et al., ICLR 2026): one learned query attends
to the patch tokens of a frame; the pooled vector and its difference to that of the previous frame
enter a temporal convolutional network. Frames beyond the ends of a video are masked to zero in
every layer, so that sequences of any length give the very numbers that the whole video would give.

Adding a new temporal network:

1. write a module that takes frame vectors and `valid`, as `DilatedTCN` does; its `reach` counts
   the frames to either side that a prediction depends on
2. return it from `build_temporal_network`; sizes that a user may choose are fields of `HeadConfig`
3. add it to the tests in tests/segmentation/test_model.py: a prediction must not depend on frames
   further away than `reach`, nor on padding
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from beast_lp.config.segmentation import HeadConfig
from beast_lp.runs.seeds import derive_seed
from beast_lp.segmentation.labelling import EXCLUSIVE, Labelling
from beast_lp.segmentation.pooling import AttentionPooling, Standardise

# size of a pooled vector, and attention heads of the pooling (BEAST, Wang, Yu et al., ICLR 2026)
POOLED_SIZE, POOLING_HEADS = 64, 8
# probability that a channel of the TCN is dropped in training
DROPOUT = 0.1
# probability that a channel of what enters the TCN is: a few scored bouts name many wrong channels
INPUT_DROPOUT = 0.3


def build_segmenter(
    frame_shape: tuple[int, ...],
    classes: int,
    head: HeadConfig,
    seed: int,
    labelling: Labelling = EXCLUSIVE,
) -> 'Segmenter':
    """Build an untrained model, with weights drawn by the seed.

    Args:
        frame_shape: shape of a frame's features: (tokens, channels) or (channels,).
        classes: number of classes.
        head: sizes of the temporal network.
        seed: decides the weights.
        labelling: what the logits mean.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, 'segmenter'))
        return Segmenter(frame_shape[-1], classes, head, len(frame_shape) == 2, labelling)


def build_temporal_network(channels: int, classes: int, head: HeadConfig) -> 'DilatedTCN':
    """Build the network between frame vectors and classes.

    Args:
        channels: size of a frame's vector, the difference to the previous frame included.
        classes: number of classes.
        head: sizes.
    """
    return DilatedTCN(channels, classes, head.hidden_size, head.blocks, head.lags, DROPOUT)


class Segmenter(nn.Module):
    """Logits of the classes from the features of frames.

    Differs from the published head in three points: one factor, measured before training, scales
    the frame differences to the spread of the vectors; where that would be too large a factor, a
    difference is that to an earlier frame than the previous one; and channels of both are dropped
    in training.

    Attributes:
        classes: number of classes.
        labelling: what the logits mean: a softmax over the classes, or a sigmoid of each.
        difference_gain: factor of the frame differences.
        difference_lag: frames between the two of a difference.
    """

    difference_gain: Tensor
    difference_lag: Tensor

    def __init__(
        self,
        channels: int,
        classes: int,
        head: HeadConfig,
        has_tokens: bool,
        labelling: Labelling = EXCLUSIVE,
    ) -> None:
        """Build an untrained model.

        Args:
            channels: size of a patch token, or of a frame's vector.
            classes: number of classes.
            head: sizes of the temporal network.
            has_tokens: whether a frame has patch tokens, which are pooled; else it is one vector.
            labelling: what the logits mean.
        """
        super().__init__()
        self.classes, self.labelling = classes, labelling
        self.standardise = Standardise(channels)
        self.pool = AttentionPooling(channels, POOLED_SIZE, POOLING_HEADS) if has_tokens else None
        # an action changes the vector of a frame by a few percent of the spread between frames:
        # unscaled, the differences would hardly reach the network
        self.register_buffer('difference_gain', torch.ones(()))
        # at a thousand frames per second, the difference to the previous frame is mostly noise
        self.register_buffer('difference_lag', torch.ones((), dtype=torch.int64))
        size = POOLED_SIZE if has_tokens else channels
        self.dropout = nn.Dropout1d(INPUT_DROPOUT)
        self.tcn = build_temporal_network(2 * size, classes, head)

    @property
    def context(self) -> int:
        """Frames before and after a frame that its prediction depends on."""
        return self.tcn.reach + int(self.difference_lag)

    def forward(
        self,
        features: Float[Tensor, 'batch frames *tokens channels'],
        valid: Bool[Tensor, 'batch frames'],
    ) -> Float[Tensor, 'batch frames classes']:
        """Return the logits of every frame.

        Args:
            features: patch tokens, or one vector per frame.
            valid: false where a sequence is padded beyond the end of its video.
        """
        vectors = self.frame_vectors(features)
        lag = int(self.difference_lag)
        entering = frame_differences(vectors, valid, self.difference_gain, lag)
        # a channel is dropped in all frames of a sequence
        kept = self.dropout(entering.transpose(1, 2)).transpose(1, 2)
        return self.tcn(kept, valid)

    def frame_vectors(
        self,
        features: Float[Tensor, 'batch frames *tokens channels'],
    ) -> Float[Tensor, 'batch frames size']:
        """Return one standardised, pooled vector per frame."""
        if self.pool is None:
            return self.standardise(features)
        return self.pool(features, self.standardise)


def frame_differences(
    x: Float[Tensor, 'batch frames size'],
    valid: Bool[Tensor, 'batch frames'],
    gain: float | Tensor = 1.0,
    lag: int = 1,
) -> Float[Tensor, 'batch frames twice']:
    """Append to each vector its difference to an earlier frame's; the first differences are 0.

    Args:
        x: one vector per frame.
        valid: false for padding, to which there is no difference.
        gain: factor of the differences.
        lag: frames between the two.
    """
    difference = torch.zeros_like(x)
    has_earlier = (valid[:, lag:] & valid[:, :-lag]).unsqueeze(-1)
    difference[:, lag:] = (x[:, lag:] - x[:, :-lag]) * has_earlier * gain
    return torch.cat([x, difference], dim=-1)


class DilatedTCN(nn.Module):
    """A stack of blocks whose dilation doubles, and a linear classifier per frame.

    Attributes:
        reach: frames to either side that a prediction depends on.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        hidden: int,
        blocks: int,
        lags: int,
        dropout: float,
    ) -> None:
        """Build the network; the arguments but `channels` and `classes` are those of a block."""
        super().__init__()
        self.reach = 2 * lags * (2**blocks - 1)
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
        """Return the logits of every frame."""
        mask = valid.unsqueeze(1).to(x.dtype)
        y = x.transpose(1, 2) * mask
        for block in self.blocks:
            y = block(y, mask)
        return self.classify(y).transpose(1, 2)


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
        """Build a block.

        Args:
            channels: channels that enter.
            hidden: channels that leave.
            lags: a kernel spans 2 * lags + 1 frames, `dilation` apart.
            dilation: distance, in frames, between the taps of a kernel.
            dropout: probability that a channel is dropped in training.
        """
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
        """Convolve; frames outside the mask stay zero."""
        y = x
        for convolution in (self.first, self.second):
            y = self.dropout(functional.leaky_relu(convolution(y))) * mask
        return functional.leaky_relu(y + self.skip(x)) * mask
