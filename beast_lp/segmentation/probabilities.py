"""Probabilities for every frame of a video, window by window."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float

from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.sequences import Features, cut, read_batch, stretches

# frames that are predicted at once; with their context they bound the memory
WINDOW_FRAMES = 500


@torch.inference_mode()
def predict(
    models: Sequence[Segmenter],
    features: Features,
    visible: Bool[np.ndarray, ' frames'] | None = None,
    window: int = WINDOW_FRAMES,
) -> Float[np.ndarray, 'models frames classes']:
    """Predict every frame with every model; edges too, and without seams between windows.

    Each window is read with all the context that a prediction depends on, so that the result is
    the one of a single pass over the whole video, in memory that does not grow with it.

    Args:
        models: of an ensemble.
        features: rows of stored frames, memory-mapped.
        visible: rows that may be looked at; a run of visible rows is predicted as if it were a
            video of its own. None: all.
        window: frames that are predicted at once.

    Returns:
        softmax probabilities; NaN for rows that are not visible.
    """
    rows = len(features)
    mask = np.ones(rows, dtype=bool) if visible is None else visible
    classes = models[0].tcn.classify.out_channels
    context = max(model.context for model in models)
    result = np.full((len(models), rows, classes), np.nan, dtype=np.float32)
    for start, stop in stretches(mask):
        for part in cut(0, start, stop, window, context):
            batch = read_batch([part], [features])
            inside = slice(part.start - part.first, part.stop - part.first)
            for number, model in enumerate(models):
                device = next(model.parameters()).device
                model.eval()
                logits = model(batch.features.to(device), batch.valid.to(device))[0, inside]
                result[number, part.start : part.stop] = logits.softmax(dim=-1).cpu().numpy()
    return result


def to_all_frames(
    rows: Float[np.ndarray, 'rows classes'],
    frame: np.ndarray,
    frames: int,
) -> Float[np.ndarray, 'frames classes']:
    """Give each frame of a video the probabilities of the nearest frame that has features.

    Args:
        rows: of the stored frames.
        frame: their ordinals in the video, rising.
        frames: of the whole video.
    """
    if len(frame) == frames:
        return rows
    wanted = np.arange(frames)
    after = np.clip(np.searchsorted(frame, wanted), 0, len(frame) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(frame[before] - wanted) <= np.abs(frame[after] - wanted)
    return rows[np.where(nearer, before, after)]
