"""Features of frames to classes: one vector per frame of each stream, a dilated TCN over them.

After the action segmentation head of BEAST (Wang, Yu et al., ICLR 2026): one learned query attends
to the patch tokens of a frame; the pooled vector and its difference to that of the previous frame
enter a temporal convolutional network. Streams without tokens, such as keypoints, are vectors
already, and enter beside them. Frames beyond the ends of a video are masked to zero in every
layer, so that sequences of any length give the very numbers that the whole video would give.

Adding a new temporal network:

1. write a module that takes frame vectors and `valid`, as `DilatedTCN` does; its `reach` counts
   the frames to either side that a prediction depends on
2. return it from `build_temporal_network`; sizes that a user may choose are fields of `HeadConfig`
3. add it to the tests in tests/segmentation/test_model.py: a prediction must not depend on frames
   further away than `reach`, nor on padding
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from beast_lp.config.segmentation import HeadConfig
from beast_lp.runs.seeds import derive_seed
from beast_lp.segmentation.labelling import EXCLUSIVE, Labelling
from beast_lp.segmentation.streams import Shape
from beast_lp.segmentation.vectors import FrameVectors

# probability that a channel of the TCN is dropped in training
DROPOUT = 0.1
# probability that a channel of what enters the TCN is: a few scored bouts name many wrong channels
INPUT_DROPOUT = 0.3
# beginnings of the names that older versions, which knew one stream, gave to its parts
_OF_THE_STREAM = ('standardise.', 'pool.', 'difference_')


def build_segmenter(
    shapes: Sequence[Shape],
    classes: int,
    head: HeadConfig,
    seed: int,
    labelling: Labelling = EXCLUSIVE,
) -> 'Segmenter':
    """Build an untrained model, with weights drawn by the seed.

    Args:
        shapes: shape of a frame of each stream: (tokens, channels) or (channels,).
        classes: number of classes.
        head: sizes of the temporal network.
        seed: decides the weights.
        labelling: what the logits mean.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, 'segmenter'))
        return Segmenter(shapes, classes, head, labelling)


def build_temporal_network(channels: int, classes: int, head: HeadConfig) -> 'DilatedTCN':
    """Build the network between frame vectors and classes.

    Args:
        channels: size of a frame's vectors, their differences to an earlier frame included.
        classes: number of classes.
        head: sizes.
    """
    return DilatedTCN(channels, classes, head.hidden_size, head.blocks, head.lags, DROPOUT)


def current_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a model, also of one that an older version wrote, by today's names.

    Args:
        weights: tensors by the names in the file.
    """
    return {
        f'streams.0.{name}' if name.startswith(_OF_THE_STREAM) else name: value
        for name, value in weights.items()
    }


class Segmenter(nn.Module):
    """Logits of the classes from the features of frames.

    Differs from the published head in four points: several streams enter side by side; one factor
    for each, measured before training, scales its frame differences to the spread of its vectors;
    where that would be too large a factor, a difference is that to an earlier frame than the
    previous one; and channels of both are dropped in training.

    Attributes:
        classes: number of classes.
        labelling: what the logits mean: a softmax over the classes, or a sigmoid of each.
        streams: `FrameVectors` of each stream.
    """

    def __init__(
        self,
        shapes: Sequence[Shape],
        classes: int,
        head: HeadConfig,
        labelling: Labelling = EXCLUSIVE,
    ) -> None:
        """Build an untrained model; the arguments are those of `build_segmenter`."""
        super().__init__()
        self.classes, self.labelling = classes, labelling
        self.streams = nn.ModuleList(FrameVectors(shape) for shape in shapes)
        self.dropout = nn.Dropout1d(INPUT_DROPOUT)
        size = sum(stream.size for stream in self.each_stream())
        self.tcn = build_temporal_network(2 * size, classes, head)

    def each_stream(self) -> Iterator[FrameVectors]:
        """Iterate over the streams."""
        return (cast(FrameVectors, stream) for stream in self.streams)

    @property
    def context(self) -> int:
        """Frames before and after a frame that its prediction depends on."""
        return self.tcn.reach + max(int(own.difference_lag) for own in self.each_stream())

    def forward(
        self,
        features: Sequence[Float[Tensor, 'batch frames *tokens channels']],
        valid: Bool[Tensor, 'batch frames'],
    ) -> Float[Tensor, 'batch frames classes']:
        """Return the logits of every frame.

        Args:
            features: patch tokens, or one vector per frame, of each stream.
            valid: false where a sequence is padded beyond the end of its video.
        """
        entering = torch.cat(
            [stream(own, valid) for stream, own in zip(self.streams, features, strict=True)],
            dim=-1,
        )
        # a channel is dropped in all frames of a sequence
        kept = self.dropout(entering.transpose(1, 2)).transpose(1, 2)
        return self.tcn(kept, valid)


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
