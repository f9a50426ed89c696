"""Draw the report of a pretraining run from the run's directory alone."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from beast_lp.errors import BeastError
from beast_lp.pretraining.floors import FLOORS, grey_pixels, random_encoder
from beast_lp.pretraining.losses import nearest_frame, retrieval_accuracy
from beast_lp.pretraining.module import BeastModule
from beast_lp.pretraining.pairs import Pair
from beast_lp.pretraining.pictures import (
    EXAMPLES,
    example_pairs,
    read_pairs,
    read_snapshots,
    reconstruct,
    spread,
)
from beast_lp.pretraining.run_files import RunFiles, read_run_config
from beast_lp.reports.anchor_sheets import SHEET_SIDE
from beast_lp.reports.pretraining import write_pretraining_report
from beast_lp.reports.pretraining_content import PretrainingPictures, read_table
from beast_lp.runs.seeds import numpy_generator
from beast_lp.runs.words import duration
from beast_lp.video.window_store import WindowStore
from beast_lp.vit.pixels import denormalise, network_input
from beast_lp.vit.safe_load import read_checkpoint

RETRIEVALS = 12
# videos whose anchors are drawn, most of them in files beside the page
MAX_SHEETS = 100
MAX_SHEET_IMAGES = 32
# points of the map: more would only hide each other
MAP_FRAMES = 1000
# frames embedded at once
_BATCH = 32
# columns of the table of epochs that the summary reads
_METRICS = ('images_per_second', 'data_wait_share', 'seconds_left')


def write_report(output_dir: Path, next_command: str = '') -> Path:
    """Write `report.html` and `figures/` of a pretraining run, finished or not.

    Args:
        output_dir: folder of the run, with at least one checkpoint.
        next_command: command that trains a pose model on the backbone.

    Returns:
        The path of the page.
    """
    files = RunFiles(output_dir)
    module = load_module(files)
    store = WindowStore.open(files.windows)
    return write_pretraining_report(
        output_dir, _summary(module, files, store), _collect(module, store, files), next_command
    )


def load_module(files: RunFiles) -> BeastModule:
    """Return the module of a run with the weights of its last checkpoint, for inference."""
    module = BeastModule(read_run_config(files))
    checkpoint = read_checkpoint(files.last)
    module.load_state_dict(checkpoint['state_dict'])
    module.on_load_checkpoint(checkpoint)
    return module.eval()


def _summary(module: BeastModule, files: RunFiles, store: WindowStore) -> dict[str, str]:
    config = module.config
    metrics = read_table(files.metrics, numbers=_METRICS)
    frames = config.training.batch_size
    seconds = _training_seconds(metrics, 2 * len(store))
    last, finished = metrics.iloc[-1], len(metrics) == config.training.num_epochs
    if not finished and not np.isfinite(last['seconds_left']):
        raise BeastError(
            f'the last row of {files.metrics} is cut short; restore the file that pretraining '
            'wrote, or run pretraining again'
        )
    left = {} if finished else {'time left': f'about {duration(last["seconds_left"])}'}
    projects = store.table['project'].nunique()
    return {
        'preset': config.preset,
        'initial weights': config.init,
        'encoder': f'ViT of {config.model.num_layers} layers, {config.model.hidden_size} features '
        f'a patch, patches of {config.model.patch_size} x {config.model.patch_size} px',
        'image size': f'{config.model.image_size[0]} x {config.model.image_size[1]} px',
        **({'projects': f'{projects}, in equal shares'} if projects > 1 else {}),
        'videos': str(store.table['video_id'].nunique()),
        'anchors': str(len(store)),
        'epochs': f'{len(metrics)} of {config.training.num_epochs}'
        + (f', {last["step"]:,.0f} steps' if 'step' in metrics else ''),
        'batch': f'{frames} frames ({frames // 2} anchors, {frames // 2} positives) per device',
        'contrastive weight': f'{config.loss.contrastive_weight:g} '
        f'at temperature {config.loss.temperature:g}',
        'training time': f'about {duration(seconds)}',
        **left,
        'throughput': f'{metrics["images_per_second"].median():.3g} images/s, '
        f'{100 * metrics["data_wait_share"].median():.0f} % of the time waiting for data',
        'versions': ', '.join(
            f'{name} {version(name)}'
            for name in ('beast-lp', 'torch', 'transformers', 'lightning')
        ),
    }


def _training_seconds(metrics: pd.DataFrame, images: int) -> float:
    """Return the time that was spent on training.

    Args:
        metrics: table of the epochs.
        images: images of an epoch, for a table that an older version wrote.
    """
    if 'seconds' in metrics:
        return float(metrics['seconds'].sum())
    # an epoch that was resumed at its end has no speed
    return float((images / metrics['images_per_second'].replace(0, np.nan)).sum())


@torch.inference_mode()
def _collect(
    module: BeastModule,
    store: WindowStore,
    files: RunFiles,
) -> PretrainingPictures:
    config = module.config
    size = (config.model.image_size[0], config.model.image_size[1])
    pairs = example_pairs(config, store)
    images = read_pairs(config, store, pairs)
    originals, masked, reconstructed = reconstruct(module, images[:EXAMPLES, 0])
    nearest, captions = _retrieve(module, images, pairs, store)
    every = images.transpose(0, 1).flatten(0, 1)
    cls, rows = _embed(module, store, size)
    table = store.table.iloc[rows]
    return PretrainingPictures(
        anchor_sheets=_sheets(store),
        originals=originals.numpy(),
        masked=masked.numpy(),
        reconstructed=reconstructed.numpy(),
        snapshots=read_snapshots(files.snapshots) if len(originals) else {},
        retrieval_anchors=denormalise(images[:RETRIEVALS, 0]).numpy(),
        retrieval_nearest=denormalise(every[nearest[:RETRIEVALS]]).numpy(),
        retrieval_correct=(nearest == torch.arange(len(pairs)) + len(pairs))[:RETRIEVALS].numpy(),
        retrieval_captions=captions[:RETRIEVALS],
        retrieval_shares=retrieval_shares(module, images),
        retrieval_pairs=len(pairs),
        embeddings=cls.numpy(),
        embedding_video=table['video_id'].tolist(),
        embedding_time=(
            table['frame'] / store.table.groupby('video_id')['frame'].transform('max').iloc[rows]
        ).to_numpy(),
    )


def _retrieve(
    module: BeastModule,
    images: Float[Tensor, 'pairs 2 3 h w'],
    pairs: Sequence[Pair],
    store: WindowStore,
) -> tuple[Tensor, list[str]]:
    """Return the index of each anchor's nearest frame, and captions that name both."""
    vectors = module.model.encode(images.transpose(0, 1).flatten(0, 1))[:, 0]
    if module.projection is not None:
        vectors = module.projection(vectors)
    nearest = nearest_frame(*vectors.chunk(2))
    names = [_name(store, pair.anchor, 0) for pair in pairs]
    names += [_name(store, pair.window, pair.offset) for pair in pairs]
    return nearest, [f'{names[i]}\n→ {names[int(j)]}' for i, j in enumerate(nearest)]


