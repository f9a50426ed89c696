"""The frames that a model is trained on, and whether they suffice."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from beast_lp.errors import BeastError
from beast_lp.runs.keys import digest
from beast_lp.segmentation.labelling import ABSENT, EXCLUSIVE, UNSCORED, Labelling
from beast_lp.segmentation.sequences import stretches
from beast_lp.segmentation.streams import Streams


@dataclass(frozen=True)
class TrainingData:
    """The frames that a model is trained on, one entry per video.

    Attributes:
        features: frames that have features.
        target: code of each row in the labelling, `UNSCORED` where nobody scored it.
        train: rows that the model may see at all; held-out rows and gaps are false.
        origin: name and content of the video and the maker of its features, by which an
            interrupted run recognises them; empty where no run will be resumed.
        labelling: whether a frame has one class or any number of them.
    """

    features: Sequence[Streams]
    target: Sequence[Int[np.ndarray, ' frames']]
    train: Sequence[Bool[np.ndarray, ' frames']]
    origin: Sequence[str] = ()
    labelling: Labelling = EXCLUSIVE

    def codes(self) -> Int[np.ndarray, ' frames']:
        """Return the codes of all scored training frames, video after video."""
        codes = np.concatenate(
            [target[mask] for target, mask in zip(self.target, self.train, strict=True)]
        )
        return codes[codes != UNSCORED]

    def answers(self, classes: int) -> list[Int[np.ndarray, ' answers']]:
        """Return, for each question, the number of scored training frames of each answer."""
        return [
            np.bincount(answers, minlength=len(numbers))
            for numbers, answers in zip(
                self.labelling.questions(classes),
                self.labelling.answers(self.codes(), classes),
                strict=True,
            )
        ]

    def counts(self, classes: int) -> Int[np.ndarray, ' answers']:
        """Return the numbers of `answers` one after another; if exclusive, those of classes."""
        return np.concatenate(self.answers(classes))

    def runs(self) -> list[int]:
        """Return the length of each run of training frames."""
        return [stop - start for mask in self.train for start, stop in stretches(mask)]

    def key(self, classes: Sequence[str]) -> str:
        """Hash the videos, the labels, the classes and the split."""
        shapes = [(len(own), *shape) for own in self.features for shape in own.shapes]
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
        BeastError: if all frames are unscored, or a class never occurs or is never absent where
            it may be.
    """
    if not len(data.codes()):
        frames = sum(int(mask.sum()) for mask in data.train)
        raise BeastError(
            f'all {frames} training frames are unscored, so there is nothing to learn from; score '
            'some, or set beast.segmentation.background=class if background is a behaviour'
        )
    answers = data.answers(len(classes))
    counts = data.labelling.join(answers)
    listed = ', '.join(f'{name} {count}' for name, count in zip(classes, counts, strict=True))
    missing = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if missing:
        raise BeastError(
            f'the class {missing[0]} never occurs in the training frames ({listed}); score more '
            'of it, change beast.segmentation.split, or add it to beast.segmentation.ignore'
        )
    for numbers, own in zip(data.labelling.questions(len(classes)), answers, strict=True):
        if numbers[0] == ABSENT and own[0] == 0:
            raise BeastError(
                f'{classes[numbers[1]]} is shown in all {own.sum()} scored training frames, so '
                'that nothing tells it from its absence; score frames without it (rows of 0; an '
                f'empty row is not scored), or add it to beast.segmentation.ignore ({listed})'
            )
