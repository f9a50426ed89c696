"""An even sample of the frames of some videos, for what is fitted to them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from beast_lp.video.read import PictureConverter, PictureReader, count_frames
from beast_lp.video.shares import share_out


def sample_frames(
    videos: Sequence[Path],
    total: int,
    size: tuple[int, int],
    pixel_format: str,
    batch: int,
    progress: bool = True,
) -> Iterator[UInt8[np.ndarray, 'frames h w ...']]:
    """Decode the videos once and give frames at even distances, in batches.

    Args:
        videos: absolute paths.
        total: frames over all videos, shared in proportion to their lengths.
        size: px, (height, width).
        pixel_format: `rgb24` or `gray`.
        batch: frames in a batch; the last one may have fewer.
        progress: show a bar.

    Yields:
        arrays of frames.

    Raises:
        VideoError: if a video cannot be read.
    """
    lengths = [count_frames(video) for video in videos]
    shares = share_out(min(max(total, len(videos)), max(sum(lengths), len(videos))), lengths)
    buffer: list[np.ndarray] = []
    with tqdm(total=sum(lengths), desc='sampling frames', unit='frame',
              disable=not progress) as bar:
        for video, length, share in zip(videos, lengths, shares, strict=True):
            wanted = set(np.linspace(0, length - 1, min(share, length)).round().astype(int))
            convert = PictureConverter(pixel_format)
            for ordinal, picture in enumerate(PictureReader(video)):
                bar.update()
                if ordinal in wanted:
                    buffer.append(convert(picture, size))
                if len(buffer) == batch:
                    yield np.stack(buffer)
                    buffer = []
    if buffer:
        yield np.stack(buffer)
