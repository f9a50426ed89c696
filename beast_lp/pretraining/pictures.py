"""Reconstructions of a few fixed held-out frames, now and over the epochs."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from beast_lp.config import BeastConfig
from beast_lp.pretraining.losses import patch_statistics
from beast_lp.pretraining.module import BeastModule
from beast_lp.pretraining.pairs import Pair, WindowPairs, validation_pairs
from beast_lp.pretraining.split import split_windows
from beast_lp.runs.files import finished_file
from beast_lp.runs.readable import read_array
from beast_lp.runs.seeds import torch_generator
from beast_lp.video.shares import spread_over
from beast_lp.video.window_store import WindowStore, read_evenly
from beast_lp.vit.patches import patchify, unpatchify
from beast_lp.vit.pixels import denormalise, network_input

logger = logging.getLogger(f'lightning_pose.{__name__}')

# frames that are reconstructed, and pairs in which positives are retrieved
EXAMPLES = 6
PAIRS = 32
# anchors that stand for all frames of a project
ANCHORS = 256
# snapshots of a run, closer together at its beginning, where more changes
SNAPSHOTS = 8


class Reconstruction(NamedTuple):
    """Images, their visible patches, and the decoder's completion, in 0..1.

    All are empty where the model has no decoder.
    """

    original: Float[Tensor, 'images 3 height width']
    masked: Float[Tensor, 'images 3 height width']
    completed: Float[Tensor, 'images 3 height width']


def spread(items: Sequence, count: int) -> list:
    """Return at most `count` items, evenly spread over all of them."""
    return [items[i] for i in spread_over(len(items), count)]


def example_pairs(config: BeastConfig, store: WindowStore) -> list[Pair]:
    """Return the same few pairs for all pictures of a run, held-out ones if there are any."""
    fraction = config.training.validation_fraction
    train, held_out = split_windows(store.table, fraction, config.seed)
    shown = held_out if len(held_out) else np.sort(train)
    videos = store.table['video_id'].to_numpy()[shown]
    return spread(validation_pairs(shown, videos, config.pairs.positive, config.seed), PAIRS)


def anchor_pictures(
    config: BeastConfig, store: WindowStore
) -> UInt8[Tensor, 'frames height width 3']:
    """Read at most `ANCHORS` anchors, evenly spread over the store, at the model's size."""
    size = (config.model.image_size[0], config.model.image_size[1])
    return torch.from_numpy(read_evenly(store, np.arange(len(store)), ANCHORS, size))


def read_pairs(
    config: BeastConfig,
    store: WindowStore,
    pairs: Sequence[Pair],
) -> Float[Tensor, 'pairs 2 3 height width']:
    """Return anchors and positives as network input, without augmentation."""
    dataset = WindowPairs(store, (config.model.image_size[0], config.model.image_size[1]))
    return network_input(torch.stack([dataset[pair] for pair in pairs]))


def reconstruct(
    module: BeastModule,
    images: Float[Tensor, 'images 3 height width'],
) -> Reconstruction:
    """Hide patches, the same ones at every call, and let the model predict them."""
    architecture = module.model.architecture
    draw = torch_generator(module.config.seed, 'report')
    noise = torch.rand(len(images), module.config.model.num_patches, generator=draw)
    output = module.model(images, noise.to(images.device))
    if output.prediction is None:
        nothing = torch.empty(0, 3, 1, 1)
        return Reconstruction(nothing, nothing, nothing)
    prediction = output.prediction.float()
    if module.config.loss.norm_pix_loss:
        # such a model predicts each patch without its brightness and contrast: restore them
        mean, scale = patch_statistics(output.target)
        prediction = prediction * scale + mean
    patches = patchify(images, architecture.patch_size)
    index = output.masked[..., None].expand(-1, -1, patches.shape[-1])
    completed = unpatchify(patches.scatter(1, index, prediction), architecture.grid)
    visible = patchify(denormalise(images), architecture.patch_size).scatter(1, index, 0.5)
    return Reconstruction(
        denormalise(images), unpatchify(visible, architecture.grid), denormalise(completed)
    )


def snapshot_epochs(epochs: int) -> list[int]:
    """Return the epochs, counted from 0, after which snapshots are taken, the last included."""
    return sorted({round(float(n)) - 1 for n in np.geomspace(1, epochs, SNAPSHOTS)})


class Snapshots(Callback):
    """Reconstructs the same held-out frames after some epochs, for TensorBoard and the report."""

    def __init__(self, directory: Path, config: BeastConfig, store: WindowStore) -> None:
        """Take snapshots of a run.

        Args:
            directory: folder of `epoch_00001.npy`, ...; uint8, (frames, 3, height, width).
            config: settings of the run.
            store: window store of the run.
        """
        self.directory = directory
        self.epochs = snapshot_epochs(config.training.num_epochs)
        self._config = config
        self._store = store
        self._images: Tensor | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take a snapshot, if it is time."""
        if trainer.current_epoch not in self.epochs or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, BeastModule)
        if self._images is None:
            pairs = example_pairs(self._config, self._store)[:EXAMPLES]
            self._images = read_pairs(self._config, self._store, pairs)[:, 0]
        training = pl_module.training
        with torch.no_grad():
            pictures = reconstruct(pl_module.eval(), self._images.to(pl_module.device))
        pl_module.train(training)
        if not len(pictures.completed):
            return
        number = trainer.current_epoch + 1
        self.directory.mkdir(exist_ok=True)
        pixels = (pictures.completed * 255).round().byte().cpu().numpy()
        path = self.directory / f'epoch_{number:05d}.npy'
        with finished_file(path) as part, part.open('wb') as file:
            np.save(file, pixels)
        if isinstance(trainer.logger, TensorBoardLogger):
            # one row per frame: original, masked, completed
            rows = torch.cat([part.cpu() for part in pictures], dim=3)
            trainer.logger.experiment.add_images('reconstruction', rows, trainer.global_step)


def read_snapshots(directory: Path) -> dict[int, UInt8[np.ndarray, 'frames 3 height width']]:
    """Return the snapshots in a directory, by the number of epochs trained."""
    pictures = {}
    for path in sorted(directory.glob('epoch_*.npy')):
        try:
            array = read_array(path)
            if array.ndim != 4 or array.dtype != np.uint8:
                raise ValueError(f'it holds {array.dtype} of the shape {array.shape}')
            pictures[int(path.stem.removeprefix('epoch_'))] = array
        except ValueError as error:
            logger.warning(f'beast: the snapshot {path} is damaged ({error}) and is left out')
    return pictures
