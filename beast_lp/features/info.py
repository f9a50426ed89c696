"""Description of a feature store: where the features of a video come from."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from beast_lp.errors import BeastError

# to be raised when the files of a store change their meaning
STORE_FORMAT = 2
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
        checksums: checksum of each file of the store, by the name of its array; empty for a store
            of a version that did not record them (format 1).
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
    checksums: Mapping[str, str] = field(default_factory=dict)
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
    if not isinstance(info.checksums, dict):
        raise ValueError(f'checksums is {info.checksums!r}')
