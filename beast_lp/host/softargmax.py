"""Does the installed host read positions out of heatmaps rightly?

Hosts up to 2.4.2 hand the temperature of their soft-argmax to kornia, and kornia 0.9 turned its
meaning around: every prediction then lies near the centre of the image, without a word.
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
# what the host's heads use
_TEMPERATURE = 1000.0


@functools.cache
def warn_of_soft_argmax() -> None:
    """Say so, once per process, where the host misses the peak of a clear heatmap."""
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
    """Return by how many px the host misses the peak of a small heatmap that has one."""
    row, column = 5, 25
    heatmap = torch.zeros(1, 1, _SIDE, _SIDE)
    heatmap[..., row - 1 : row + 2, column - 1 : column + 2] = 0.1
    heatmap[..., row, column] = 0.2
    # the function, not a head: building one would draw random numbers, and the model around this
    # would start from other weights than its seed gives
    found, _ = host.run_subpixelmaxima(heatmap, _FACTOR, torch.tensor(_TEMPERATURE))
    truth = 2**_FACTOR * torch.tensor([column, row], dtype=found.dtype)
    return float((found[0].cpu() - truth).norm())
