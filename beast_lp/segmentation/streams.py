"""Features of the frames of a video: one stream, or several side by side.

A stream has a row per frame: patch tokens, or one vector.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from beast_lp.features.store import read_rows

# a frame of a stream: (tokens, channels) or (channels,)
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Streams:
    """Features of one video.

    Attributes:
        arrays: a stream each, memory-mapped where they lie in a store; all have the same frames.

    Examples:
        >>> both = Streams((np.zeros((9, 49, 64)), np.zeros((9, 26))))
        >>> len(both), both.shapes
        (9, ((49, 64), (26,)))
    """

    arrays: tuple[Float[np.ndarray, 'frames *tokens channels'], ...]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.arrays[0])

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape of a frame of each stream."""
        return tuple(array.shape[1:] for array in self.arrays)

    def read(self, start: int, stop: int) -> list[Float[np.ndarray, 'some *tokens channels']]:
        """Copy some frames of each stream.

        Args:
            start: first frame.
            stop: frame after the last one.
        """
        return [read_rows(array, start, stop) for array in self.arrays]

    def read_flat(self, start: int, stop: int) -> Float[np.ndarray, 'some values']:
        """Copy some frames as one vector of finite numbers each, stream after stream.

        Args:
            start: first frame.
            stop: frame after the last one.
        """
        rows = [np.asarray(part, np.float32) for part in self.read(start, stop)]
        flat = np.concatenate([part.reshape(len(part), -1) for part in rows], axis=1)
        return np.nan_to_num(flat)


def shapes_in_words(shapes: tuple[Shape, ...]) -> str:
    """Return the shape of a frame of each stream as text.

    Examples:
        >>> shapes_in_words(((49, 64), (26,)))
        '49 x 64 + 26'
    """
    return ' + '.join(' x '.join(map(str, shape)) for shape in shapes)


def widths(shapes: tuple[Shape, ...]) -> list[int]:
    """Return the number of values of a frame in each stream.

    Args:
        shapes: shape of a frame of each stream.

    Examples:
        >>> widths(((49, 64), (26,)))
        [3136, 26]
    """
    return [math.prod(shape) for shape in shapes]
