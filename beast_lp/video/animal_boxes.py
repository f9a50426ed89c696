"""Boxes around the animal of every video, in the host's format (`bbox_dir: auto`)."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8

from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file, write_table
from beast_lp.runs.foreign import foreign_file
from beast_lp.runs.readable import read_arrays
from beast_lp.video.animal import Background, NoAnimalError, Track, background_of, track_animal
from beast_lp.video.boxes import AUTO, COLUMNS, boxes_file
from beast_lp.video.read import FrameReader
from beast_lp.video.shares import spread_over
from beast_lp.video.spool import spooled_frames
from beast_lp.video.thumbnails import rows_of

logger = logging.getLogger(f'lightning_pose.{__name__}')

# px, longer side of the frames that are searched
_SIDE = 96
# px of the whole frame; smaller boxes show hardly any animal
_LEAST_SIDE = 32
# frames that are kept for a picture
_SHOWN = 6
# frames a second, for the smoothing alone, of a file that states none
_USUAL_RATE = 25.0


def animal_boxes(videos: Sequence[Path], directory: Path, progress: bool = True) -> Path:
    """Write the boxes of all videos that have none yet, or changed since.

    Args:
        videos: video files of fixed cameras, each with one animal.
        directory: folder of the files, which `litpose predict --bbox_dir` and `litpose embed
            --bbox_dir` take.
        progress: show a bar of frames for each video.

    Returns:
        the directory.

    Raises:
        BeastError: if a video has no single place where the animal is, once all others have
            boxes, or two are called alike.
        VideoError: if a video cannot be read.
    """
    files = [boxes_file(directory, video) for video in videos]
    if len(set(files)) < len(files):
        raise BeastError(
            f'{AUTO} boxes need videos of different names, because the host finds the boxes of a '
            'video by its name; rename those that are called alike'
        )
    directory.mkdir(parents=True, exist_ok=True)
    failed = []
    for video, file in zip(videos, files, strict=True):
        if file.exists() and file.stat().st_mtime >= video.stat().st_mtime:
            continue
        try:
            write_boxes(video, file, progress)
        except NoAnimalError as error:
            failed.append(f'{video}: {error}')
    if failed:
        others = f' (and {len(failed) - 1} other videos)' if len(failed) > 1 else ''
        raise BeastError(
            f'no boxes can be found for {failed[0]}{others}; set beast.windows.bbox_dir to boxes '
            'of `litpose create_bbox`, or leave it out to train on whole frames'
        )
    return directory


def write_boxes(video: Path, file: Path, progress: bool = True) -> None:
    """Write a square box of one size around the animal of every frame of a video.

    What was searched goes to a file beside it: the background, for the labelled frames of that
    video, and some frames, for a picture of the boxes.

    Args:
        video: video file.
        file: CSV file in the host's format.
        progress: show a bar of frames.

    Raises:
        NoAnimalError: if there is no single place where the animal is.
        BeastError: if no frame can be decoded, or the disk is full.
        VideoError: if the video cannot be read.
    """
    reader = FrameReader(video, 'gray')
    width, height = reader.info.width, reader.info.height
    size = searched_size(width, height)
    desc = f'animal of {video.name}'
    with spooled_frames(reader, size, file.parent, desc, progress) as frames:
        if not len(frames):
            raise BeastError(f'{video} has no frame that can be decoded')
        background = background_of(frames)
        try:
            track = track_animal(frames, background, reader.info.fps or _USUAL_RATE)
            shown = spread_over(len(frames), _SHOWN)
            examples = rows_of(frames, shown)
        finally:
            del frames
    with (
        finished_file(searched_file(file.parent, video.stem)) as part,
        part.open('wb') as binary,
    ):
        np.savez_compressed(
            binary,
            median=background.median,
            noise=background.noise,
            frames=examples,
            ordinals=shown,
        )
    table = box_table(track, width, height)
    side = int(table['w'].iloc[0])
    logger.info(
        f'beast: {video.name}: a box of {side} x {side} px follows what moves, '
        f'{side**2 / (width * height):.0%} of the frame'
    )
    write_table(table, file, index=True)


def box_table(track: Track, width: int, height: int) -> pd.DataFrame:
    """Return the boxes of a track, a row per frame: squares of one size, within the frame.

    Args:
        track: place of the animal.
        width: width of the frame in px.
        height: height of the frame in px.

    Returns:
        x, y, h, w in px, in the host's order.
    """
    whole = np.array([width, height])
    return squares(track.centre, (track.size * whole).max(), width, height)


def squares(
    centre: Float[np.ndarray, 'frames 2'],
    side: float,
    width: int,
    height: int,
) -> pd.DataFrame:
    """Return squares of one size around places, moved into the frame where they reach out of it.

    Args:
        centre: x and y as shares of the frame's width and height.
        side: side in px, made even and no larger than the frame.
        width: width of the frame in px.
        height: height of the frame in px.

    Returns:
        x, y, h, w in px, in the host's order.
    """
    whole = np.array([width, height])
    even = int(np.clip(side, _LEAST_SIDE, whole.min())) // 2 * 2  # as codecs like it
    corner = np.clip((centre * whole - even / 2).round(), 0, whole - even).astype(int)
    columns = dict(zip(COLUMNS, (corner[:, 0], corner[:, 1], even, even), strict=True))
    return pd.DataFrame(columns)


def searched_size(width: int, height: int) -> tuple[int, int]:
    """Return (height, width) in px of the small frames in which the animal is looked for.

    Args:
        width: width of the whole frame in px.
        height: height of the whole frame in px.

    Examples:
        >>> searched_size(640, 480)
        (72, 96)
    """
    scale = _SIDE / max(width, height)
    return max(1, round(height * scale)), max(1, round(width * scale))


def searched_file(directory: Path, name: str) -> Path:
    """Return the path of what was searched of a video.

    Args:
        directory: folder of the files of boxes.
        name: name of the video, without its suffix.
    """
    return directory / f'{name}_searched.npz'


class Searched(NamedTuple):
    """What was searched of a video.

    Attributes:
        background: background of the small frames.
        frames: (frames, H, W) some of these, spread evenly over the video.
        ordinals: their numbers.
    """

    background: Background
    frames: UInt8[np.ndarray, 'frames h w']
    ordinals: Int[np.ndarray, ' frames']


def read_searched(file: Path) -> Searched:
    """Read what `write_boxes` wrote beside the boxes.

    Args:
        file: path that `searched_file` returns.

    Raises:
        BeastError: if it is no such file.
    """
    advice = 'delete it and the boxes of that video, and run the command again'
    with foreign_file(file, advice, 'what was searched of a video'):
        arrays = read_arrays(file)
        background = Background(arrays['median'], arrays['noise'])
        return Searched(background, arrays['frames'], arrays['ordinals'])
