"""Scales of a model that are measured once on the training frames, before it is trained."""

import numpy as np
import torch

from beast_lp.errors import BeastError
from beast_lp.features.store import read_rows
from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.sequences import cut_sequences, read_batch, stretches
from beast_lp.segmentation.training_data import TrainingData

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
        model: untrained; its standardisation and its gain of the frame differences are set.
        data: the training frames.

    Raises:
        BeastError: if there is no training frame.
    """
    total = sum(int(mask.sum()) for mask in data.train)
    step = max(1, total // _STATISTICS_FRAMES)
    device = next(model.parameters()).device
    count, sums, squares = 0, None, None
    for features, mask in zip(data.features, data.train, strict=True):
        rows = np.flatnonzero(mask)[::step]
        for part in np.array_split(rows, max(1, len(rows) // 128)):
            if len(part) == 0:
                continue
            some = np.concatenate([read_rows(features, row, row + 1) for row in part])
            flat = torch.from_numpy(some).to(device, torch.float32).flatten(0, -2).double()
            count += len(flat)
            sums = flat.sum(dim=0) + (0 if sums is None else sums)
            squares = flat.square().sum(dim=0) + (0 if squares is None else squares)
    if sums is None or squares is None:
        raise BeastError('no frame is left to train on; hold out less (beast.segmentation.split)')
    mean = sums / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    # of a vector, such as principal components, the channels that hardly change are mostly noise:
    # on a fly, one scale for all brought macro-F1 from 0.49 to 0.56 (two seeds, four splits);
    # tokens are pooled from few channels that matter, whatever their variance
    model.standardise.fit(mean.float(), deviation.float(), one_scale=model.pool is None)
    _fit_difference_gain(model, data)


def _fit_difference_gain(model: Segmenter, data: TrainingData) -> None:
    """Scale the frame differences of the untrained model to the spread of its frame vectors.

    Where one frame changes so little that it would take too large a factor, which noise would pass
    too, differences reach back further.
    """
    device = next(model.parameters()).device
    sequences = [
        sequence
        for video, mask in enumerate(data.train)
        for start, stop in stretches(mask)
        for sequence in cut_sequences(video, start, stop, _GAIN_FRAMES, context=0)
    ]
    vectors = []
    for sequence in sequences[:: max(1, len(sequences) // _GAIN_SEQUENCES)]:
        batch = read_batch([sequence], data.features)
        vectors.append(model.frame_vectors(batch.features.to(device))[0])
    spread = torch.cat(vectors).var(dim=0, correction=0).mean().sqrt()
    for lag in _LAGS:
        steps = torch.cat([own[lag:] - own[:-lag] for own in vectors])
        step = steps.square().mean().sqrt() if len(steps) else torch.zeros(())
        # features that never change from frame to frame have no differences to scale
        if not step > 1e-6 * spread:
            return
        model.difference_gain.copy_(spread / step)
        model.difference_lag.fill_(lag)
        if spread <= _MOST_GAIN * step:
            return
