"""The window store on disk: reading windows back, exactly and at random."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import UInt8

from beast_lp.errors import BeastError
from beast_lp.runs.files import write_table
from beast_lp.video.read import PictureConverter
from beast_lp.video.window_clip import CLIP_RATE, OFFSETS, WINDOW

INDEX_NAME = 'index.csv'
INDEX_COLUMNS = ('video', 'video_id', 'frame', 'clip', 'window', 'step', 'fps', 'project')
# clips that a process keeps open: 1 MB each, and opening one costs as much as reading a window
OPEN_CLIPS = 32


def write_index(directory: Path, table: pd.DataFrame) -> None:
    """Write the index that makes a folder of clips a window store.

    Args:
        directory: the folder of the clips.
        table: one row per window with the columns of `WindowStore.table`.
    """
    write_table(table[list(INDEX_COLUMNS)], directory / INDEX_NAME, missing='nan')


class WindowStore:
    """Windows (t-k, t, t+k) of chosen anchors t of many videos.

    It can be pickled and forked: each process opens clips by itself, when it needs them.

    Attributes:
        directory: the folder that holds the index and the clips.
        table: one row per window: `video` (the source's path), `video_id`, `frame` (the anchor's
            ordinal in the source), `clip` (file name), `window` (ordinal in the clip), `step` (k,
            in frames of the source), `fps` (of the source, NaN where unknown) and `project` (of
            the video, empty where there is one alone).
    """

    def __init__(self, directory: Path, table: pd.DataFrame) -> None:
        self.directory = directory
        self.table = table
        self._clips = table['clip'].tolist()
        self._windows = table['window'].tolist()
        self._forget_open()

    @classmethod
    def open(cls, directory: str | Path) -> 'WindowStore':
        """Open a store.

        Args:
            directory: the folder with `index.csv`, or the one that holds it as `windows/`.

        Raises:
            BeastError: if there is no index or it lacks a column.
        """
        directory = Path(directory)
        if not (directory / INDEX_NAME).is_file() and (directory / 'windows').is_dir():
            directory = directory / 'windows'
        index = directory / INDEX_NAME
        if not index.is_file():
            raise BeastError(
                f'there is no window store in {directory} ({INDEX_NAME} is missing); '
                'run `litpose pretrain`, which builds it'
            )
        # names such as 007 and NA are text
        table = pd.read_csv(index, dtype=str, keep_default_na=False)
        if 'project' not in table:
            # a store of an older version is one of a single project
            table['project'] = ''
        missing = [name for name in INDEX_COLUMNS if name not in table]
        if missing:
            raise BeastError(
                f'{index} lacks the column {missing[0]}, so another version wrote it; run '
                '`litpose pretrain` again, which rebuilds it'
            )
        return cls(
            directory,
            table.astype({'frame': 'int64', 'window': 'int64', 'step': 'int64', 'fps': 'float64'}),
        )

    def __len__(self) -> int:
        return len(self.table)

    def read(
        self, index: int, offsets: Sequence[int], size: tuple[int, int]
    ) -> UInt8[np.ndarray, 'k h w 3']:
        """Read frames of one window: one seek to a key frame and at most 3 decoded frames.

        Args:
            index: row of the table.
            offsets: which frames, in this order: -1, 0 and 1 are t-k, t and t+k.
            size: (height, width) in px. Where it is smaller than the clip, a pixel is the average
                of the area it covers.

        Returns:
            RGB, full range.

        Raises:
            BeastError: if the clip is missing or damaged.
            ValueError: if an offset is not -1, 0 or 1, or there is none.
        """
        if not offsets or not set(offsets) <= set(OFFSETS):
            raise ValueError(f'offsets must be among {OFFSETS}, found {tuple(offsets)}')
        clip = self._open_clip(self._clips[index])
        frames = clip.read(int(self._windows[index]), {offset + 1 for offset in offsets}, size)
        return np.stack([frames[offset + 1] for offset in offsets])

    def clip_size(self, index: int) -> tuple[int, int]:
        """Return the (height, width) in px at which a window's frames are stored."""
        return self._open_clip(self._clips[index]).size

    def clip_sizes(self) -> set[tuple[int, int]]:
        """Return the sizes, (height, width) in px, that occur among the clips; opens each."""
        first_of_each = self.table.groupby('clip', sort=False).indices.values()
        return {self.clip_size(int(rows[0])) for rows in first_of_each}

    def _open_clip(self, name: str) -> '_Clip':
        if self._pid != os.getpid():
            # a forked process shares the file positions of its parent's open files
            self._forget_open()
        clip = self._open.get(name)
        if clip is None:
            while len(self._open) >= OPEN_CLIPS:
                self._open.popitem(last=False)[1].close()
            clip = self._open[name] = _Clip(self.directory / name)
        self._open.move_to_end(name)
        return clip

    def _forget_open(self) -> None:
        self._pid = os.getpid()
        self._open: OrderedDict[str, _Clip] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {'directory': self.directory, 'table': self.table}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state['directory'], state['table'])


class OpenClip:
    """An open clip; a reader of its pictures or packets is made from it."""

    def __init__(self, path: Path) -> None:
        """Open.

        Raises:
            BeastError: if the clip is missing or damaged.
        """
        self._path = path
        try:
            self._container: InputContainer = av.open(str(path))
        except (FFmpegError, OSError) as error:
            raise self._damaged(error.strerror or 'it cannot be opened') from error
        if not self._container.streams.video:
            raise self._damaged('it holds no video')
        self._stream: VideoStream = self._container.streams.video[0]
        assert self._stream.time_base is not None
        self._time_base: Fraction = self._stream.time_base
        # the rate gives whole time stamps in every container
        self._frame_ticks = int(Fraction(1, CLIP_RATE) / self._time_base)

    def _ticks(self, ordinal: int) -> int:
        """Return the time stamp of a frame."""
        return ordinal * self._frame_ticks

    def _damaged(self, reason: str) -> BeastError:
        return BeastError(
            f'the clip {self._path} of the window store is missing or damaged ({reason}); delete '
            'it and run the same command again, which rebuilds it'
        )


class _Clip(OpenClip):
    """An open clip, read picture by picture."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        # decoder threads would ask for further frames before they give out the first
        self._stream.thread_type = 'NONE'
        self._stream.codec_context.thread_count = 1
        self._convert = PictureConverter()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in px."""
        return self._stream.height, self._stream.width

    def read(
        self, window: int, positions: set[int], size: tuple[int, int]
    ) -> dict[int, UInt8[np.ndarray, 'h w 3']]:
        """Decode a window up to the last of the wanted positions (0-2)."""
        frames = {}
        last = max(positions)
        first_ordinal = WINDOW * window
        try:
            self._container.seek(self._ticks(first_ordinal), stream=self._stream)
            for position, picture in enumerate(self._pictures()):
                ordinal = first_ordinal + position
                if picture.pts != self._ticks(ordinal):
                    raise self._damaged(
                        f'at frame {ordinal} the time stamp {picture.pts} was found'
                    )
                if position in positions:
                    frames[position] = self._convert(picture, size)
                if position == last:
                    return frames
        except FFmpegError as error:
            raise self._damaged(f'{error.strerror} at frame {first_ordinal}') from error
        raise self._damaged(f'it ends before window {window} is complete')

    def close(self) -> None:
        self._container.close()

    def _pictures(self) -> Iterator[av.VideoFrame]:
        for packet in self._container.demux(self._stream):
            yield from packet.decode()
