"""The feature store: one folder of numpy files per video, which numpy alone can read.

| file | content |
|---|---|
| `cls.npy` | (frames, dim) float32, one vector per frame: the CLS token of a ViT |
| `patches.npy` | (frames, rows * columns, channels) float16, raster order; optional |
| `frame.npy` | (frames,) int64, ordinals in the video |
| `time.npy` | (frames,) float64, seconds since the video's first frame |
| `info.json` | the fields of `FeatureInfo` |

The folder gets its name once it is complete; until then the name ends in `.part`.
"""

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from beast_lp.errors import BeastError
from beast_lp.features.info import ARRAYS, FeatureInfo
from beast_lp.runs.files import part_of
from beast_lp.runs.foreign import foreign_file, read_text
from beast_lp.video.identity import names_in_use, video_names

INFO_NAME = 'info.json'
# of an unfinished store
PROGRESS_NAME = 'progress.json'


def array_file(directory: Path, name: str) -> Path:
    """Return the file of an array of a store."""
    return directory / f'{name}.npy'


def checksum(path: Path) -> str:
    """Return the CRC-32 of a file's bytes, which tells damage but no intent.

    It takes half a second per GB; a hash of the other files of this package takes five times as
    long.

    Args:
        path: file to read, in parts.
    """
    value = 0
    with path.open('rb') as file:
        while part := file.read(1 << 20):
            value = zlib.crc32(part, value)
    return f'{value:08x}'


@dataclass(frozen=True)
class FeatureStore:
    """The features of one video, as memory maps.

    Attributes:
        directory: folder of the store.
        info: origin of the features.
        cls: one vector per frame.
        patches: float16 patch features in raster order; None if they were not stored.
        frame: ordinals of the frames in the video, rising.
        time: seconds since the video's first frame, rising.
    """

    directory: Path
    info: FeatureInfo
    cls: Float[np.ndarray, 'frames dim']
    patches: Float[np.ndarray, 'frames patches channels'] | None
    frame: Int[np.ndarray, ' frames']
    time: Float[np.ndarray, ' frames']

    def __len__(self) -> int:
        """Return the number of frames that have features."""
        return len(self.frame)

    def check(self, *names: str) -> None:
        """Check that files of the store have the bytes that were written.

        Args:
            *names: names of their arrays; all but the patches, which may be many GB, are checked
                when a store is opened.

        Raises:
            BeastError: if one has other bytes.
        """
        for name in names:
            path = array_file(self.directory, name)
            if name in self.info.checksums and checksum(path) != self.info.checksums[name]:
                raise BeastError(
                    f'{path} is damaged: its bytes are not those that were written; delete the '
                    f'folder {self.directory} and run the command that wrote it again'
                )

    @classmethod
    def open(cls, directory: str | Path) -> 'FeatureStore':
        """Open the features of a video.

        Args:
            directory: folder of the video, as `litpose embed` wrote it.

        Raises:
            BeastError: if it holds no complete store.

        Examples:
            >>> import tempfile
            >>> from beast_lp.features.writer import FeatureWriter
            >>> directory = Path(tempfile.mkdtemp()) / 'session'
            >>> info = FeatureInfo('session.mp4', 'resnet18', 'backbone', 'a1', dim=3)
            >>> with FeatureWriter(directory, info) as writer:
            ...     writer.append(np.ones((2, 3)), np.array([0, 1]), np.array([0.0, 0.04]))
            ...     writer.finish(frames=2)
            >>> store = FeatureStore.open(directory)
            >>> store.cls.shape, store.frame.tolist(), store.time.tolist()
            ((2, 3), [0, 1], [0.0, 0.04])
        """
        directory = Path(directory).expanduser()
        text = _read_info(directory)
        info = FeatureInfo.from_json(text, directory / INFO_NAME)
        arrays = {name: _open_array(directory, name) for name in info.row_shapes}
        rows = len(arrays['frame'])
        for name, shape in info.row_shapes.items():
            if arrays[name].shape != (rows, *shape):
                raise BeastError(
                    f'{directory / name}.npy has the shape {arrays[name].shape} instead of '
                    f'{(rows, *shape)}, so files of two stores are mixed; delete the folder and '
                    'run `litpose embed` again'
                )
        _check_order(directory, arrays['frame'], arrays['time'])
        store = cls(directory, info, patches=arrays.pop('patches', None), **arrays)
        store.check(*arrays)
        return store


