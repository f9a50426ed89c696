"""The probe during a run: does pretraining help a project's own labelled keypoints?"""

import logging
import math
from collections.abc import Callable
from typing import Any

from jaxtyping import UInt8
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from beast_lp.config import BeastConfig
from beast_lp.config.pretraining import LEAST_FRAMES
from beast_lp.errors import BeastError
from beast_lp.pretraining.floors import FLOORS, floor_features, random_encoder
from beast_lp.pretraining.pictures import spread
from beast_lp.pretraining.probe import (
    assign_folds,
    frozen_features,
    probe_error,
    z_scores,
)
from beast_lp.video.labelled import LabelledFrames, read_images
from beast_lp.vit.model import Encoder

logger = logging.getLogger(f'lightning_pose.{__name__}')

# measurements of a run whose settings name no distance: enough to see where a curve turns
MEASUREMENTS = 10
# labelled frames that are read; more would cost time and memory and change the error little
MOST_FRAMES = 500


class Probe(Callback):
    """Measures the probe before training and every few epochs, beside its floors."""

    def __init__(
        self,
        frames: LabelledFrames,
        config: BeastConfig,
        anchors: Callable[[], UInt8[Tensor, 'frames height width 3']],
    ) -> None:
        """Probe with the labels of a project.

        Args:
            frames: labelled frames.
            config: settings of the run. Where `probe.every_epochs` is null, about `MEASUREMENTS`
                are made, and labels that cannot be used are no error.
            anchors: function that reads some frames of the videos at the model's size, for the
                principal components.

        Raises:
            BeastError: if there are too few labelled frames for the probe that was asked for.
        """
        if len(frames.images) < LEAST_FRAMES:
            raise BeastError(
                f'the probe needs {LEAST_FRAMES} labelled frames, but data.csv_file has '
                f'{len(frames.images)}; label more, or set beast.probe.every_epochs=0'
            )
        self.frames = frames.some(spread(range(len(frames.images)), MOST_FRAMES))
        self.config = config
        # errors in px with the initial weights, and of the floors by their names
        self.start = float('nan')
        self.floors: dict[str, float] = {}
        self._folds = assign_folds(self.frames.videos)
        self._read_anchors = anchors
        self._images: Tensor | None = None
        self._row: dict[str, float] = {}

    @property
    def active(self) -> bool:
        """Whether this process measures: the first one does, unless the labels are damaged."""
        return self._images is not None

    def row(self) -> dict[str, float]:
        """Return the columns of the epoch that ends; none where it was not measured."""
        return self._row

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the initial weights and the floors, which a resumed run has kept."""
        if not trainer.is_global_zero:
            return
        size = self.config.model.image_size
        try:
            self._images = read_images(self.frames.images, (size[0], size[1]), self.frames.boxes)
        except BeastError as error:
            if self.config.probe.every_epochs is not None:
                raise
            logger.warning(f'beast: pretraining goes without the probe: {error}')
            return
        if trainer.global_step == 0:
            self.start = self._errors(_model(pl_module))['probe_px']
        if set(self.floors) != set(FLOORS):
            self.floors = self._measure_floors()
        if trainer.global_step == 0:
            floors = ', '.join(
                f'{self.floors[name]:.1f} px by {words}' for name, words in FLOORS.items()
            )
            logger.info(
                f'beast: probe before training: {self.start:.1f} px on held-out labelled frames. '
                f'It has to beat: {floors}'
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the columns of the epoch before."""
        self._row = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, if it is time."""
        if not self.active:
            return
        done, epochs = trainer.current_epoch + 1, int(trainer.max_epochs or 1)
        every = self.config.probe.every_epochs or math.ceil(epochs / MEASUREMENTS)
        if done % every and done != epochs:
            return
        self._row = {
            **self._errors(_model(pl_module)),
            'probe_start_px': self.start,
            **{f'probe_{name}_px': error for name, error in self.floors.items()},
        }
        if trainer.logger is not None:
            trainer.logger.log_metrics(self._row, trainer.global_step)
        if done == epochs:
            best = min(self.floors, key=lambda name: self.floors[name])
            logger.info(
                f'beast: probe after training: {self._row["probe_px"]:.1f} px; the best floor has '
                f'{self.floors[best]:.1f} px ({FLOORS[best]})'
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the measurements that a resumed run cannot repeat or need not."""
        return {'start': self.start, 'floors': self.floors}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them; checkpoints of older versions lack the floors."""
        self.start = state_dict['start']
        self.floors = state_dict.get('floors', {})

    def _errors(self, model: Encoder) -> dict[str, float]:
        """Return the errors of a model with its present weights."""
        assert self._images is not None
        training = model.training
        features = frozen_features(model.eval(), self._images)
        model.train(training)
        return {
            'probe_px': probe_error(features, self.frames.within, self._folds),
            'probe_z_px': probe_error(features, self.frames.within, self._folds, z_scores),
        }

    def _measure_floors(self) -> dict[str, float]:
        assert self._images is not None
        features = floor_features(self._images, self._read_anchors())
        errors = {
            name: probe_error(values, self.frames.within, self._folds)
            for name, values in features.items()
        }
        if self.config.init == 'random' and math.isfinite(self.start):
            return {**errors, 'random': self.start}
        model = random_encoder(self.config.model, self.config.seed)
        return {**errors, 'random': self._errors(model)['probe_px']}


def _model(module: LightningModule) -> Encoder:
    model = module.model
    assert isinstance(model, Encoder)
    return model
