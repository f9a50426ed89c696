"""The true clock of a recording, where the rate in its video file is not the camera's."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.runs.readable import check_readable


def recording_times(
    config: SegmentationConfig,
    camera_times: Path | None,
    video: Path,
    times: Float[np.ndarray, ' frames'],
) -> Float[np.ndarray, ' frames']:
    """Return the seconds at which the frames of a video were taken.

    Args:
        config: its `fps` is read.
        camera_times: a .npy or .csv file of seconds, or a folder of `<video_stem>.npy` or `.csv`.
        video: path of the video.
        times: seconds of the frames in the video file, which are returned where the config says
            nothing else.

    Raises:
        BeastError: if the camera times cannot be read, do not rise, or are not one per frame.
    """
    if config.fps is not None:
        return np.arange(len(times)) / config.fps
    if camera_times is None:
        return times
    path = _file_of(camera_times, video)
    found = _read(path)
    if len(found) != len(times):
        raise BeastError(
            f'{path} has {len(found)} camera times, but {video} has {len(times)} frames; give one '
            'time in seconds per frame'
        )
    if not np.isfinite(found).all() or (np.diff(found) <= 0).any():
        raise BeastError(
            f'the camera times in {path} do not rise from frame to frame; give seconds, in order'
        )
    return found


def _file_of(path: Path, video: Path) -> Path:
    files = [path]
    if path.is_dir():
        files = [path / f'{video.stem}{suffix}' for suffix in ('.npy', '.csv')]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise BeastError(
            f'there are no camera times at {files[0]}; set beast.segmentation.camera_times'
        )
    return found


def _read(path: Path) -> Float[np.ndarray, ' times']:
    check_readable(path)
    try:
        if path.suffix.lower() == '.npy':
            # mapped, so that a header that promises more than the file holds takes no memory
            values = np.load(path, mmap_mode='r', allow_pickle=False)
        else:
            # the last column, under a heading or not
            column = np.genfromtxt(path, delimiter=',', encoding='utf-8', ndmin=2)[:, -1]
            values = column[1:] if len(column) and np.isnan(column[0]) else column
        numbers = np.asarray(values, np.float64)
    except (ValueError, TypeError, EOFError, IndexError) as error:
        raise BeastError(
            f'{path} holds no camera times ({type(error).__name__}); give a .npy file or a column '
            'of a .csv file with the seconds of every frame'
        ) from error
    return numbers.reshape(-1)
