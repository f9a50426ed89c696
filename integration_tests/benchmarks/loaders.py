"""Compares who can feed the training: PyAV in processes on the CPU, or DALI on the GPU.

    python integration_tests/benchmarks/loaders.py --videos VIDEO... --output results

Both read the same pairs of the same window store at the size that training at 224 px takes. An
epoch is timed from its start, so that DALI's pipeline, which is built anew for each, counts. The
table gives the median epoch, without the first, in which processes and decoders start.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from beast_lp.config import AnchorConfig, WindowConfig, parse_config
from beast_lp.pretraining.loaders import training_loader
from beast_lp.pretraining.pairs import PairSampler
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import WindowStore


def measure(
    store: WindowStore,
    loader: str,
    workers: int,
    batch_size: int,
    epochs: int,
) -> dict[str, float | int | str]:
    """Return how fast one reader is with a number of processes."""
    config = parse_config(
        {
            'training': {
                'loader': loader,
                'num_workers': workers,
                'batch_size': batch_size,
            }
        }
    )
    sampler = PairSampler(
        np.arange(len(store)), store.table['video_id'].to_numpy(), 'adjacent', 0, 0, 1
    )
    reader = training_loader(config, store, sampler)
    first, whole = [], []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        start, waited = time.perf_counter(), None
        for batch in reader:
            # as training needs it: on the GPU
            pixels = batch.cuda() if torch.cuda.is_available() else batch
            if pixels.is_cuda:
                torch.cuda.synchronize()
            waited = waited or time.perf_counter() - start
        assert waited is not None
        first.append(waited)
        whole.append(time.perf_counter() - start)
    seconds = statistics.median(whole[1:])
    return {
        'loader': loader,
        'workers': workers,
        'frames_per_epoch': 2 * len(store),
        'frames_per_s': 2 * len(store) / seconds,
        'first_batch_s': statistics.median(first[1:]),
        'first_epoch_s': whole[0],
    }


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--videos', type=Path, nargs='+', required=True)
    parser.add_argument('--output', type=Path, required=True, help='folder of the results')
    parser.add_argument('--anchors', type=int, default=500, help='per video')
    parser.add_argument('--loaders', nargs='+', choices=('pyav', 'dali'), default=['pyav', 'dali'])
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 4, 8])
    parser.add_argument('--batch_size', type=int, default=128)
    parser.add_argument('--epochs', type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = prepare_windows(
            options.videos,
            Path(folder),
            AnchorConfig(per_video=options.anchors),
            WindowConfig(),
            0,
            progress=False,
        )
        options.output.mkdir(parents=True, exist_ok=True)
        rows = []
        for loader in options.loaders:
            for workers in options.workers:
                rows.append(measure(store, loader, workers, options.batch_size, options.epochs))
                # after each, since one of them may be slow
                print(rows[-1], flush=True)
                pd.DataFrame(rows).to_csv(options.output / 'loaders.csv', index=False)
    print(pd.DataFrame(rows).round(3).to_string(index=False))


if __name__ == '__main__':
    main()
