"""The child processes of the other benchmarks on our side.

Each prints one line of JSON at its end.
"""

import argparse
import csv
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any


def extract(arguments: argparse.Namespace) -> dict[str, Any]:
    """Scan videos, choose anchors, write the window store."""
    from beast_lp.config import AnchorConfig, WindowConfig
    from beast_lp.video import anchors
    from beast_lp.video.window_prepare import prepare_windows

    if arguments.start_only:
        return {}
    # anchors may be next to each other, as in the authors' selection
    anchors.MIN_SPACING = 1
    store = prepare_windows(
        arguments.videos,
        arguments.output,
        AnchorConfig(per_video=arguments.anchors),
        WindowConfig(processes=1),
        0,
        progress=False,
    )
    return {'anchors': len(store)}


def deliver(arguments: argparse.Namespace) -> dict[str, Any]:
    """Read, augment and normalise batches of pairs for some seconds, as training does."""
    import numpy as np
    import torch

    from beast_lp.config import AugmentationConfig
    from beast_lp.pretraining.augmentation import augment, draw_geometry, frame_size
    from beast_lp.video.window_store import WindowStore

    torch.set_num_threads(1)
    # the authors' default flips left to right alone; a flip costs us nothing
    settings, image_size = AugmentationConfig(), (224, 224)
    store = WindowStore.open(arguments.store)
    draw, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    pairs, size = arguments.batch_size // 2, frame_size(store.clip_sizes(), image_size, settings)

    def batch() -> torch.Tensor:
        rows, sides = draw.integers(len(store), size=pairs), draw.choice((-1, 1), pairs)
        frames = torch.stack(
            [
                torch.from_numpy(store.read(int(row), (0, int(side)), size))
                for row, side in zip(rows, sides, strict=True)
            ]
        )
        images = frames.transpose(0, 1).flatten(0, 1)
        maps = draw_geometry(len(images), image_size, settings, generator)
        return augment(images, maps, image_size)

    shape, images = list(batch().shape[1:]), 0
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < arguments.seconds:
        images += len(batch())
    return {
        'images': images,
        'shape': shape,
        'wall': time.perf_counter() - wall,
        'cpu': time.process_time() - cpu,
    }


def train(arguments: argparse.Namespace) -> dict[str, Any]:
    """Pretrain briefly on two cores; returns the columns of `metrics.csv` on speed, by epoch."""
    if hasattr(os, 'sched_setaffinity'):
        # before torch counts the cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    from beast_lp.config import parse_config
    from beast_lp.pretraining.stage import run_pretraining

    config = parse_config({'preset': 'vit_tiny', 'training': {'epochs': arguments.epochs}})
    run_pretraining(config, arguments.videos, arguments.output)
    with (arguments.output / 'metrics.csv').open() as file:
        rows = list(csv.DictReader(file))
    return {
        'cores': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else None,
        'steps': int(rows[0]['step']),
        'data_wait_share': [float(row['data_wait_share']) for row in rows],
        'images_per_second': [float(row['images_per_second']) for row in rows],
    }


def synthesise(arguments: argparse.Namespace) -> dict[str, Any]:
    """Write a small video in which something always moves and frames hardly repeat."""
    import av
    import numpy as np

    side = arguments.side
    places, unit = np.arange(side), side / 64
    # the planes of yuv420p below each other, colourless
    planes = np.full((side * 3 // 2, side), 128, np.uint8)
    with av.open(str(arguments.output), 'w') as container:
        stream = container.add_stream('libx264', rate=25, options={'preset': 'ultrafast'})
        stream.height = stream.width = side
        stream.pix_fmt = 'yuv420p'
        for time_ in range(arguments.frames):
            # frequencies without a common period
            y, x = (unit * (32 + 20 * np.sin(0.1 * factor * time_)) for factor in (1, 2**0.5))
            width = unit**2 * (60 + 30 * np.sin(0.1 * 3**0.5 * time_))
            down, right = (np.exp(-((places - middle) ** 2) / width) for middle in (y, x))
            planes[:side] = 30 + 200 * down[:, None] * right
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format='yuv420p')))
        container.mux(stream.encode(None))
    return {}


