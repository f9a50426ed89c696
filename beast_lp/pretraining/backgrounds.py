"""Pictures that need no model, which a reconstruction has to beat.

A model that has memorised the mean picture of a fixed camera halves its loss without having seen
an animal, so reconstruction is reported as the share that it explains beyond such pictures.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from beast_lp.config import BeastConfig
from beast_lp.pretraining.losses import patch_statistics, reconstruction_loss
from beast_lp.pretraining.split import split_windows
from beast_lp.video.window_store import WindowStore, read_evenly
from beast_lp.vit.patches import patchify, take
from beast_lp.vit.pixels import network_input

# frames of the mean picture, and of all medians together; each median has a few at least
_MEAN_FRAMES = 256
_MEDIAN_FRAMES, _LEAST_MEDIAN_FRAMES = 512, 15


class Backgrounds(NamedTuple):
    """Pictures to compare the reconstructions of held-out frames with."""

    # of training anchors of all videos
    mean: UInt8[Tensor, 'height width 3']
    # median of each held-out video, and the video of each held-out anchor
    medians: UInt8[Tensor, 'videos height width 3']
    video: Int[Tensor, ' anchors']


def read_backgrounds(config: BeastConfig, store: WindowStore) -> Backgrounds | None:
    """Read the mean picture and the medians of a run; None where no frame is held out.

    A median is that of the training anchors of its video; where the whole video is held out, of
    its own anchors, which makes it a harder floor. The number of frames read is bounded.

    Args:
        config: settings of the run.
        store: window store of the run.
    """
    size = (config.model.image_size[0], config.model.image_size[1])
    training, held_out = split_windows(
        store.table, config.training.validation_fraction, config.seed
    )
    if not len(held_out):
        return None
    videos = store.table['video_id'].to_numpy()
    names, video = np.unique(videos[held_out], return_inverse=True)
    count = max(_LEAST_MEDIAN_FRAMES, _MEDIAN_FRAMES // len(names))
    medians = []
    for name in names:
        seen = training[videos[training] == name]
        rows = seen if len(seen) else held_out[videos[held_out] == name]
        medians.append(np.median(read_evenly(store, rows, count, size), axis=0).astype(np.uint8))
    mean = read_evenly(store, training, _MEAN_FRAMES, size).mean(axis=0, dtype=np.float64)
    return Backgrounds(
        torch.from_numpy(mean.round().astype(np.uint8)),
        torch.from_numpy(np.stack(medians)),
        torch.from_numpy(video.ravel()),
    )


def picture_error(
    pictures: UInt8[Tensor, 'images height width 3'],
    target: Float[Tensor, 'images masked pixels'],
    masked: Int[Tensor, 'images masked'],
    patch_size: int,
    norm_pix: bool = False,
) -> Float[Tensor, '']:
    """Return the reconstruction loss of pictures that stand for the prediction.

    Args:
        pictures: picture for each image, or one for all.
        target: true pixels of the masked patches, ImageNet-normalised.
        masked: raster positions of the masked patches.
        patch_size: px.
        norm_pix: compare patches that are normalised each by itself, as the loss does.

    Examples:
        >>> grey, white = (torch.full((1, 4, 4, 3), v, dtype=torch.uint8) for v in (128, 255))
        >>> hidden = torch.tensor([[2, 0]])
        >>> target = take(patchify(network_input(white), 2), hidden)
        >>> float(picture_error(white, target, hidden, 2))
        0.0
        >>> round(float(picture_error(grey, target, hidden, 2)), 3)
        4.858
    """
    patches = patchify(network_input(pictures), patch_size).expand(len(masked), -1, -1)
    prediction = take(patches, masked)
    if norm_pix:
        mean, scale = patch_statistics(prediction)
        prediction = (prediction - mean) / scale
    return reconstruction_loss(prediction, target, norm_pix)
