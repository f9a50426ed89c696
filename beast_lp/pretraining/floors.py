"""Floors of the linear read-out: what no trained model is needed for, and every one must beat.

Adding a new floor: enter its name and words in `FLOORS`, and its features in `floor_features`.
The probe, its columns `probe_<name>_px`, the report and the evidence take it from there.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from beast_lp.config import ModelConfig
from beast_lp.pca import principal_components
from beast_lp.runs.seeds import derive_seed
from beast_lp.vit.model import MaskedAutoencoder

# px, grey pictures a side
PIXELS = 16
COMPONENTS = 16
# px; the leading components of pictures are smooth, and need no finer ones
_COMPONENT_SIDE = 64
# share of the probe's error by which the last weights must be worse to be worth a word: between
# two measurements it moves by a few percent by itself
MARGIN = 0.05
# ITU-R BT.601
_GREY = (0.299, 0.587, 0.114)

FLOORS: Mapping[str, str] = {
    'constant': 'a constant prediction',
    'pixels': f'{PIXELS} x {PIXELS} grey pixels',
    'components': f'{COMPONENTS} principal components of the frames',
    'random': 'random weights of the same architecture',
}


def grey_pixels(
    pictures: UInt8[Tensor, 'frames height width 3'], side: int = PIXELS
) -> Float[np.ndarray, 'frames pixels']:
    """Return pictures in grey at a small size, each pixel the mean of the area it covers.

    Args:
        pictures: RGB frames.
        side: px along both sides; no more than the pictures have.

    Examples:
        >>> pictures = torch.tensor([[[0] * 3, [200] * 3], [[100] * 3, [60] * 3]]).byte()[None]
        >>> grey_pixels(pictures, side=1).round(2).tolist()
        [[90.0]]
    """
    # no product of matrices, which autocast would round
    grey = (pictures.float() * torch.tensor(_GREY, device=pictures.device)).sum(dim=-1)
    size = (min(side, grey.shape[1]), min(side, grey.shape[2]))
    return functional.adaptive_avg_pool2d(grey[:, None], size).flatten(1).cpu().numpy()


def component_features(
    pictures: UInt8[Tensor, 'frames height width 3'],
    others: UInt8[Tensor, 'others height width 3'] | None = None,
) -> Float[np.ndarray, 'frames components']:
    """Return the leading principal components of grey pictures.

    Args:
        pictures: RGB frames.
        others: further frames of the videos, whose components they are too.
    """
    own = grey_pixels(pictures, _COMPONENT_SIDE)
    fitted = [own] if others is None else [own, grey_pixels(others, _COMPONENT_SIDE)]
    found = principal_components(lambda: fitted, COMPONENTS)
    return (own - found.mean) @ found.axes


def random_encoder(model: ModelConfig, seed: int) -> MaskedAutoencoder:
    """Build an untrained model, without a trace in torch's own draws.

    Args:
        model: sizes.
        seed: seed of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, 'random floor'))
        return MaskedAutoencoder(model, decoder=False).eval()


def floor_features(
    pictures: UInt8[Tensor, 'frames height width 3'],
    others: UInt8[Tensor, 'others height width 3'] | None = None,
) -> dict[str, Float[np.ndarray, 'frames dim']]:
    """Return the features of all floors but the random weights, by their names.

    Args:
        pictures: labelled frames.
        others: further frames of the videos, for the principal components.
    """
    return {
        'constant': np.zeros((len(pictures), 1)),
        'pixels': grey_pixels(pictures),
        'components': component_features(pictures, others),
    }
