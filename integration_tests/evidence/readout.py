"""Keypoints read from frozen features by the probe of pretraining: what it alone has learned.

Nothing of the backbone is trained. It takes seconds and repeats to a tenth of a px, where training
a pose model from end to end takes minutes and moves by a px or more from run to run.
"""

from pathlib import Path

import numpy as np
from backbones import settings
from budget import Budget

from beast_lp.pretraining.floors import floor_features, random_encoder
from beast_lp.pretraining.probe import Scaling, frozen_features, linear_reading, scale, z_scores
from beast_lp.video.labelled import LabelledFrames, read_images, read_labels
from beast_lp.vit.load import load_encoder
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.weights import read_encoder

# of the labelled frames; the mean over them is the score
DRAWS = 10


def readout_scores(
    project: Path,
    backbone: Path,
    labels: int,
    seed: int,
    budget: Budget,
) -> dict[str, float]:
    """Return the pixel error of a ridge regression, and of the floors that it has to beat.

    Args:
        project: with `CollectedData.csv`.
        backbone: stays as it is.
        labels: labelled frames of each draw; all others are scored.
        seed: seed of the draws.
        budget: preset that tells the size of the model and of its images.

    Returns:
        `score` of features that one number scales, `score_z` of z-scored ones, `reference` of a
        constant position, and `floor_<name>` of the other floors.
    """
    frames = read_labels([project / 'CollectedData.csv'], project)
    shape = settings('beast', 0, budget).model
    pictures = read_images(frames.images, (shape.image_size[0], shape.image_size[1]))
    model = MaskedAutoencoder(shape, decoder=False)
    load_encoder(model, read_encoder(backbone))
    features = frozen_features(model.eval(), pictures)
    floors = floor_features(pictures)
    floors['random'] = frozen_features(random_encoder(shape, seed), pictures)
    orders = draw_orders(len(features), seed)
    return {
        'score': mean_error(features, frames, orders, labels),
        'score_z': mean_error(features, frames, orders, labels, z_scores),
        'reference': mean_error(floors.pop('constant'), frames, orders, labels),
        **{
            f'floor_{name}': mean_error(values, frames, orders, labels)
            for name, values in floors.items()
        },
    }


def draw_orders(frames: int, seed: int) -> list[np.ndarray]:
    """Return the permutations of the labelled frames, of which the first ones are read."""
    draws = np.random.default_rng(seed)
    return [draws.permutation(frames) for _ in range(DRAWS)]


def mean_error(
    features: np.ndarray,
    frames: LabelledFrames,
    orders: list[np.ndarray],
    labels: int,
    scaling: Scaling = scale,
) -> float:
    """Return the mean distance in px over several draws of the labelled frames.

    Args:
        features: features of all frames.
        frames: their keypoints.
        orders: a permutation of the frames for each draw; the first `labels` are read, all others
            are scored.
        labels: labelled frames of a draw.
        scaling: function that scales the features.
    """
    scores = []
    for order in orders:
        train, test = order[:labels], order[labels:]
        found = linear_reading(features[train], frames.positions[train], features[test], scaling)
        error = np.linalg.norm(found - frames.positions[test], axis=-1)
        scores.append(np.nanmean(error))
    return float(np.mean(scores))
