"""Small frames of a whole video in an unnamed temporary file, so that they may be read again."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from beast_lp.runs.files import full_disk_sentence
from beast_lp.runs.progress import progress_bar
from beast_lp.video.read import FrameReader


@contextmanager
def spooled_frames(
    reader: FrameReader,
    size: tuple[int, int],
    directory: Path | None,
    desc: str,
    progress: bool = True,
) -> Iterator[UInt8[np.ndarray, 'frames height width']]:
    """Decode a video once, and give its grey frames as a memory map for the block.

    Memory does not grow with the video's length, and a killed process leaves nothing behind.

    Args:
        reader: reader of the video, in grey.
        size: (height, width) in px that frames are scaled to.
        directory: folder of the temporary file; None for the system's own, which some machines
            hold in memory.
        desc: name of the work, for the bar.
        progress: show a bar of frames.

    Yields:
        the frames, none where nothing can be decoded.

    Raises:
        BeastError: if the disk is full, or the reader has fewer boxes than frames.
    """
    with full_disk_sentence(directory), tempfile.TemporaryFile(dir=directory) as spool:
        bar = progress_bar(
            reader,
            desc=desc,
            unit='frame',
            total=reader.info.frames_declared,
            disable=not progress,
        )
        for frame in bar:
            spool.write(frame.pixels(size).tobytes())
        spool.flush()
        shape = (reader.frames_read, *size)
        # an empty file cannot be mapped
        yield np.memmap(spool, np.uint8, 'r', shape=shape) if shape[0] else np.empty(shape, 'u1')
