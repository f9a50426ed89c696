"""One vector per frame of a stream, and its difference to an earlier frame's."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from beast_lp.segmentation.pooling import AttentionPooling, Standardise
from beast_lp.segmentation.streams import Shape

# size of a pooled vector, and attention heads of the pooling (BEAST, Wang, Yu et al., ICLR 2026)
POOLED_SIZE, POOLING_HEADS = 64, 8


class FrameVectors(nn.Module):
    """Standardised vectors of a stream, of which patch tokens are pooled, and their differences.

    Attributes:
        size: channels of a vector; `forward` returns twice as many.
        difference_gain: factor of the differences.
        difference_lag: frames between the two of a difference.
    """

    difference_gain: Tensor
    difference_lag: Tensor

    def __init__(self, shape: Shape) -> None:
        """Build an untrained module.

        Args:
            shape: shape of a frame: (tokens, channels), which are pooled, or (channels,).
        """
        super().__init__()
        channels, has_tokens = shape[-1], len(shape) == 2
        self.standardise = Standardise(channels)
        self.pool = AttentionPooling(channels, POOLED_SIZE, POOLING_HEADS) if has_tokens else None
        self.size = POOLED_SIZE if has_tokens else channels
        # an action changes the vector of a frame by a few percent of the spread between frames:
        # unscaled, the differences would hardly reach the network
        self.register_buffer('difference_gain', torch.ones(()))
        # at a thousand frames per second, the difference to the previous frame is mostly noise
        self.register_buffer('difference_lag', torch.ones((), dtype=torch.int64))

    def forward(
        self,
        features: Float[Tensor, 'batch frames *tokens channels'],
        valid: Bool[Tensor, 'batch frames'],
    ) -> Float[Tensor, 'batch frames twice']:
        """Return the vectors, and beside them their differences.

        Args:
            features: patch tokens, or one vector per frame.
            valid: false where a sequence is padded beyond the end of its video.
        """
        vectors = self.vectors(features)
        return frame_differences(vectors, valid, self.difference_gain, int(self.difference_lag))

    def vectors(
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
