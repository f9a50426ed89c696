"""Open clips of a window store, of which each process keeps the last used few."""

import os
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Generic, TypeVar

from av.container import InputContainer
from av.video.stream import VideoStream

from beast_lp.errors import BeastError
from beast_lp.video.containers import VideoError, open_container
from beast_lp.video.window_clip import CLIP_RATE

# clips that a process keeps open: 1 MB each, and opening one costs as much as reading a window
OPEN_CLIPS = 32


class OpenClip:
    """An open clip, the base of readers of its frames or packets."""

    def __init__(self, path: Path) -> None:
        """Open the clip.

        Args:
            path: file of the clip.

        Raises:
            BeastError: if the clip is missing or damaged.
        """
        self._path = path
        try:
            self._container: InputContainer = open_container(path)
        except VideoError as error:
            raise self._damaged(str(error)) from error
        if not self._container.streams.video:
            raise self._damaged('it holds no video')
        self._stream: VideoStream = self._container.streams.video[0]
        assert self._stream.time_base is not None
        self._time_base: Fraction = self._stream.time_base
        # the rate gives whole time stamps in every container
        self._frame_ticks = int(Fraction(1, CLIP_RATE) / self._time_base)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _ticks(self, ordinal: int) -> int:
        """Return the time stamp of a frame."""
        return ordinal * self._frame_ticks

    def _damaged(self, reason: str) -> BeastError:
        return BeastError(
            f'the clip {self._path} of the window store is missing or damaged ({reason}); delete '
            'it and run the same command again, which rebuilds it'
        )


Clip = TypeVar('Clip', bound=OpenClip)


class OpenClips(Generic[Clip]):
    """Clips that this process has open; the one that was not used for longest is closed first."""

    def __init__(self, directory: Path, open_clip: Callable[[Path], Clip]) -> None:
        """Open nothing yet.

        Args:
            directory: folder of the clips.
            open_clip: opens a clip by its path.
        """
        self._directory = directory
        self._open_clip = open_clip
        self._process = os.getpid()
        self._open: OrderedDict[str, Clip] = OrderedDict()

    def __getitem__(self, name: str) -> Clip:
        """Return an open clip.

        Args:
            name: file name of the clip.

        Raises:
            BeastError: if the clip is missing or damaged.
        """
        if self._process != os.getpid():
            # a forked process shares the file positions of its parent's open files
            self._process, self._open = os.getpid(), OrderedDict()
        if name not in self._open:
            while len(self._open) >= OPEN_CLIPS:
                self._open.popitem(last=False)[1].close()
            self._open[name] = self._open_clip(self._directory / name)
        self._open.move_to_end(name)
        return self._open[name]
