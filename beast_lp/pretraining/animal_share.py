"""How much of the images is animal: what masking leaves of it to see.

Before a fixed camera, the animal is what the median of a video leaves unexplained. Where it fills
a few patches only, most masked images show none of it, and the model learns the background.
"""

import logging

import numpy as np
from jaxtyping import Int, UInt8

from beast_lp.config import BeastConfig
from beast_lp.video.window_store import WindowStore, read_evenly

logger = logging.getLogger(f'lightning_pose.{__name__}')

# anchors that are looked at in all, and of a video at least, for its median
_FRAMES, _LEAST_FRAMES = 400, 15
# share of the difference from the median that the patches of the animal hold
_HELD = 0.8
# share of the masked images without any animal from which on a sentence says so
_TOO_MANY = 0.4


def animal_patches(
    images: UInt8[np.ndarray, 'frames height width 3'],
    patch_size: int,
) -> Int[np.ndarray, ' frames']:
    """Count the patches that hold most of what the median of the images leaves unexplained.

    Args:
        images: frames of one video.
        patch_size: px; it divides both sides.

    Returns:
        for each frame, the smallest number of patches with 80 % of its squared difference.

    Examples:
        >>> images = np.full((5, 4, 4, 3), 200, np.uint8)
        >>> images[2, :2, :2] = 0
        >>> animal_patches(images, patch_size=2).tolist()
        [0, 0, 1, 0, 0]
    """
    frames, height, width, _ = images.shape
    difference = (images - np.median(images, axis=0)) ** 2
    grid = height // patch_size, patch_size, width // patch_size, patch_size
    energy = difference.mean(axis=-1).reshape(frames, *grid).sum(axis=(2, 4)).reshape(frames, -1)
    held = np.sort(energy, axis=1)[:, ::-1].cumsum(axis=1)
    total = held[:, -1:]
    count = 1 + (held < _HELD * total).sum(axis=1)
    return np.where(total[:, 0] > 0, count, 0)


def warn_of_small_animals(config: BeastConfig, store: WindowStore) -> None:
    """Log a warning where most masked images would show none of the animal.

    Args:
        config: settings of the run.
        store: window store of the run.
    """
    height, width = config.model.image_size
    videos = store.table['video_id'].to_numpy()
    names = np.unique(videos)
    share = max(_LEAST_FRAMES, _FRAMES // len(names))
    counts = []
    # spread over all videos where there are too many to look at each
    for name in names[:: max(1, len(names) * share // _FRAMES)]:
        rows = np.flatnonzero(videos == name)
        images = read_evenly(store, rows, share, (height, width))
        counts.append(animal_patches(images, config.model.patch_size))
    patches = np.concatenate(counts)
    unseen = float(np.mean(config.model.mask_ratio ** patches[patches > 0]))
    if unseen > _TOO_MANY:
        total = height * width // config.model.patch_size**2
        logger.warning(
            f'beast: what moves fills {np.mean(patches[patches > 0]):.1f} of {total} patches, so '
            f'that {unseen:.0%} of the masked images show none of it and the model learns the '
            'background; train on crops, whose boxes `litpose motion_bbox` finds for one animal '
            'before a fixed camera, and `litpose create_bbox` for others'
        )
