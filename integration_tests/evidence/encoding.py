"""Spikes from patch tokens: every 5th block of time is held out, in five turns."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from budget import Budget
from jaxtyping import Int

from beast_lp.config import parse_config
from beast_lp.config.encoding import EncodingConfig
from beast_lp.encoding.bins import Bins
from beast_lp.encoding.split import number_blocks
from beast_lp.encoding.stage import run_encoding
from beast_lp.encoding.tables import comparison_table


@dataclass(frozen=True)
class Neurons:
    """Spikes of a recording with one frame per bin.

    Attributes:
        file: with `spike_counts`.
        bin_width: seconds.
        block: number of bins of a block; every 5th block is held out, in five turns.
        encoder: that suits the recording.
        reachable: by the true movement, by the score below (SOURCE.txt of the recordings).
    """

    file: Path
    bin_width: float
    block: int
    encoder: str
    reachable: float


def encoding_scores(
    neurons: Neurons,
    stores: list[Path],
    components: list[Path],
    seed: int,
    budget: Budget,
    directory: Path,
) -> dict[str, float]:
    """Fit an encoder and return bits per spike on held-out blocks, and those of the floor.

    The score is the mean over neurons of what is gained over the rates of the training part, as in
    the recordings' SOURCE.txt; the standard definition stands beside it.

    Args:
        neurons: to be predicted.
        stores: feature stores of the backbone, one per view.
        components: those of the frames' principal components, the floor.
        seed: of the encoder.
        budget: bins.
        directory: folder of the run; an interrupted one is resumed.
    """
    with np.load(neurons.file) as data:
        counts = data['spike_counts'][: budget.encoding_bins]
    times = (np.arange(len(counts)) + 0.5) * neurons.bin_width
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(
        directory / 'session.npz',
        spike_counts=counts,
        bin_width=neurons.bin_width,
        bin_times=times,
    )
    # one frame per bin, also where the budget leaves bins out
    frames = len(np.load(stores[0] / 'frame.npy', mmap_mode='r'))
    np.save(directory / 'camera.npy', (np.arange(frames) + 0.5) * neurons.bin_width)
    rows = {
        tokens: _row(neurons, files, tokens, seed, directory)
        for tokens, files in {'patches': stores, 'cls': components}.items()
    }
    shutil.rmtree(directory)
    return {
        'score': float(rows['patches']['bps_train_null_mean']),
        'reference': neurons.reachable,
        'standard_definition': float(rows['patches']['bps_mean']),
        'floor_components': float(rows['cls']['bps_train_null_mean']),
    }


def _row(
    neurons: Neurons,
    stores: list[Path],
    tokens: str,
    seed: int,
    directory: Path,
) -> pd.Series:
    """Fit an encoder to one source and return its row of the comparison."""
    config = parse_config(
        {
            'seed': seed,
            'encoding': {
                'encoders': [neurons.encoder],
                'tokens': tokens,
                'min_rate_hz': 0.5,
                'lags': 8,
                'camera_times': str(directory / 'camera.npy'),
                'split': {'block_s': neurons.block * neurons.bin_width},
                # random weights are the control here; the encoding stage draws others
                'controls': {'shifts': 0, 'permutations': 0},
            },
        }
    )
    results = run_encoding(
        config,
        [('session', directory / 'session.npz')],
        [('video', Path(','.join(map(str, stores))))],
        directory / tokens,
        every_fifth_block,
    )
    return comparison_table(results).set_index('source').loc['video']


def every_fifth_block(bins: Bins, config: EncodingConfig, seed: int) -> Int[np.ndarray, ' bins']:
    """Split as the recordings' SOURCE.txt does: every fifth block is held out, in five turns.

    Args:
        bins: bins of the session.
        config: settings, of which the length of a block is read.
        seed: not used.
    """
    _, block = np.unique(number_blocks(bins, config.split.block_s), return_inverse=True)
    return block % 5
