"""One pass over a raw video that chooses its anchors."""

import math
from dataclasses import dataclass
from pathlib import Path

from beast_lp.config import AnchorConfig
from beast_lp.errors import BeastError
from beast_lp.video.boxes import Boxes
from beast_lp.video.containers import VideoError
from beast_lp.video.read import FrameReader, VideoInfo
from beast_lp.video.selection import Anchors, select_anchors
from beast_lp.video.spool import spooled_frames
from beast_lp.video.thumbnails import THUMBNAIL_SIZE, motion_energy


@dataclass(frozen=True)
class Scan:
    """Result of one pass over a video.

    Attributes:
        info: header of the video.
        frames: number of decoded frames.
        error: why not every frame could be decoded, or None.
        anchors: chosen frames.
    """

    info: VideoInfo
    frames: int
    error: str | None
    anchors: Anchors


def scan_video(
    path: str | Path,
    config: AnchorConfig,
    seed: int,
    progress: bool = True,
    spool_dir: Path | None = None,
    step: int = 1,
    boxes: Boxes | None = None,
) -> Scan:
    """Decode a video once and choose its anchors.

    Thumbnails (1 kB per frame) and their principal components go to unnamed temporary files, so
    that memory does not grow with the video's length and a killed process leaves nothing behind.

    Args:
        path: video file.
        config: strategy, and number of anchors.
        seed: equal seeds give equal anchors.
        progress: show a bar of frames.
        spool_dir: folder of the temporary files; None for the system's own, which some machines
            hold in memory.
        step: number of frames, k of the windows (t-k, t, t+k).
        boxes: bounding boxes that frames are cropped to; None keeps whole frames.

    Raises:
        VideoError: if the video is unreadable, shorter than a window or motionless.
        BeastError: if the disk is full or there are fewer boxes than frames.
    """
    reader = FrameReader(path, 'gray', boxes)
    with spooled_frames(reader, THUMBNAIL_SIZE, spool_dir, Path(path).name, progress) as frames:
        thumbnails = frames.reshape(len(frames), math.prod(THUMBNAIL_SIZE))
        try:
            energy = motion_energy(thumbnails, step)
            anchors = select_anchors(thumbnails, energy, config, seed, step, spool_dir)
        except BeastError as error:
            detail = f' ({reader.error})' if reader.error else ''
            raise VideoError(f'{path} gives no anchors: {error}{detail}') from error
        finally:
            del frames, thumbnails
    return Scan(info=reader.info, frames=reader.frames_read, error=reader.error, anchors=anchors)
