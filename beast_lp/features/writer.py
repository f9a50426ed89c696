"""Write a feature store in order and in bounded memory; a killed run can be resumed."""

import json
import logging
import shutil
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic
from types import TracebackType

import numpy as np
from jaxtyping import Float, Int

from beast_lp.errors import BeastError
from beast_lp.features.column import Column, header_of, row_bytes
from beast_lp.features.info import ARRAYS, FeatureInfo
from beast_lp.features.store import INFO_NAME, PROGRESS_NAME, array_file, checksum
from beast_lp.runs.files import finished_file, full_disk_sentence, part_of, remove
from beast_lp.runs.readable import check_readable
from beast_lp.runs.settings import difference
from beast_lp.video.times import FrameTimes

logger = logging.getLogger(f'lightning_pose.{__name__}')

# seconds between two waits for the disk, the most work that a kill can cost
COMMIT_SECONDS = 5.0
# fields that are known only at the end of a video, and paths and versions, which may change
# between runs
_NOT_COMPARED = {
    'video',
    'source',
    'source_kind',
    'width',
    'height',
    'fps',
    'frames',
    'time_from',
    'damage',
    'checksums',
    'format',
}


class FeatureWriter:
    """Writes the rows of one store, and gives the folder its name at the end.

    Rows are appended to plain files, not memory maps, so memory does not grow with the video.

    Attributes:
        rows: number of rows written so far; above 0 at the start of a resumed run.
    """

    def __init__(self, directory: Path, info: FeatureInfo, anew: bool = False) -> None:
        """Start a store, or resume an unfinished one.

        Args:
            directory: final folder, which may not exist yet.
            info: description of the store; `frames`, `time_from` and `damage` are set at the end.
            anew: whether the rows of an unfinished store are written again.

        Raises:
            BeastError: if the directory exists, or its unfinished store has other settings.
        """
        if directory.exists():
            raise BeastError(
                f'{directory} already exists; delete it, or give another --output_dir'
            )
        self._directory = directory
        self._part = part_of(directory)
        self._info = info
        self.rows = _rows_so_far(self._part, directory, info)
        if anew:
            self.rows = 0
        self._committed = monotonic()
        if self.rows == 0:
            remove(self._part)
            self._part.mkdir(parents=True)
        self._columns = {
            name: Column(array_file(self._part, name), ARRAYS[name][0], shape, self.rows)
            for name, shape in info.row_shapes.items()
        }

    def append(
        self,
        cls: Float[np.ndarray, 'rows dim'],
        frame: Int[np.ndarray, ' rows'],
        time: Float[np.ndarray, ' rows'],
        patches: Float[np.ndarray, 'rows patches channels'] | None = None,
    ) -> None:
        """Write the next rows.

        Args:
            cls: one vector per frame.
            frame: ordinals in the video.
            time: seconds since the video's first frame.
            patches: patch features, if the store has them.

        Raises:
            BeastError: if a value is not finite (float16 ends at 65504), or the disk is full.
            ValueError: if an array is missing or has a wrong shape.
        """
        given = {'cls': cls, 'frame': frame, 'time': time, 'patches': patches}
        arrays = {name: array for name, array in given.items() if array is not None}
        if arrays.keys() != self._columns.keys():
            raise ValueError(f'expected {sorted(self._columns)}, found {sorted(arrays)}')
        if len({len(array) for array in arrays.values()}) != 1:
            raise ValueError('the arrays differ in length')
        with full_disk_sentence(self._part), np.errstate(over='ignore'):
            contents = {name: self._columns[name].cast(array) for name, array in arrays.items()}
            for name in ('cls', 'patches'):
                if name in contents and not np.isfinite(contents[name]).all():
                    raise BeastError(
                        f'{self._info.source} gives features that are not finite numbers (frame '
                        f'{int(frame[0])} or one of the {len(frame) - 1} after it, {name}); are '
                        'its weights damaged?'
                    )
            for name, content in contents.items():
                self._columns[name].append(content)
        self.rows += len(cls)
        if monotonic() - self._committed > COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Wait until the rows written so far would survive a kill or a power cut."""
        with full_disk_sentence(self._part):
            for column in self._columns.values():
                column.flush()
            content = {'rows': self.rows, 'info': asdict(self._info)}
            with finished_file(self._part / PROGRESS_NAME) as part:
                part.write_text(json.dumps(content), encoding='utf-8')
        self._committed = monotonic()

    def set_times(self, times: FrameTimes) -> None:
        """Write the times of all rows anew, once those of the whole video are known.

        Args:
            times: times of all frames of the video.
        """
        frames, column = self._columns['frame'], self._columns['time']
        with full_disk_sentence(self._part):
            frames.flush()
            column.restart()
            for ordinals in frames.chunks():
                column.append(column.cast(times.seconds[ordinals]))
        self._info = replace(self._info, time_from=times.source)

    def finish(self, frames: int, damage: str | None = None) -> None:
        """Complete the store and give the folder its name.

        Args:
            frames: number of decoded frames of the whole video.
            damage: reason why some frames could not be decoded; None if all could.
        """
        with full_disk_sentence(self._part):
            for column in self._columns.values():
                column.finish()
            checksums = {name: checksum(array_file(self._part, name)) for name in self._columns}
            info = replace(self._info, frames=frames, damage=damage, checksums=checksums)
            with finished_file(self._part / INFO_NAME) as part:
                part.write_text(info.to_json(), encoding='utf-8')
            (self._part / PROGRESS_NAME).unlink(missing_ok=True)
            self._part.replace(self._directory)

    def close(self) -> None:
        """Close the files; an unfinished store keeps its rows."""
        with ExitStack() as stack:
            # each is closed, whatever the others say
            for column in self._columns.values():
                stack.callback(column.close)

    def __enter__(self) -> 'FeatureWriter':
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the files, and commit an interrupted store."""
        try:
            # so that an interrupted run is resumed after its last row, not its last commit
            if kind is not None and self._part.is_dir() and self.rows:
                self.commit()
        finally:
            # closing writes what the last write could not
            with full_disk_sentence(self._part):
                self.close()
            if not self.rows:
                shutil.rmtree(self._part, ignore_errors=True)


