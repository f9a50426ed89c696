"""Bouts: runs of frames with the same label."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class Bout:
    """Frames `start` to `stop`, `stop` not included, which have the same label."""

    label: int
    start: int
    stop: int

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.stop - self.start


def find_bouts(labels: Int[np.ndarray, ' frames']) -> list[Bout]:
    """Cut labels into bouts, in order; every frame is in one.

    Examples:
        >>> find_bouts(np.array([1, 1, 0]))
        [Bout(label=1, start=0, stop=2), Bout(label=0, start=2, stop=3)]
    """
    if len(labels) == 0:
        return []
    edges = np.flatnonzero(np.diff(labels)) + 1
    return [
        Bout(int(labels[start]), int(start), int(stop))
        for start, stop in zip([0, *edges], [*edges, len(labels)], strict=True)
    ]
