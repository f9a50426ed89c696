"""Labellings: whether a frame shows one class, or any number of them.

Everything that depends on it is asked of a `Labelling` here. One integer, its code, is the label
of a frame in either: with `EXCLUSIVE` the class number, with `INDEPENDENT` the set of behaviours,
the sum of 2 ** number over those that the frame shows. `UNSCORED` is the code of a frame that
nobody scored.

A labelling asks questions of a frame, each with one answer: `EXCLUSIVE` a single one, which class
it shows; `INDEPENDENT` one for each behaviour, whether it is shown (answers 0 and 1). Losses,
decoders, floors and scores are those of single questions, which the rooms beside this module know.

Adding a new labelling (levels of intensity, say):

1. write a subclass of `Labelling` with its questions, and its codes
2. enter it in `labelling_of`, by a setting in beast_lp/config/segmentation.py
3. add it to the tests in tests/segmentation/test_labelling.py, which hold for all
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.segmentation.bouts import Bout, find_bouts

BACKGROUND = 'background'
# code of frames that nobody scored
UNSCORED = -1
# number, among the classes, of the answer that a behaviour is not shown
ABSENT = -1
# behaviours that the bits of a code can hold
_MOST_BEHAVIOURS = 62

Codes = Int[np.ndarray, ' frames']
Flags = Bool[np.ndarray, 'frames classes']
# answer of every frame to one question, `UNSCORED` where nobody scored the frame
Answers = Int[np.ndarray, ' frames']


class Labelling(ABC):
    """How many classes a frame may show, and what follows from that.

    Attributes:
        name: name in tables.
        allows_several: whether a frame may show several classes.
        allows_none: whether a scored frame may show none of them.
    """

    name: ClassVar[str]
    allows_several: ClassVar[bool]
    allows_none: ClassVar[bool]

    @abstractmethod
    def questions(self, classes: int) -> list[tuple[int, ...]]:
        """Return, for each question, the class number that each answer stands for, or `ABSENT`."""

    @abstractmethod
    def answers(self, codes: Codes, classes: int) -> list[Answers]:
        """Return the answers to each question that codes give."""

    @abstractmethod
    def codes(self, answers: Sequence[Answers]) -> Codes:
        """Return the codes of answers to all questions, none of them `UNSCORED`."""

    @abstractmethod
    def flags(self, codes: Codes, classes: int) -> Flags:
        """Return which classes each frame shows; none in unscored frames."""

    @abstractmethod
    def from_flags(self, flags: Flags) -> Codes:
        """Return the codes of frames by the classes that they show, as `allows_none` permits."""

    @abstractmethod
    def split(
        self,
        probabilities: Float[np.ndarray, '*rows classes'],
    ) -> list[Float[np.ndarray, '*rows answers']]:
        """Return, for each question, the probabilities of its answers."""

    @abstractmethod
    def split_logits(
        self,
        logits: Float[Tensor, '*rows classes'],
    ) -> list[Float[Tensor, '*rows answers']]:
        """Return, for each question, the logits of its answers; that of `ABSENT` is 0."""

    def join(
        self,
        parts: Sequence[Float[np.ndarray, '*rows answers']],
    ) -> Float[np.ndarray, '*rows classes']:
        """Return what belongs to the classes among what belongs to the answers of all questions.

        Args:
            parts: probabilities, logits or counts of the answers to each question.

        Examples:
            >>> INDEPENDENT.join(INDEPENDENT.split(np.array([[0.25, 0.5]]))).tolist()
            [[0.25, 0.5]]
        """
        return np.concatenate([part[..., -self._shown(part) :] for part in parts], axis=-1)

    @abstractmethod
    def _shown(self, part: np.ndarray) -> int:
        """Return how many answers to a question, its last ones, are classes."""

    def probabilities(self, logits: Float[Tensor, '*rows classes']) -> np.ndarray:
        """Return the probabilities of the classes: a softmax over the answers to each question.

        Examples:
            >>> EXCLUSIVE.probabilities(torch.tensor([[0.0, 0.0]])).tolist()
            [[0.5, 0.5]]
            >>> INDEPENDENT.probabilities(torch.tensor([[0.0, 100.0]])).tolist()
            [[0.5, 1.0]]
        """
        return self.join([part.softmax(-1).cpu().numpy() for part in self.split_logits(logits)])

    def bouts(self, codes: Codes, classes: int) -> list[Bout]:
        """Return the bouts of each class in the order of their starts; they may overlap.

        Args:
            codes: codes of frames, all of them scored.
            classes: number of classes.

        Examples:
            >>> INDEPENDENT.bouts(np.array([0, 1, 3, 2]), 2)
            [Bout(label=0, start=1, stop=3), Bout(label=1, start=2, stop=4)]
        """
        found = [
            Bout(numbers[bout.label], bout.start, bout.stop)
            for numbers, answers in zip(
                self.questions(classes), self.answers(codes, classes), strict=True
            )
            for bout in find_bouts(answers)
            if numbers[bout.label] != ABSENT
        ]
        return sorted(found, key=lambda bout: (bout.start, bout.label))

    def describe(self, codes: Codes, classes: Sequence[str]) -> np.ndarray:
        """Return the names of the classes that each frame shows, or `unscored`, or `background`.

        Args:
            codes: codes of frames.
            classes: names, in the order of the class numbers.

        Examples:
            >>> INDEPENDENT.describe(np.array([3, 2, 0, UNSCORED]), ['walk', 'groom']).tolist()
            ['walk + groom', 'groom', 'background', 'unscored']
        """
        known, place = np.unique(codes, return_inverse=True)
        texts = [
            ' + '.join(name for name, shown in zip(classes, row, strict=True) if shown)
            for row in self.flags(known, len(classes))
        ]
        names = [
            'unscored' if code == UNSCORED else text or BACKGROUND
            for code, text in zip(known, texts, strict=True)
        ]
        return np.array(names, dtype=object)[place.reshape(-1)]


class Exclusive(Labelling):
    """A frame shows one class."""

    name = 'exclusive'
    allows_several = allows_none = False

    def questions(self, classes: int) -> list[tuple[int, ...]]:
        """Return one question, whose answers are the classes."""
        return [tuple(range(classes))]

    def answers(self, codes: Codes, classes: int) -> list[Answers]:
        """Return the class numbers."""
        return [codes]

    def codes(self, answers: Sequence[Answers]) -> Codes:
        """Return the class numbers."""
        return answers[0]

    def flags(self, codes: Codes, classes: int) -> Flags:
        """Return one class of each scored frame."""
        return codes[:, None] == np.arange(classes)

    def from_flags(self, flags: Flags) -> Codes:
        """Return the class numbers; a frame without a class is not scored."""
        return np.where(flags.any(axis=1), flags.argmax(axis=1), UNSCORED).astype(np.int64)

    def split(self, probabilities: np.ndarray) -> list[np.ndarray]:
        """Return the probabilities of the classes, which sum to 1."""
        return [probabilities]

    def split_logits(self, logits: Tensor) -> list[Tensor]:
        """Return the logits of the classes."""
        return [logits]

    def _shown(self, part: np.ndarray) -> int:
        return part.shape[-1]


class Independent(Labelling):
    """A frame shows any number of behaviours, or none."""

    name = 'independent'
    allows_several = allows_none = True

    def questions(self, classes: int) -> list[tuple[int, ...]]:
        """Return a question for each behaviour: is it shown?"""
        return [(ABSENT, number) for number in range(classes)]

    def answers(self, codes: Codes, classes: int) -> list[Answers]:
        """Return 0 and 1 for each behaviour."""
        shown = self.flags(codes, classes).astype(np.int64)
        return [np.where(codes == UNSCORED, UNSCORED, shown[:, k]) for k in range(classes)]

    def codes(self, answers: Sequence[Answers]) -> Codes:
        """Return the sets of behaviours whose answer is 1."""
        return self.from_flags(np.stack(answers, axis=1) == 1)

    def flags(self, codes: Codes, classes: int) -> Flags:
        """Return which bits are set."""
        bits = (codes[:, None] >> np.arange(classes)) & 1
        return (bits == 1) & (codes != UNSCORED)[:, None]

    def from_flags(self, flags: Flags) -> Codes:
        """Return the sets as bits.

        Raises:
            BeastError: if there are more behaviours than bits.
        """
        classes = flags.shape[1]
        if classes > _MOST_BEHAVIOURS:
            raise BeastError(
                f'there are {classes} behaviours, and beast.segmentation.multi_label=true takes '
                f'{_MOST_BEHAVIOURS} at most; delete the columns of some from the label files'
            )
        return flags.astype(np.int64) @ (1 << np.arange(classes, dtype=np.int64))

    def split(self, probabilities: np.ndarray) -> list[np.ndarray]:
        """Return the probabilities that each behaviour is absent and that it is shown."""
        pairs = np.stack([1 - probabilities, probabilities], axis=-1)
        return [pairs[..., k, :] for k in range(probabilities.shape[-1])]

    def split_logits(self, logits: Tensor) -> list[Tensor]:
        """Return 0 and the logit of each behaviour, whose softmax is a sigmoid of the latter."""
        # the difference is NaN where a logit is, so that both answers are
        pairs = torch.stack([logits - logits, logits], dim=-1)
        return list(pairs.unbind(dim=-2))

    def _shown(self, part: np.ndarray) -> int:
        return 1


EXCLUSIVE: Labelling = Exclusive()
INDEPENDENT: Labelling = Independent()


def labelling_of(config: SegmentationConfig) -> Labelling:
    """Return the labelling that a config asks for."""
    return INDEPENDENT if config.multi_label else EXCLUSIVE
