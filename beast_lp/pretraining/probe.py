"""Linear read-out of keypoints from frozen features: what features hold, without training them.

Features are scaled by one number (`scale`). With a number for each (`z_scores`), a pixel that
flickers by one grey level weighs as much as one that the animal crosses; on the fly crops, 25
labels read 17.2 px from 16 x 16 grey pixels by the former and 37.3 px by the latter.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from sklearn.linear_model import RidgeCV
from torch import Tensor
from torch.nn import functional

from beast_lp.config.pretraining import PROBE_FOLDS
from beast_lp.pretraining.split import WHOLE_VIDEOS_FROM
from beast_lp.vit.model import Encoder
from beast_lp.vit.pixels import network_input

# patch tokens are averaged over a grid of so many cells a side: a mean over the whole image would
# lose positions
_GRID = 4
# wide enough for features whose mean variance is 1, from one to tens of thousands of them
_ALPHAS = np.logspace(-3, 6, 19)
_BATCH = 32

Features = Float[np.ndarray, 'frames dim']
# from the features of labelled frames and of others to the same, scaled by those of the former
Scaling = Callable[[Features, Features], tuple[Features, Features]]


def scale(
    features: Float[np.ndarray, 'frames dim'],
    others: Float[np.ndarray, 'others dim'],
) -> tuple[Float[np.ndarray, 'frames dim'], Float[np.ndarray, 'others dim']]:
    """Remove the mean of each feature, and divide all features by one number.

    That number is the root of the mean variance over all features, so that features keep their
    weight against each other.

    Args:
        features: features whose means and variances count.
        others: features that are scaled likewise.

    Examples:
        >>> features = np.array([[0.0, 5.0, 9.0], [2.0, 5.0, 2.0]])
        >>> scaled, others = scale(features, features[:1] + 1)
        >>> scaled.std(axis=0).round(3).tolist(), float(scaled.var(axis=0).mean().round(3))
        ([0.476, 0.0, 1.665], 1.0)
        >>> others.round(3).tolist()
        [[0.0, 0.476, 2.141]]
    """
    mean = features.mean(axis=0, dtype=np.float64)
    spread = np.sqrt(np.mean(np.square(features - mean))) or 1.0
    return (features - mean) / spread, (others - mean) / spread


def z_scores(
    features: Float[np.ndarray, 'frames dim'],
    others: Float[np.ndarray, 'others dim'],
) -> tuple[Float[np.ndarray, 'frames dim'], Float[np.ndarray, 'others dim']]:
    """Remove the mean of each feature, and divide each by its own standard deviation.

    Args:
        features: features whose means and deviations count.
        others: features that are scaled likewise.

    Examples:
        >>> features = np.array([[0.0, 5.0, 9.0], [2.0, 5.0, 2.0]])
        >>> z_scores(features, features)[0].tolist()
        [[-1.0, 0.0, 1.0], [1.0, 0.0, -1.0]]
    """
    mean = features.mean(axis=0, dtype=np.float64)
    spread = features.std(axis=0, dtype=np.float64)
    spread[spread == 0] = 1
    return (features - mean) / spread, (others - mean) / spread


def assign_folds(videos: Sequence[str], folds: int = PROBE_FOLDS) -> Int[np.ndarray, ' frames']:
    """Assign frames to folds: whole videos where there are enough, else stretches of frames.

    Args:
        videos: video of each frame; the frames of a video are in order of time.
        folds: number of folds.

    Examples:
        >>> assign_folds(['a', 'a', 'a', 'b', 'b', 'b'], folds=2)
        array([0, 0, 0, 1, 1, 1])
    """
    names, video = np.unique(np.asarray(videos), return_inverse=True)
    if len(names) < max(folds, WHOLE_VIDEOS_FROM):
        order = np.argsort(video, kind='stable')
        result = np.empty(len(video), np.int64)
        result[order] = np.arange(len(video)) * folds // len(video)
        return result
    # the largest videos first, each to the fold that has fewest frames
    sizes = np.bincount(video)
    load = np.zeros(folds, np.int64)
    fold_of = np.empty(len(names), np.int64)
    for index in np.argsort(-sizes, kind='stable'):
        fold_of[index] = load.argmin()
        load[fold_of[index]] += sizes[index]
    return fold_of[video]


def probe_error(
    features: Float[np.ndarray, 'frames dim'],
    positions: Float[np.ndarray, 'frames keypoints 2'],
    folds: Int[np.ndarray, ' frames'],
    scaling: Scaling = scale,
) -> float:
    """Predict keypoints by ridge regression, each fold from the others.

    Args:
        features: features of the frames.
        positions: keypoints in px, NaN where one is not labelled.
        folds: fold of each frame.
        scaling: `scale` or `z_scores`.

    Returns:
        mean distance in px over all labelled keypoints of all frames.
    """
    predicted = np.full_like(positions, np.nan)
    for fold in np.unique(folds):
        test = folds == fold
        predicted[test] = linear_reading(
            features[~test], positions[~test], features[test], scaling
        )
    return float(np.nanmean(np.linalg.norm(predicted - positions, axis=2)))


def linear_reading(
    features: Float[np.ndarray, 'frames dim'],
    positions: Float[np.ndarray, 'frames keypoints 2'],
    others: Float[np.ndarray, 'others dim'],
    scaling: Scaling = scale,
) -> Float[np.ndarray, 'others keypoints 2']:
    """Predict the keypoints of other frames by a ridge regression on these.

    Args:
        features: features of labelled frames.
        positions: their keypoints, NaN where one is not labelled.
        others: features of the frames to predict.
        scaling: `scale` or `z_scores`.

    Returns:
        keypoints of the other frames; NaN for keypoints that fewer than two frames have.

    Examples:
        >>> features = np.arange(8.0)[:, None]
        >>> positions = np.stack([3 * features, 10 - features], axis=2)
        >>> linear_reading(features, positions, np.array([[2.0]])).round(0)
        array([[[6., 8.]]])
    """
    result = np.full((len(others), *positions.shape[1:]), np.nan)
    labelled: Bool[np.ndarray, 'frames keypoints'] = np.asarray(np.isfinite(positions).all(axis=2))
    # keypoints that are labelled in the same frames are fitted together
    patterns, pattern_of = np.unique(labelled, axis=1, return_inverse=True)
    for index, known in enumerate(patterns.T):
        points = np.flatnonzero(pattern_of.ravel() == index)
        if known.sum() < 2:
            continue
        target = positions[np.ix_(known, points)].reshape(known.sum(), -1)
        given, asked = scaling(features[known], others)
        guess = RidgeCV(_ALPHAS).fit(given, target).predict(asked)
        result[:, points] = guess.reshape(len(others), len(points), 2)
    return result


def frozen_features(
    model: Encoder, images: UInt8[Tensor, 'frames height width 3']
) -> Float[np.ndarray, 'frames dim']:
    """Return CLS and the patch tokens averaged over a coarse grid, of whole images.

    Args:
        model: encoder, which stays unchanged.
        images: frames of the model's size.
    """
    result = []
    with torch.inference_mode():
        for batch in images.split(_BATCH):
            tokens = model.encode(network_input(batch.to(model.cls_token.device)))
            grid = tokens[:, 1:].transpose(1, 2).unflatten(2, model.architecture.grid)
            cells = functional.adaptive_avg_pool2d(grid, _GRID).flatten(1)
            result.append(torch.cat([tokens[:, 0], cells], dim=1).float().cpu())
    return torch.cat(result).numpy()
