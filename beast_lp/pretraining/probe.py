"""Linear read-out of a project's labelled keypoints, to see whether pretraining helps it."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from lightning.pytorch import Callback, LightningModule, Trainer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional

from beast_lp.errors import BeastError
from beast_lp.pretraining.split import WHOLE_VIDEOS_FROM
from beast_lp.video.labelled import LabelledFrames, read_images
from beast_lp.vit.model import Encoder
from beast_lp.vit.pixels import network_input

logger = logging.getLogger(f'lightning_pose.{__name__}')

FOLDS = 5
# fewer labelled frames make folds too small to measure anything
LEAST_FRAMES = 2 * FOLDS
# patch tokens are averaged over a grid of so many cells a side: a mean over the whole image would
# lose positions
_GRID = 4
_ALPHAS = np.logspace(0, 6, 13)
_BATCH = 32


class ProbeError(NamedTuple):
    """Mean distances of held-out keypoints, in px of the original images."""

    model: float
    # of the constant prediction: each keypoint's mean over the training frames
    constant: float


def assign_folds(videos: Sequence[str], folds: int = FOLDS) -> Int[np.ndarray, ' frames']:
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
) -> ProbeError:
    """Predict keypoints by ridge regression, each fold from the others.

    Args:
        features: features of the frames.
        positions: keypoints in px, NaN where one is not labelled.
        folds: fold of each frame.

    Returns:
        mean distances over all labelled keypoints of all frames.
    """
    predicted, constant = np.full_like(positions, np.nan), np.full_like(positions, np.nan)
    for fold in np.unique(folds):
        test = folds == fold
        predicted[test] = linear_reading(features[~test], positions[~test], features[test])
        # the same position whatever the frame shows
        blind = np.zeros((len(features), 1))
        constant[test] = linear_reading(blind[~test], positions[~test], blind[test])
    return ProbeError(
        *(
            float(np.nanmean(np.linalg.norm(guess - positions, axis=2)))
            for guess in (predicted, constant)
        )
    )


def linear_reading(
    features: Float[np.ndarray, 'frames dim'],
    positions: Float[np.ndarray, 'frames keypoints 2'],
    others: Float[np.ndarray, 'others dim'],
) -> Float[np.ndarray, 'others keypoints 2']:
    """Predict the keypoints of other frames by a ridge regression on these.

    Args:
        features: features of labelled frames.
        positions: their keypoints, NaN where one is not labelled.
        others: features of the frames to predict.

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
        model = make_pipeline(StandardScaler(), RidgeCV(_ALPHAS))
        guess = model.fit(features[known], target).predict(others)
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


class Probe(Callback):
    """Measures the probe before training and every few epochs.

    The labelled frames are held in memory at the model's size, so memory grows with the labels,
    not with the videos.
    """

    def __init__(
        self, frames: LabelledFrames, every_epochs: int, image_size: tuple[int, int]
    ) -> None:
        """Probe with the labels of a project.

        Args:
            frames: labelled frames.
            every_epochs: epochs between two measurements; the last epoch is always measured.
            image_size: (height, width) in px of the model's images.

        Raises:
            BeastError: if there are too few labelled frames.
        """
        if len(frames.images) < LEAST_FRAMES:
            raise BeastError(
                f'the probe needs {LEAST_FRAMES} labelled frames, but data.csv_file has '
                f'{len(frames.images)}; label more, or set beast.probe.every_epochs=null'
            )
        self.frames = frames
        self.every_epochs = every_epochs
        self.image_size = image_size
        # error with the initial weights, px
        self.start = float('nan')
        self._images: Tensor | None = None
        self._row: dict[str, float] = {}

    def row(self) -> dict[str, float]:
        """Return the columns of the epoch that ends; none where it was not measured."""
        return self._row

    def measure(self, model: Encoder) -> ProbeError:
        """Probe a model with its present weights.

        Raises:
            BeastError: if a labelled image is damaged.
        """
        if self._images is None:
            self._images = read_images(self.frames.images, self.image_size)
        training = model.training
        features = frozen_features(model.eval(), self._images)
        model.train(training)
        return probe_error(features, self.frames.positions, assign_folds(self.frames.videos))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the initial weights."""
        if trainer.global_step == 0 and trainer.is_global_zero:
            error = self.measure(_model(pl_module))
            self.start = error.model
            logger.info(
                f'beast: probe before training: {error.model:.1f} px on held-out labelled '
                f'frames; a constant prediction has {error.constant:.1f} px'
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the columns of the epoch before."""
        self._row = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, if it is time."""
        done = trainer.current_epoch + 1
        if not trainer.is_global_zero or (done % self.every_epochs and done != trainer.max_epochs):
            return
        error = self.measure(_model(pl_module))
        self._row = {
            'probe_px': error.model,
            'probe_constant_px': error.constant,
            'probe_start_px': self.start,
        }
        if trainer.logger is not None:
            trainer.logger.log_metrics(self._row, trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """Return the measurement that a resumed run cannot repeat."""
        return {'start': self.start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore it."""
        self.start = state_dict['start']


def _model(module: LightningModule) -> Encoder:
    model = module.model
    assert isinstance(model, Encoder)
    return model
