"""An even sample of the frames of some videos, to fit components to."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from beast_lp.errors import BeastError
from beast_lp.runs.progress import progress_bar
from beast_lp.video.boxes import Boxes, boxes_file
from beast_lp.video.containers import VideoError
from beast_lp.video.read import FrameReader, count_frames
from beast_lp.video.shares import share_out, spread_over

logger = logging.getLogger(f'lightning_pose.{__name__}')


def sample_frames(
    videos: Sequence[Path],
    total: int,
    size: tuple[int, int],
    pixel_format: str,
    batch: int,
    progress: bool = True,
    bbox_dir: Path | None = None,
) -> Iterator[UInt8[np.ndarray, 'frames h w ...']]:
    """Decode the videos once and yield frames at even distances, in batches.

    Args:
        videos: video files, absolute paths; one that cannot be read is left out, with a warning.
        total: number of frames over all videos, in proportion to their lengths.
        size: size in px, (height, width).
        pixel_format: `rgb24` or `gray`.
        batch: number of frames in a batch; the last one may have fewer.
        progress: whether to show a progress bar.
        bbox_dir: folder of the host's bounding boxes, to which frames are cropped; None for whole
            frames.

    Yields:
        batches of frames.

    Raises:
        BeastError: if none of the videos can be read, or the boxes of a video are missing or do
            not suit it.
    """
    videos, lengths = _readable(videos)
    # all at first, so that missing ones are reported before videos are decoded
    boxes = [open_boxes(video, bbox_dir) for video in videos]
    shares = share_out(min(max(total, len(videos)), max(sum(lengths), len(videos))), lengths)
    buffer: list[np.ndarray] = []
    with progress_bar(
        total=sum(lengths), desc='sampling frames', unit='frame', disable=not progress
    ) as bar:
        for video, box, length, share in zip(videos, boxes, lengths, shares, strict=True):
            wanted = set(spread_over(length, share))
            for frame in FrameReader(video, pixel_format, box):
                bar.update()
                if frame.ordinal in wanted:
                    buffer.append(frame.pixels(size))
                if len(buffer) == batch:
                    yield np.stack(buffer)
                    buffer = []
    if buffer:
        yield np.stack(buffer)


def _readable(videos: Sequence[Path]) -> tuple[list[Path], list[int]]:
    """Return the videos that can be read, at least one, and their lengths in frames."""
    readable, lengths, reasons = [], [], []
    for video in videos:
        try:
            lengths.append(count_frames(video))
            readable.append(video)
        except VideoError as error:
            reasons.append(str(error))
    if not readable:
        raise BeastError(f'none of the {len(videos)} videos can be read: {"; ".join(reasons)}')
    for reason in reasons:
        logger.warning(f'beast: {reason} (the other videos are read)')
    return readable, lengths


def open_boxes(video: Path, bbox_dir: Path | None) -> Boxes | None:
    """Open the bounding boxes of a video.

    Args:
        video: video file.
        bbox_dir: folder of the host's bounding boxes; None for none.

    Raises:
        BeastError: if the folder has no boxes for the video, or they cannot be read.
    """
    return None if bbox_dir is None else Boxes(boxes_file(bbox_dir, video))
