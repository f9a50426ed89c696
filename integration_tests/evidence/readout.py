"""Keypoints read from frozen features by the probe of pretraining: what it alone has learned.

Nothing of the backbone is trained. It takes seconds and repeats to a tenth of a px, where training
a pose model from end to end takes minutes and moves by a px or more from run to run.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from backbones import settings
from budget import Budget
from pose import constant_error

from beast_lp.pretraining.probe import frozen_features, linear_reading
from beast_lp.video.labelled import read_images, read_labels
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
    """Return the pixel error of a ridge regression, and of a constant position.

    Args:
        project: with `CollectedData.csv`.
        backbone: stays as it is.
        labels: labelled frames of each draw; all others are scored.
        seed: of the draws.
        budget: preset that tells the size of the model and of its images.
    """
    frames = read_labels([project / 'CollectedData.csv'], project)
    features = _features(backbone, frames.images, budget)
    rng = np.random.default_rng(seed)
    scores, references = [], []
    for _ in range(DRAWS):
        order = rng.permutation(len(features))
        train, test = order[:labels], order[labels:]
        found = linear_reading(features[train], frames.positions[train], features[test])
        error = np.linalg.norm(found - frames.positions[test], axis=-1)
        scores.append(np.nanmean(error))
        usual = np.nanmean(frames.positions[train], axis=0)
        references.append(
            constant_error(frames.positions[test].reshape(len(test), -1), usual.ravel())
        )
    return {'score': float(np.mean(scores)), 'reference': float(np.mean(references))}


def _features(backbone: Path, images: Sequence[Path], budget: Budget) -> np.ndarray:
    """Return CLS and pooled patch tokens, as the probe takes them."""
    shape = settings('beast', 0, budget).model
    model = MaskedAutoencoder(shape, decoder=False)
    load_encoder(model, read_encoder(backbone))
    pictures = read_images(images, (shape.image_size[0], shape.image_size[1]))
    return frozen_features(model.eval(), pictures)
