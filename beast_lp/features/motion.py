"""Motion energy as a source of features: the baseline that knows how much moves, and not what."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from beast_lp.errors import BeastError
from beast_lp.features.source import Encoded, FeatureSource
from beast_lp.runs.keys import key_of
from beast_lp.video.thumbnails import THUMBNAIL_SIZE, motion_energy

MOTION = 'motion'


class MotionEnergy(FeatureSource):
    """One feature: how much a frame differs from the one before, as anchors are chosen by it.

    With a stride, the frame before is that of the stride. The first frame of a video has the value
    of the second.
    """

    name = MOTION
    kind = 'motion energy'
    image_size = THUMBNAIL_SIZE
    pixel_format = 'gray'
    dim = 1
    looks_back = True

    def __init__(self) -> None:
        """Begin without a frame."""
        self.hash = key_of([self.kind, list(THUMBNAIL_SIZE)])
        self._before: UInt8[np.ndarray, '1 pixels'] | None = None

    def begin(self) -> None:
        """Forget the last frame."""
        self._before = None

    def encode(self, frames: UInt8[np.ndarray, 'frames h w'], patches: bool) -> Encoded:
        """Return the motion energy of some frames, which follow those of the last call.

        Raises:
            BeastError: if patches are requested.
        """
        if patches:
            raise BeastError('motion energy has no patches; leave out --patches')
        thumbnails = frames.reshape(len(frames), -1)
        before, self._before = self._before, thumbnails[-1:]
        if before is None:
            return Encoded(motion_energy(thumbnails)[:, None], None)
        joined = np.concatenate([before, thumbnails])
        return Encoded(motion_energy(joined)[1:, None], None)


def is_motion(name: str) -> bool:
    """Return whether a name is that of this source."""
    return name == MOTION and not Path(name).exists()


def motion_source(name: str, image_size: tuple[int, int] | None, precision: str) -> MotionEnergy:
    """Return the source.

    Args:
        name: not used.
        image_size: size in px, (height, width); None, since it has one size.
        precision: not used.

    Raises:
        BeastError: if another size is asked for.
    """
    if image_size not in (None, THUMBNAIL_SIZE):
        raise BeastError(
            f'motion energy is that of frames of {THUMBNAIL_SIZE[0]} x {THUMBNAIL_SIZE[1]} px; '
            'leave out --image_size'
        )
    return MotionEnergy()


def no_files(name: str) -> Sequence[Path]:
    """Return the files that a source without any is opened from."""
    return ()
