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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from beast_lp.errors import BeastError
from beast_lp.runs.files import part_of
from beast_lp.runs.foreign import foreign_file, read_text
from beast_lp.video.identity import names_in_use, video_names

# to be raised when the files of a store change their meaning
STORE_FORMAT = 1
INFO_NAME = 'info.json'
# of an unfinished store
PROGRESS_NAME = 'progress.json'
# type and number of dimensions of each array of a store
ARRAYS = {'cls': ('<f4', 2), 'patches': ('<f2', 3), 'frame': ('<i8', 1), 'time': ('<f8', 1)}


@dataclass(frozen=True)
class FeatureInfo:
    """Origin of the features of a video.

    Attributes:
        video: path of the video.
        source: name of the source: a path, or the name of a backbone.
        source_kind: kind of the source, as in `features.source.FeatureSource`.
        source_hash: hash of the weights, so that features of two sources are never mixed.
        dim: number of channels of a vector.
        image_size: size in px, (height, width), to which frames were scaled; None if unknown.
        grid: number of stored patches along (height, width); None if there are none.
        patch_dim: number of stored channels of a patch; None if there are none.
        patch_basis: hash of the basis onto which the patches were projected; None if they have
            the source's own channels.
        stride: distance between frames that have features; 1 for every frame.
        precision: precision of the source's computations, `fp32` or `bf16`.
        video_key: key of the video's content, from `beast_lp.video.identity.source_key`.
        width: width of the video in px.
        height: height of the video in px.
        fps: average frames per second of the video; None where its file does not record it.
        frames: number of decoded frames of the whole video; 0 if unknown.
        time_from: `time stamps` of the frames, with the number of mended ones where there are any,
            or `frame rate` where most are unusable.
        damage: reason why some frames of the video could not be decoded; None if all could.
        format: version of the files.
    """

    video: str
    source: str
    source_kind: str
    source_hash: str
    dim: int
    image_size: tuple[int, int] | None = None
    grid: tuple[int, int] | None = None
    patch_dim: int | None = None
    patch_basis: str | None = None
    stride: int = 1
    precision: str = 'fp32'
    video_key: str = ''
    width: int = 0
    height: int = 0
    fps: float | None = None
    frames: int = 0
    time_from: str = 'time stamps'
    damage: str | None = None
    format: int = STORE_FORMAT

    @property
    def row_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one frame's row in each array of the store."""
        shapes: dict[str, tuple[int, ...]] = {'cls': (self.dim,), 'frame': (), 'time': ()}
        if self.grid is not None and self.patch_dim is not None:
            shapes['patches'] = (self.grid[0] * self.grid[1], self.patch_dim)
        return shapes

    @property
    def bytes_per_frame(self) -> int:
        """Bytes of one frame's features on disk."""
        return sum(
            int(np.prod(shape)) * np.dtype(ARRAYS[name][0]).itemsize
            for name, shape in self.row_shapes.items()
        )

    def to_json(self) -> str:
        """Return the fields as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + '\n'

    @staticmethod
    def from_json(text: str, source: Path) -> 'FeatureInfo':
        """Read a text that `to_json` wrote.

        Args:
            text: JSON text.
            source: file of the text, for the message.

        Raises:
            BeastError: if it is no such text, or of a newer version.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            version = values.get('format')
            if isinstance(version, int) and version > STORE_FORMAT:
                raise BeastError(
                    f'{source} was written by a newer beast-lp (format {version}, and this one '
                    f'reads {STORE_FORMAT}); update beast-lp, or run `litpose embed` again'
                )
            for name in ('image_size', 'grid'):
                if values.get(name) is not None:
                    rows, columns = values[name]
                    values[name] = int(rows), int(columns)
            info = FeatureInfo(**values)
            _check_types(info)
            return info
        # RecursionError: of brackets in brackets
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise BeastError(
                f'{source} does not describe features ({error}); delete the folder and run '
                '`litpose embed` again'
            ) from error


def _check_types(info: FeatureInfo) -> None:
    """Refuse values that no store has, since JSON can hold any.

    Raises:
        ValueError: if there is one.
    """
    numbers = {
        name: getattr(info, name) for name in ('dim', 'stride', 'width', 'height', 'frames')
    }
    numbers['patch_dim'] = 0 if info.patch_dim is None else info.patch_dim
    for name, value in numbers.items():
        if type(value) is not int or value < 0:
            raise ValueError(f'{name} is {value!r}')
    if info.fps is not None and not (type(info.fps) in (int, float) and 0 <= info.fps < math.inf):
        raise ValueError(f'fps is {info.fps!r}')
    for name in ('video', 'source', 'source_kind', 'source_hash', 'video_key'):
        if not isinstance(getattr(info, name), str):
            raise ValueError(f'{name} is {getattr(info, name)!r}')


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

    @classmethod
    def open(cls, directory: str | Path) -> 'FeatureStore':
        """Open the features of a video.

        Args:
            directory: folder of the video, as `litpose embed` wrote it.

        Raises:
            BeastError: if it holds no complete store.

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
        return cls(directory, info, patches=arrays.pop('patches', None), **arrays)


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
    path = directory / f'{name}.npy'
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