def _check_order(directory: Path, frame: np.ndarray, time: np.ndarray) -> None:
    """Refuse numbers and times of frames that no video has."""
    if (np.diff(frame) <= 0).any() or (frame[:1] < 0).any() or not np.isfinite(time).all():
        raise BeastError(
            f'the frames in {directory} do not ascend, or have times that are no numbers; delete '
            'the folder and run `litpose embed` again'
        )


def read_rows(array: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Copy some rows of an array.

    A memory map would keep every page that was ever read in the memory of the process, which would
    then grow with the length of the video; its file is read instead.

    Args:
        array: array, or memory map of a whole file.
        start: first row.
        stop: row after the last one.

    Examples:
        >>> read_rows(np.arange(8).reshape(4, 2), 1, 3).tolist()
        [[2, 3], [4, 5]]
    """
    if not isinstance(array, np.memmap):
        return array[start:stop].copy()
    shape = (max(0, min(stop, len(array)) - start), *array.shape[1:])
    row_bytes = array.dtype.itemsize * math.prod(array.shape[1:])
    return np.fromfile(
        str(array.filename), array.dtype, math.prod(shape), offset=array.offset + start * row_bytes
    ).reshape(shape)


def store_names(videos: Sequence[Path]) -> list[str]:
    """Name videos by their stems, and only those of equal stems by more than that.

    Examples:
        >>> store_names([Path('/data/a 1.mp4'), Path('/data/b.mp4'), Path('/data/b.avi')])
        ['a 1', 'b_mp4', 'b_avi']
    """
    return video_names(videos)


def store_directories(output_dir: Path, videos: Sequence[Path]) -> list[Path]:
    """Return the folder of each video's features, which is named like the video.

    A folder that an older version named otherwise, finished or not, is found again by the rule of
    that version, if the store in it names the same video file.

    Args:
        output_dir: output directory of `litpose embed`.
        videos: video files, absolute paths without duplicates.
    """
    names = names_in_use(videos, lambda name, video: _holds(output_dir / name, video))
    return [output_dir / name for name in names]


def _holds(directory: Path, video: Path) -> bool:
    """Return whether a folder, finished or not, holds features of a video of that file name."""
    progress = part_of(directory) / PROGRESS_NAME
    try:
        if directory.is_dir():
            info = json.loads((directory / INFO_NAME).read_text(encoding='utf-8'))
        else:
            info = json.loads(progress.read_text(encoding='utf-8'))['info']
        return Path(info['video']).name == video.name
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _read_info(directory: Path) -> str:
    file = directory / INFO_NAME
    try:
        with foreign_file(file, 'delete the folder and run `litpose embed` again'):
            return read_text(file)
    except BeastError as error:
        if file.is_file():
            raise
        if part_of(directory).is_dir() and not directory.exists():
            raise BeastError(
                f'the features in {directory} are not complete; run the same `litpose embed` '
                'command again, which resumes it'
            ) from error
        found = 'is no folder' if not directory.is_dir() else f'lacks {INFO_NAME}'
        raise BeastError(
            f'there are no features in {directory}, which {found}; give the folder of one video '
            'in the output directory of `litpose embed`'
        ) from error


def _open_array(directory: Path, name: str) -> np.ndarray:
    path = array_file(directory, name)
    kind, dimensions = ARRAYS[name]
    with foreign_file(path, f'delete the folder {directory} and run `litpose embed` again'):
        # an empty array cannot be mapped
        array = np.load(path, mmap_mode='r')
    if not isinstance(array, np.ndarray):
        array.close()
        raise BeastError(
            f'{path} is an archive of several arrays; delete the folder {directory} and run '
            '`litpose embed` again'
        )
    if array.dtype != np.dtype(kind) or array.ndim != dimensions:
        raise BeastError(
            f'{path} holds {array.ndim}-dimensional {array.dtype} values where '
            f'{dimensions}-dimensional {np.dtype(kind)} are expected; delete the folder '
            f'{directory} and run `litpose embed` again'
        )
    return array
