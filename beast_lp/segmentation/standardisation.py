"""Scales of a model that are measured once on the training frames, before it is trained."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from beast_lp.errors import BeastError
from beast_lp.features.store import read_rows
from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.sequences import cut_sequences, read_batch, stretches
from beast_lp.segmentation.training_data import TrainingData
from beast_lp.segmentation.vectors import FrameVectors

# frames from which the channels' mean and deviation are measured, spread over all training frames
_STATISTICS_FRAMES = 2048
# number and length of the sequences from which the size of the frame differences is measured
_GAIN_SEQUENCES, _GAIN_FRAMES = 32, 32
# frames that a difference may reach back, and the gain above which it reaches further: on a fly at
# eight times its frame rate, with noise, 8 frames instead of 1 raised macro-F1 from 0.53 to 0.55
_LAGS, _MOST_GAIN = (1, 2, 4, 8, 16), 8.0


@torch.no_grad()
def fit_statistics(model: Segmenter, data: TrainingData) -> None:
    """Measure the channels' mean and deviation on training frames, spread evenly over all.

    Args:
        model: untrained; the standardisation of its streams and the gain of their frame
            differences are set.
        data: the training frames.

    Raises:
        BeastError: if there is no training frame.
    """
    for number, stream in enumerate(model.each_stream()):
        mean, deviation = _moments(data, number, next(model.parameters()).device)
        # of a vector, such as principal components, the channels that hardly change are mostly
        # noise: on a fly, one scale for all brought macro-F1 from 0.49 to 0.56 (two seeds, four
        # splits); tokens are pooled from few channels that matter, whatever their variance
        stream.standardise.fit(mean.float(), deviation.float(), one_scale=stream.pool is None)
    _fit_difference_gains(model, data)


def _moments(
    data: TrainingData,
    number: int,
    device: torch.device,
) -> tuple[Float[Tensor, ' channels'], Float[Tensor, ' channels']]:
    """Return the mean and deviation of the channels of a stream."""
    total = sum(int(mask.sum()) for mask in data.train)
    step = max(1, total // _STATISTICS_FRAMES)
    count, sums, squares = 0, None, None
    for features, mask in zip(data.features, data.train, strict=True):
        array, rows = features.arrays[number], np.flatnonzero(mask)[::step]
        for part in np.array_split(rows, max(1, len(rows) // 128)):
            if len(part) == 0:
                continue
            some = np.concatenate([read_rows(array, row, row + 1) for row in part])
            flat = torch.from_numpy(some).to(device, torch.float32).flatten(0, -2).double()
            count += len(flat)
            sums = flat.sum(dim=0) + (0 if sums is None else sums)
            squares = flat.square().sum(dim=0) + (0 if squares is None else squares)
    if sums is None or squares is None:
        raise BeastError('no frame is left to train on; hold out less (beast.segmentation.split)')
    mean = sums / count
    return mean, (squares / count - mean.square()).clamp(min=0).sqrt()


def _fit_difference_gains(model: Segmenter, data: TrainingData) -> None:
    """Scale the frame differences of the untrained streams to the spread of their vectors."""
    device = next(model.parameters()).device
    sequences = [
        sequence
        for video, mask in enumerate(data.train)
        for start, stop in stretches(mask)
        for sequence in cut_sequences(video, start, stop, _GAIN_FRAMES, context=0)
    ]
    chosen = sequences[:: max(1, len(sequences) // _GAIN_SEQUENCES)]
    batches = [read_batch([sequence], data.features) for sequence in chosen]
    for number, stream in enumerate(model.each_stream()):
        _fit_gain(
            stream, [stream.vectors(batch.features[number].to(device))[0] for batch in batches]
        )


def _fit_gain(stream: FrameVectors, vectors: list[Float[Tensor, 'frames size']]) -> None:
    """Choose the lag and the gain of a stream by some of its vectors.

    Where one frame changes so little that it would take too large a factor, which noise would pass
    too, differences reach back further.
    """
    spread = torch.cat(vectors).var(dim=0, correction=0).mean().sqrt()
    for lag in _LAGS:
        steps = torch.cat([own[lag:] - own[:-lag] for own in vectors])
        step = steps.square().mean().sqrt() if len(steps) else torch.zeros(())
        # features that never change from frame to frame have no differences to scale
        if not step > 1e-6 * spread:
            return
        stream.difference_gain.copy_(spread / step)
        stream.difference_lag.fill_(lag)
        if spread <= _MOST_GAIN * step:
            return
