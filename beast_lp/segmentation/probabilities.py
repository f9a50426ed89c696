"""Probabilities of the classes for every frame of a video, sequence by sequence."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.sequences import cut_sequences, read_batch, stretches
from beast_lp.segmentation.streams import Streams

# frames that are predicted at once; with their context they bound the memory
_SEQUENCE_FRAMES = 500


@torch.inference_mode()
def predict(
    models: Sequence[Segmenter],
    features: Streams,
    visible: Bool[np.ndarray, ' rows'] | None = None,
    length: int = _SEQUENCE_FRAMES,
) -> Float[np.ndarray, 'models rows classes']:
    """Predict every stored frame with every model, without seams between sequences.

    Each sequence is read with all the context that a prediction depends on, so that the result is
    that of a single pass over the whole video, in memory that does not grow with its length.

    Args:
        models: the members of an ensemble.
        features: frames that have features.
        visible: rows that the models may see; a run of visible rows is predicted as if it were a
            video of its own. None: all rows.
        length: frames that are predicted at once.

    Returns:
        probabilities of the classes; NaN for rows that are not visible.
    """
    rows = len(features)
    mask = np.ones(rows, dtype=bool) if visible is None else visible
    context = max(model.context for model in models)
    result = np.full((len(models), rows, models[0].classes), np.nan, dtype=np.float32)
    for start, stop in stretches(mask):
        for part in cut_sequences(0, start, stop, length, context):
            batch = read_batch([part], [features])
            inside = slice(part.start - part.first, part.stop - part.first)
            for number, model in enumerate(models):
                own = batch.to(next(model.parameters()).device)
                model.eval()
                logits = model(own.features, own.valid)[0, inside]
                result[number, part.start : part.stop] = model.labelling.probabilities(logits)
    return result


def to_all_frames(
    probabilities: Float[np.ndarray, '*models rows classes'],
    frame: Int[np.ndarray, ' rows'],
    frames: int,
) -> Float[np.ndarray, '*models frames classes']:
    """Give each frame of a video the probabilities of the nearest frame that has features.

    Args:
        probabilities: probabilities of the stored frames.
        frame: numbers of the stored frames in the video, rising.
        frames: number of frames of the video.

    Examples:
        >>> to_all_frames(np.array([[0.0], [1.0]]), np.array([0, 4]), 6)[:, 0].tolist()
        [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """
    if len(frame) == frames:
        return probabilities
    wanted = np.arange(frames)
    after = np.clip(np.searchsorted(frame, wanted), 0, len(frame) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(frame[before] - wanted) <= np.abs(frame[after] - wanted)
    return probabilities[..., np.where(nearer, before, after), :]
