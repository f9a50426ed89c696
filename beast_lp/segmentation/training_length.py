"""The length of a training: a number of optimiser steps, from the number of scored frames."""

from collections.abc import Sequence
from dataclasses import replace

from beast_lp.config.segmentation import FittingConfig

# least steps of a training, and least passes over the scored frames: 400 steps bring the loss on
# held-out blocks of a fly (2,100 scored frames) to its minimum, mostly in the first half
LEAST_STEPS, LEAST_EPOCHS = 400, 10
# frames of a sequence; shorter ones would read more context than frames to learn from
_SHORTEST, _LONGEST = 200, 1000
# steps of a pass that are wanted where sequences may be shorter for it
_STEPS_PER_EPOCH = 10


def with_length(
    settings: FittingConfig,
    scored_frames: int,
    runs: Sequence[int] = (),
) -> FittingConfig:
    """Fill in the length of a sequence and the number of epochs where the config leaves them open.

    Args:
        settings: settings of the optimiser and the length of training.
        scored_frames: number of scored training frames.
        runs: length of each run of training frames, which no sequence crosses; where they are not
            given, there is one, of the scored frames.

    Examples:
        >>> settings = with_length(FittingConfig(), 12_000)
        >>> settings.sequence_frames, settings.epochs
        (200, 50)
        >>> with_length(FittingConfig(), 1_500, [435] * 5).epochs
        200
        >>> settings = with_length(FittingConfig(), 1_000_000)
        >>> settings.sequence_frames, settings.epochs
        (1000, 10)
    """
    length, epochs = settings.sequence_frames, settings.epochs
    if length is None:
        wanted = scored_frames // (_STEPS_PER_EPOCH * settings.batch_size)
        length = min(max(wanted, _SHORTEST), _LONGEST)
    if epochs is None:
        sequences = sum(-(-run // length) for run in runs or (scored_frames,))
        steps = -(-sequences // settings.batch_size)
        epochs = max(LEAST_EPOCHS, -(-LEAST_STEPS // max(steps, 1)))
    return replace(settings, sequence_frames=length, epochs=epochs)
