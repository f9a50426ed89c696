"""Boxes around the animal of every video, in the host's format (`bbox_dir: auto`)."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from beast_lp.errors import BeastError
from beast_lp.runs.files import write_table
from beast_lp.video.animal import NoAnimalError, Track, track_animal
from beast_lp.video.boxes import AUTO, COLUMNS, boxes_file
from beast_lp.video.read import FrameReader
from beast_lp.video.spool import spooled_frames

logger = logging.getLogger(f'lightning_pose.{__name__}')

# px, longer side of the frames that are searched
_SIDE = 96
# px of the whole frame; smaller boxes show hardly any animal
_LEAST_SIDE = 32
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
        BeastError: if a video has no single place where the animal is, or two are called alike.
        VideoError: if a video cannot be read.
    """
    files = [boxes_file(directory, video) for video in videos]
    if len(set(files)) < len(files):
        raise BeastError(
            f'{AUTO} boxes need videos of different names, because the host finds the boxes of a '
            'video by its name; rename those that are called alike'
        )
    directory.mkdir(parents=True, exist_ok=True)
    for video, file in zip(videos, files, strict=True):
        if not file.exists() or file.stat().st_mtime < video.stat().st_mtime:
            write_boxes(video, file, progress)
    return directory


def write_boxes(video: Path, file: Path, progress: bool = True) -> None:
    """Write a square box of one size around the animal of every frame of a video.

    Args:
        video: video file.
        file: CSV file in the host's format.
        progress: show a bar of frames.

    Raises:
        BeastError: if there is no single place where the animal is, or the disk is full.
        VideoError: if the video cannot be read.
    """
    reader = FrameReader(video, 'gray')
    width, height = reader.info.width, reader.info.height
    scale = _SIDE / max(width, height)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    desc = f'animal of {video.name}'
    with spooled_frames(reader, size, file.parent, desc, progress) as frames:
        if not len(frames):
            raise BeastError(f'{video} has no frame that can be decoded')
        try:
            track = track_animal(frames, reader.info.fps or _USUAL_RATE)
        except NoAnimalError as error:
            raise BeastError(
                f'no boxes can be found for {video}: {error}; set beast.windows.bbox_dir to boxes '
                'of `litpose create_bbox`, or leave it out to train on whole frames'
            ) from error
        finally:
            del frames
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
    side = int(np.clip((track.size * whole).max(), _LEAST_SIDE, whole.min()))
    # even, as codecs like it
    side -= side % 2
    corner = np.clip((track.centre * whole - side / 2).round(), 0, whole - side).astype(int)
    columns = dict(zip(COLUMNS, (corner[:, 0], corner[:, 1], side, side), strict=True))
    return pd.DataFrame(columns)
