"""Draw what pretraining brings: reconstructions, and keypoints read before and after.

    python integration_tests/evidence/ablation.py --output_dir DIRECTORY \
        --tasks readout_mouse readout_crops --backbones random beast
    python integration_tests/evidence/before_after.py --directory DIRECTORY --output picture.png

Of both recordings there is a row: a held-out frame, the patches that the model sees of it, what it
makes of them after the first fiftieth of training and at the end; then a labelled frame with its
keypoints (rings) and where ridge regression reads them (dots) from the frozen features of random
weights and of the pretrained model, from 25 other labelled frames. The frames are those of the
median error, not chosen by eye.
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from figures import small_png
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from recordings import FLY, MOUSE, RECORDINGS

from beast_lp.config import BeastConfig
from beast_lp.pretraining.floors import random_encoder
from beast_lp.pretraining.pictures import EXAMPLES, example_pairs, read_pairs, read_snapshots
from beast_lp.pretraining.probe import frozen_features, linear_reading
from beast_lp.pretraining.run_files import RunFiles, read_run_config
from beast_lp.reports.style import DPI, PALETTE
from beast_lp.runs.files import finished_file
from beast_lp.runs.seeds import torch_generator
from beast_lp.video.labelled import read_images, read_labels
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.vit.load import load_encoder
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.patches import patchify, unpatchify
from beast_lp.vit.pixels import denormalise
from beast_lp.vit.weights import read_encoder

ROWS = {'mouse': ('running mouse', MOUSE), 'crops': ('courting fly', FLY)}
TITLES = (
    'held-out frame',
    'what the model sees',
    'early in training',
    'after training',
    'random weights',
    'pretrained',
)
LABELS = 25
EARLY, LATE = 0, -1


class Reading(NamedTuple):
    """A labelled frame, and its keypoints read from frozen features.

    Attributes:
        image: file of the frame.
        truth: (keypoints, 2) labelled positions in px.
        read: positions read from the features.
        error: mean error over all frames that were not read from, in px.
    """

    image: Path
    truth: np.ndarray
    read: np.ndarray
    error: float


def reconstructions(run: Path, config: BeastConfig, recording: str) -> list[np.ndarray]:
    """Return a held-out frame, its visible patches, and two completions, (height, width, 3)."""
    snapshots = list(read_snapshots(run / 'snapshots').values())
    with tempfile.TemporaryDirectory() as folder:
        store = prepare_windows(
            RECORDINGS[recording],
            Path(folder),
            config.anchors,
            config.windows,
            config.seed,
            progress=False,
            offset_frames=config.pairs.offset_frames,
        )
        images = read_pairs(config, store, example_pairs(config, store)[:EXAMPLES])[:, 0]
    original = denormalise(images)
    noise = torch.rand(
        len(images), config.model.num_patches, generator=torch_generator(config.seed, 'report')
    )
    masked = noise.argsort(dim=1)[:, config.model.num_visible :, None]
    patches = patchify(original, config.model.patch_size)
    seen = patches.scatter(1, masked.expand(-1, -1, patches.shape[-1]), 0.5)
    grid = tuple(side // config.model.patch_size for side in config.model.image_size)
    shown = unpatchify(seen, (grid[0], grid[1]))
    late = torch.from_numpy(snapshots[LATE]).float() / 255
    errors = ((late - original) ** 2).mean(dim=(1, 2, 3))
    middle = int(errors.argsort()[len(errors) // 2])
    early = torch.from_numpy(snapshots[EARLY]).float() / 255
    pictures = (original, shown, early, late)
    return [part[middle].permute(1, 2, 0).clip(0, 1).numpy() for part in pictures]


def readings(run: Path, config: BeastConfig, project: Path) -> list[Reading]:
    """Read the keypoints of a labelled frame from random weights, and from the pretraining."""
    frames = read_labels([project / 'CollectedData.csv'], project)
    size = config.model.image_size
    pictures = read_images(frames.images, (size[0], size[1]))
    trained = MaskedAutoencoder(config.model, decoder=False)
    load_encoder(trained, read_encoder(run / 'backbone'))
    order = np.random.default_rng(config.seed).permutation(len(frames.images))
    train, test = order[:LABELS], order[LABELS:]
    found, errors = [], []
    for model in (random_encoder(config.model, config.seed), trained.eval()):
        features = frozen_features(model, pictures)
        read = linear_reading(features[train], frames.positions[train], features[test])
        found.append(read)
        errors.append(np.nanmean(np.linalg.norm(read - frames.positions[test], axis=-1), axis=1))
    middle = int(np.argsort(errors[-1])[len(test) // 2])
    frame = test[middle]
    return [
        Reading(
            Path(frames.images[frame]),
            frames.positions[frame],
            read[middle],
            float(np.nanmean(error)),
        )
        for read, error in zip(found, errors, strict=True)
    ]


def draw_reading(axes: Axes, reading: Reading) -> None:
    """Draw a labelled frame with its keypoints, and lines to where they were read."""
    with Image.open(reading.image) as image:
        axes.imshow(np.asarray(image.convert('L')), cmap='gray')
    labelled = np.isfinite(reading.truth).all(axis=-1)
    truth, read = reading.truth[labelled], reading.read[labelled]
    for ends in zip(truth, read, strict=True):
        axes.plot(*np.stack(ends, axis=1), color=PALETTE[1], linewidth=0.8)
    axes.scatter(*truth.T, s=14, facecolors='none', edgecolors='white', linewidths=0.8)
    axes.scatter(*read.T, s=6, color=PALETTE[1])
    axes.set_xlabel(f'mean error {reading.error:.1f} px', fontsize=8)


def before_after(directory: Path) -> Figure:
    """Draw the picture from a directory of `ablation.py`.

    Args:
        directory: its output, with the pretrainings of seed 0.
    """
    figure = Figure(figsize=(9, 3.4), dpi=DPI, layout='constrained')
    for row, (recording, (name, project)) in zip(
        figure.subplots(len(ROWS), len(TITLES)), ROWS.items(), strict=True
    ):
        run = directory / 'pretraining' / recording / 'beast_0'
        config = read_run_config(RunFiles(run))
        for axes, picture in zip(row, reconstructions(run, config, recording), strict=False):
            axes.imshow(picture)
        for axes, reading in zip(row[-2:], readings(run, config, project), strict=True):
            draw_reading(axes, reading)
        row[0].set_ylabel(name, fontsize=8)
        for axes, title in zip(row, TITLES, strict=True):
            axes.set(xticks=[], yticks=[])
            if recording == next(iter(ROWS)):
                axes.set_title(title, fontsize=8)
    return figure


def main() -> None:
    """Draw the picture into a file."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--directory', type=Path, required=True)
    parser.add_argument('--output', type=Path, required=True)
    args = parser.parse_args()
    with finished_file(args.output) as part:
        part.write_bytes(small_png(before_after(args.directory)))


if __name__ == '__main__':
    main()
