"""Warn where the installed host and kornia decode heatmaps wrongly.

Hosts up to 2.4.2 pass the temperature of their soft-argmax to kornia, and kornia 0.9 inverted its
meaning: every prediction then silently lies near the centre of the image.
"""

import functools
import logging

import kornia
import torch
from lightning_pose.models.heads import heatmap as host

from beast_lp.host.names import host_version

logger = logging.getLogger(f'lightning_pose.{__name__}')

_SIDE = 32
_FACTOR = 2
# as in the host's heads
_TEMPERATURE = 1000.0


@functools.cache
def warn_if_heatmaps_are_misread() -> None:
    """Warn once per process where the host misses the peak of a clear heatmap."""
    error = soft_argmax_error()
    # a cell of the heatmap is 4 px of the image
    if not error < 2**_FACTOR:
        logger.warning(
            f'beast: lightning-pose {host_version()} with kornia {kornia.__version__} '
            f'misses the peak of a clear heatmap by {error:.0f} px, so all its predictions are '
            'wrong, with any backbone; `pip install "kornia<0.9"`, or update lightning-pose to '
            '2.4.3 or newer'
        )


def soft_argmax_error() -> float:
    """Return the distance in px by which the host misses the peak of a clear heatmap."""
    row, column = 5, 25
    heatmap = torch.zeros(1, 1, _SIDE, _SIDE)
    heatmap[..., row - 1 : row + 2, column - 1 : column + 2] = 0.1
    heatmap[..., row, column] = 0.2
    # the function, not a head: building a head would draw random numbers, and the model would
    # start from other weights than its seed gives
    found, _ = host.run_subpixelmaxima(heatmap, _FACTOR, torch.tensor(_TEMPERATURE))
    truth = 2**_FACTOR * torch.tensor([column, row], dtype=found.dtype)
    return float((found[0].cpu() - truth).norm())
