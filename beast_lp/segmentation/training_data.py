"""The frames that a model is trained on, and whether they suffice."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from beast_lp.errors import BeastError
from beast_lp.runs.keys import digest
from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.sequences import Features, stretches


@dataclass(frozen=True)
class TrainingData:
    """The frames that a model is trained on, one entry per video.

    Attributes:
        features: rows of stored frames, memory-mapped.
        target: class of each row, `UNSCORED` where there is none.
        train: rows that the model may see at all; held-out rows and gaps are false.
        origin: name and content of the video and the maker of its features, by which an
            interrupted run recognises them; empty where no run will be resumed.
    """

    features: Sequence[Features]
    target: Sequence[Int[np.ndarray, ' frames']]
    train: Sequence[Bool[np.ndarray, ' frames']]
    origin: Sequence[str] = ()

    def counts(self, classes: int) -> Int[np.ndarray, ' classes']:
        """Return the number of scored training frames of each class."""
        labels = np.concatenate(
            [target[mask] for target, mask in zip(self.target, self.train, strict=True)]
        )
        return np.bincount(labels[labels != UNSCORED], minlength=classes)

    def runs(self) -> list[int]:
        """Return the length of each run of training frames."""
        return [stop - start for mask in self.train for start, stop in stretches(mask)]

    def key(self, classes: Sequence[str]) -> str:
        """Hash the videos, the labels, the classes and the split."""
        shapes = [features.shape for features in self.features]
        content = digest(json.dumps([list(classes), list(self.origin), shapes]).encode())
        for target, mask in zip(self.target, self.train, strict=True):
            content.update(target.astype(np.int64).tobytes())
            content.update(mask.astype(bool).tobytes())
        return content.hexdigest()


def check_training_labels(data: TrainingData, classes: Sequence[str]) -> None:
    """Check that every class occurs in the training frames.

    Args:
        data: the training frames.
        classes: names, in the order of the class numbers.

    Raises:
        BeastError: if all frames are unscored, or a class never occurs.
    """
    counts = data.counts(len(classes))
    if not counts.any():
        frames = sum(int(mask.sum()) for mask in data.train)
        raise BeastError(
            f'all {frames} training frames are unscored, so there is nothing to learn from; score '
            'some, or set beast.segmentation.background=class if background is a behaviour'
        )
    missing = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if missing:
        raise BeastError(
            f'the class {missing[0]} never occurs in the training frames ('
            + ', '.join(f'{name} {count}' for name, count in zip(classes, counts, strict=True))
            + '); score more of it, change beast.segmentation.split, or add it to '
            'beast.segmentation.ignore'
        )
