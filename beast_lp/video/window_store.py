"""The window store on disk: reading windows back, exactly and in any order."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pandas as pd
from av.error import FFmpegError
from jaxtyping import Int, UInt8

from beast_lp.errors import BeastError
from beast_lp.runs.files import write_table
from beast_lp.video.open_clips import OpenClip, OpenClips
from beast_lp.video.pictures import PictureConverter
from beast_lp.video.shares import spread_over
from beast_lp.video.window_clip import OFFSETS, WINDOW

INDEX_NAME = 'index.csv'
INDEX_COLUMNS = ('video', 'video_id', 'frame', 'clip', 'window', 'step', 'fps', 'project')


def write_index(directory: Path, table: pd.DataFrame) -> None:
    """Write the index, which makes a folder of clips a window store.

    Args:
        directory: folder of the clips.
        table: one row per window with the columns of `WindowStore.table`.
    """
    write_table(table.loc[:, list(INDEX_COLUMNS)], directory / INDEX_NAME, missing='nan')


class WindowStore:
    """A folder of clips that hold the windows (t-k, t, t+k) of the anchors t of many videos.

    A store can be pickled and forked: each process opens clips by itself, when it needs them.
    `prepare_windows` writes one, with an example.

    Attributes:
        directory: folder of the index and the clips.
        table: one row per window: `video` (path of the source video), `video_id`, `frame` (ordinal
            of the anchor in the source), `clip` (file name), `window` (ordinal in the clip),
            `step` (k in frames of the source), `fps` (rate of the source, NaN where unknown) and
            `project` (project of the video, empty where there is one project alone).
    """

    def __init__(self, directory: Path, table: pd.DataFrame) -> None:
        """Keep the index; `open` reads it from a folder.

        Args:
            directory: folder of the clips.
            table: index of the windows.
        """
        self.directory = directory
        self.table = table
        self._clips = table['clip'].tolist()
        self._windows = table['window'].tolist()
        self._open = OpenClips(directory, _FrameClip)

    @classmethod
    def open(cls, directory: str | Path) -> 'WindowStore':
        """Open a store.

        Args:
            directory: folder with `index.csv`, or the folder that holds it as `windows/`.

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
        try:
            table = pd.read_csv(index, dtype=str, keep_default_na=False)
        except ValueError as error:
            raise _damaged(index, error) from error
        if 'project' not in table:
            # a store of an older version is one of a single project
            table['project'] = ''
        missing = [name for name in INDEX_COLUMNS if name not in table]
        if missing:
            raise BeastError(
                f'{index} lacks the column {missing[0]}, so another version wrote it; run '
                '`litpose pretrain` again, which rebuilds it'
            )
        kinds = {'frame': 'int64', 'window': 'int64', 'step': 'int64', 'fps': 'float64'}
        try:
            return cls(directory, table.astype(kinds))
        except ValueError as error:
            raise _damaged(index, error) from error

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.table)

    def __reduce__(self) -> tuple[type['WindowStore'], tuple[Path, pd.DataFrame]]:
        """Pickle a store without its open clips."""
        return WindowStore, (self.directory, self.table)

    def read(
        self, index: int, offsets: Sequence[int], size: tuple[int, int]
    ) -> UInt8[np.ndarray, 'k h w 3']:
        """Read frames of one window, by one seek to a key frame and at most 3 decoded frames.

        Args:
            index: row of the table.
            offsets: frames to read, in this order: -1, 0 and 1 are t-k, t and t+k.
            size: (height, width) in px. Where it is smaller than the clip, each pixel is the
                average of the area it covers.

        Returns:
            (offsets, H, W, 3) RGB in full-range values.

        Raises:
            BeastError: if the clip is missing or damaged.
            ValueError: if an offset is not -1, 0 or 1, or there is none.
        """
        if not offsets or not set(offsets) <= set(OFFSETS):
            raise ValueError(f'offsets must be among {OFFSETS}, found {tuple(offsets)}')
        clip = self._open[self._clips[index]]
        frames = clip.read(int(self._windows[index]), {offset + 1 for offset in offsets}, size)
        return np.stack([frames[offset + 1] for offset in offsets])

    def clip_size(self, index: int) -> tuple[int, int]:
        """Return the (height, width) in px at which the frames of a window are stored.

        Args:
            index: row of the table.
        """
        return self._open[self._clips[index]].size

    def clip_sizes(self) -> set[tuple[int, int]]:
        """Open every clip and return the sizes, (height, width) in px, that occur."""
        first_of_each = self.table.groupby('clip', sort=False).indices.values()
        return {self.clip_size(int(rows[0])) for rows in first_of_each}


def read_evenly(
    store: WindowStore,
    rows: Int[np.ndarray, ' rows'],
    count: int,
    size: tuple[int, int],
) -> UInt8[np.ndarray, 'frames height width 3']:
    """Read at most `count` anchors, evenly spread over some rows of a store.

    Args:
        store: window store.
        rows: rows of its table, at least one, in any order.
        count: number of frames, at most.
        size: (height, width) in px.
    """
    picks = spread_over(len(rows), count)
    return np.concatenate([store.read(int(row), (0,), size) for row in np.sort(rows)[picks]])


def _damaged(index: Path, error: ValueError) -> BeastError:
    return BeastError(
        f'{index} is damaged ({error}); delete it and run `litpose pretrain` again, which '
        'rebuilds it'
    )


class _FrameClip(OpenClip):
    """An open clip that is read frame by frame."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        # decoder threads would ask for further frames before they return the first
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
                    raise self._damaged(f'frame {ordinal} has the time stamp {picture.pts}')
                if position in positions:
                    frames[position] = self._convert(picture, size)
                if position == last:
                    return frames
        except FFmpegError as error:
            raise self._damaged(f'{error.strerror} at frame {first_ordinal}') from error
        raise self._damaged(f'it ends before window {window} is complete')

    def _pictures(self) -> Iterator[av.VideoFrame]:
        for packet in self._container.demux(self._stream):
            yield from packet.decode()