def retrieval_shares(
    module: BeastModule, images: Float[Tensor, 'pairs 2 3 height width']
) -> dict[str, float]:
    """Return the share of positives found on whole frames, by what frames are compared by.

    Args:
        module: module of a run, for inference.
        images: anchors and their positives, as network input.

    Returns:
        The shares, 0 to 1, of the model and of what has learned nothing, by their words.
    """
    frames = images.transpose(0, 1).flatten(0, 1)
    pixels = torch.from_numpy(
        grey_pixels((denormalise(frames) * 255).round().byte().movedim(1, 3))
    )
    cls = module.model.encode(frames)[:, 0]
    untrained = random_encoder(module.config.model, module.config.seed)
    vectors = {
        'CLS of this model': cls,
        'CLS of random weights': untrained.encode(frames)[:, 0],
        FLOORS['pixels']: pixels - pixels.mean(dim=0),
    }
    if module.projection is not None:
        vectors = {'projection of this model': module.projection(cls), **vectors}
    return {
        name: float(retrieval_accuracy(nearest_frame(*values.chunk(2))))
        for name, values in vectors.items()
    }


def _name(store: WindowStore, window: int, offset: int) -> str:
    row = store.table.iloc[window]
    return f'{row["video_id"]} {row["frame"] + offset * row["step"]}'


def _embed(
    module: BeastModule,
    store: WindowStore,
    size: tuple[int, int],
) -> tuple[Float[Tensor, 'frames dim'], np.ndarray]:
    """Return the CLS tokens of a random subset of the anchors, and which anchors they are."""
    draw = numpy_generator(module.config.seed, 'map')
    rows = np.sort(draw.permutation(len(store))[:MAP_FRAMES])
    tokens = []
    for start in range(0, len(rows), _BATCH):
        frames = np.concatenate(
            [store.read(int(i), (0,), size) for i in rows[start : start + _BATCH]]
        )
        tokens.append(module.model.encode(network_input(torch.from_numpy(frames)))[:, 0])
    return torch.cat(tokens), rows


def _sheets(store: WindowStore) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Return evenly spread anchors of the first videos, no larger than they are drawn."""
    sheets: dict[str, tuple[np.ndarray, list[str]]] = {}
    for video, group in list(store.table.groupby('video', sort=True))[:MAX_SHEETS]:
        rows = spread(group.index.tolist(), MAX_SHEET_IMAGES)
        height, width = store.clip_size(rows[0])
        scale = min(1.0, SHEET_SIDE / max(height, width))
        size = (max(1, round(scale * height)), max(1, round(scale * width)))
        images = np.concatenate([store.read(row, (0,), size) for row in rows])
        sheets[str(video)] = images, [f'frame {store.table.frame[row]}' for row in rows]
    return sheets