def store_difference(old: FeatureInfo, new: FeatureInfo) -> str:
    """Name the first setting in which two stores differ, in words; empty if there is none."""
    if old.source_hash != new.source_hash:
        return (
            f'its features are those of another source, {old.source}, with other weights than '
            f'{new.source}'
        )
    if old.video_key != new.video_key:
        return f'it holds the features of another video, {old.video}, or the video has changed'
    return difference(asdict(old), asdict(new), _NOT_COMPARED)


def _rows_so_far(part: Path, directory: Path, info: FeatureInfo) -> int:
    """Return the complete rows of an unfinished store, 0 to start anew.

    Raises:
        BeastError: if it has other settings.
    """
    if part.is_symlink():
        # no store of ours, which are folders
        return 0
    progress = part / PROGRESS_NAME
    check_readable(progress)
    try:
        content = json.loads(progress.read_text(encoding='utf-8'))
        rows = int(content['rows'])
        old = FeatureInfo.from_json(json.dumps(content['info']), progress)
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, TypeError, KeyError, BeastError) as error:
        logger.warning(f'beast: {part} is damaged ({error}) and is written anew')
        return 0
    changed = store_difference(old, info)
    if changed:
        raise BeastError(
            f'{directory} is not finished and cannot be resumed: {changed}; run the command that '
            f'began it, delete {part}, or give another --output_dir'
        )
    for name, shape in info.row_shapes.items():
        column = array_file(part, name)
        needed = len(header_of(ARRAYS[name][0], shape, 0)) + rows * row_bytes(name, shape)
        if not column.is_file() or column.stat().st_size < needed:
            logger.warning(
                f'beast: {part} is damaged ({column.name} is too short) and is written anew'
            )
            return 0
    return rows