def repeat(arguments: argparse.Namespace) -> dict[str, Any]:
    """Write a video several times in a row into a longer one; count the frames of the one."""
    import av

    frames = 0
    with av.open(str(arguments.output), 'w') as container:
        stream = container.add_stream('libx264', rate=25, options={'preset': 'ultrafast'})
        stream.pix_fmt = 'yuv420p'
        for repetition in range(arguments.times):
            with av.open(str(arguments.video)) as source:
                for picture in source.decode(video=0):
                    if frames == 0:
                        stream.width, stream.height = picture.width, picture.height
                    planes = picture.to_ndarray(format='yuv420p')
                    # a picture of its own, without the times of the one that it copies
                    copy = av.VideoFrame.from_ndarray(planes, format='yuv420p')
                    container.mux(stream.encode(copy))
                    frames += repetition == 0
        container.mux(stream.encode(None))
    return {'frames': frames}


def weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """Save a random backbone of a preset's size."""
    from beast_lp.config import parse_config
    from beast_lp.vit.model import MaskedAutoencoder
    from beast_lp.vit.save import encoder_to_transformers, save_backbone

    config = parse_config({'preset': arguments.preset}).model
    model = MaskedAutoencoder(config, decoder=False)
    save_backbone(arguments.output, model.architecture, encoder_to_transformers(model))
    return {
        'image_size': config.image_size,
        'layers': config.num_layers,
        'width': config.hidden_size,
    }


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Make sure that two sides computed the same features, up to how they scale frames."""
    import numpy as np

    ours, theirs = (np.load(path).astype(float) for path in (arguments.ours, arguments.theirs))
    if ours.shape != theirs.shape:
        raise SystemExit(f'ours are {ours.shape} features, theirs {theirs.shape}')
    correlation = float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])
    if correlation < 0.98:
        raise SystemExit(f'the two sides give different features: correlation {correlation:.3f}')
    return {'correlation': correlation}


def versions(arguments: argparse.Namespace) -> dict[str, Any]:
    """Tell what is installed here."""
    import beast_lp

    names = ('beast-lp', 'torch', 'av', 'numpy', 'scikit-learn')
    return {
        'python': sys.version.split()[0],
        **{name: version(name) for name in names},
        'beast_lp in': str(Path(beast_lp.__file__).parent),
    }


def main() -> None:
    """Run one job."""
    parser = argparse.ArgumentParser(description=__doc__)
    jobs = parser.add_subparsers(required=True)
    job = jobs.add_parser('extract')
    job.add_argument('videos', type=Path, nargs='*')
    job.add_argument('--output', type=Path)
    job.add_argument('--anchors', type=int)
    job.add_argument('--start-only', action='store_true')
    job.set_defaults(run=extract)
    job = jobs.add_parser('deliver')
    job.add_argument('store', type=Path)
    job.add_argument('--batch-size', type=int)
    job.add_argument('--seconds', type=float)
    job.set_defaults(run=deliver)
    job = jobs.add_parser('train')
    job.add_argument('videos', type=Path, nargs='+')
    job.add_argument('--output', type=Path)
    job.add_argument('--epochs', type=int)
    job.set_defaults(run=train)
    job = jobs.add_parser('synthesise')
    job.add_argument('--output', type=Path)
    job.add_argument('--frames', type=int)
    job.add_argument('--side', type=int, default=64)
    job.set_defaults(run=synthesise)
    job = jobs.add_parser('repeat')
    job.add_argument('video', type=Path)
    job.add_argument('output', type=Path)
    job.add_argument('--times', type=int, default=4)
    job.set_defaults(run=repeat)
    job = jobs.add_parser('weights')
    job.add_argument('preset')
    job.add_argument('output', type=Path)
    job.set_defaults(run=weights)
    job = jobs.add_parser('compare')
    job.add_argument('ours', type=Path)
    job.add_argument('theirs', type=Path)
    job.set_defaults(run=compare)
    jobs.add_parser('versions').set_defaults(run=versions)
    arguments = parser.parse_args()
    print(json.dumps(arguments.run(arguments)))


if __name__ == '__main__':
    main()
