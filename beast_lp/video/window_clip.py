"""Writing the windows of one video into a clip.

A window is the frames (t-k, t, t+k) of an anchor t; `step` is its k. Each window is one closed
group of pictures of 3 frames, so that every access starts at a key frame and reads at most 3
frames, on the CPU as with a hardware decoder, and every player shows the clip.
"""

from collections import deque
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import Int, UInt8

from beast_lp.config import WindowConfig
from beast_lp.runs.files import finished_file
from beast_lp.runs.progress import progress_bar
from beast_lp.video.boxes import Boxes
from beast_lp.video.containers import VideoError
from beast_lp.video.read import Frame, FrameReader

# frames of a window, by their distance to the anchor in steps of k
OFFSETS = (-1, 0, 1)
WINDOW = len(OFFSETS)
# frames per second: windows are jumps in time, so the source's rate would mean nothing, and this
# one gives whole time stamps in every container
CLIP_RATE = 25
CLIP_SUFFIX = '.mp4'
# constant rate factor: by eye, 8 cannot be told from the original, at about 9 kB a frame
CRF = 8

# Tests replace both constants by VP9, because DALI decodes no H.264 without a GPU. `fastdecode`
# halves the time of a random read for 4 % more bytes; `mbtree`, which plans beyond a group, gains
# nothing here and differs from run to run.
_ENCODER = 'libx264'
_OPTIONS = {
    'preset': 'veryfast',
    'tune': 'fastdecode',
    'bf': '0',
    'sc_threshold': '0',
    'mbtree': '0',
}
_GROUPS = {'g': str(WINDOW), 'keyint_min': str(WINDOW)}


def build_clip(
    path: str | Path,
    anchors: Int[np.ndarray, ' k'],
    destination: Path,
    config: WindowConfig,
    progress: bool = True,
    step: int = 1,
    boxes: Boxes | None = None,
) -> None:
    """Decode a video once more and write the windows of its anchors.

    Decoding stops at the last frame that is needed. The clip is H.264, yuv420p, BT.601, tagged as
    full range, in the order of the anchors; frame 3 w + 1 is the anchor of window w.

    Args:
        path: video file.
        anchors: ordinals, ascending, each with a frame k before and k after it.
        destination: file of the clip, which appears only when it is complete.
        config: longest side of the frames.
        progress: show a bar of frames.
        step: number of frames, k.
        boxes: bounding boxes that frames are cropped to before they are scaled, all to the size of
            the median box; None keeps whole frames.

    Raises:
        VideoError: if the video is unreadable or ends before the last window.
        BeastError: if the disk is full or there are fewer boxes than frames.
    """
    reader = FrameReader(path, boxes=boxes)
    shape = boxes.size if boxes else (reader.info.height, reader.info.width)
    size = clip_size(*shape, config.longest_side)
    bar = progress_bar(
        reader,
        desc=f'{Path(path).name} windows',
        unit='frame',
        total=int(anchors[-1]) + step + 1,
        disable=not progress,
    )
    with finished_file(destination) as part:
        with _ClipWriter(part, size) as writer, bar:
            written = _write_windows(bar, anchors, step, size, writer)
        if written < len(anchors):
            raise VideoError(
                f'{path} ended at frame {reader.frames_read}, before the window around frame '
                f'{anchors[written]}, although it was longer a moment ago; is it being written to?'
            )


def clip_size(height: int, width: int, longest_side: int) -> tuple[int, int]:
    """Compute a clip's (height, width), which is even and no larger than the video.

    Args:
        height: height of the video in px.
        width: width of the video in px.
        longest_side: limit of the longer side in px.

    Examples:
        >>> clip_size(1024, 1280, longest_side=320)
        (256, 320)
    """
    scale = min(1.0, longest_side / max(height, width))
    return _even(height * scale), _even(width * scale)


def _even(side: float) -> int:
    # the small term keeps rounding from making 318 of 320
    return max(2, 2 * int(side / 2 + 1e-6))


def _write_windows(
    frames: Iterable[Frame],
    anchors: Int[np.ndarray, ' k'],
    step: int,
    size: tuple[int, int],
    writer: '_ClipWriter',
) -> int:
    """Write each window once its last frame is decoded; return the number of windows written."""
    needed = {int(anchor) + step * offset for anchor in anchors for offset in OFFSETS}
    recent: deque[np.ndarray | None] = deque(maxlen=2 * step + 1)
    written = 0
    for frame in frames:
        recent.append(frame.pixels(size) if frame.ordinal in needed else None)
        if frame.ordinal == anchors[written] + step:
            for place in (0, step, 2 * step):
                pixels = recent[place]
                assert pixels is not None
                writer.write(pixels)
            written += 1
            if written == len(anchors):
                break
    return written


class _ClipWriter:
    """Encode RGB frames so that every third packet, and no other, is a key frame."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._container: OutputContainer = av.open(str(path), 'w', format='mp4')
        stream = self._container.add_stream(
            _ENCODER, rate=Fraction(CLIP_RATE), options={**_GROUPS, **_OPTIONS, 'crf': str(CRF)}
        )
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = size
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.color_range = ColorRange.JPEG
        # the matrix of both of our conversions, and the one that DALI assumes
        stream.codec_context.colorspace = Colorspace.ITU601
        self._stream = stream
        self._reformatter = VideoReformatter()
        self._packets = 0

    def __enter__(self) -> '_ClipWriter':
        return self

    def write(self, frame: UInt8[np.ndarray, 'h w 3']) -> None:
        picture = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(frame, format='rgb24'),
            format='yuv420p',
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG,
            # starting threads takes longer than converting a small picture
            threads=1,
        )
        self._mux(picture)

    def _mux(self, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            if packet.is_keyframe != (self._packets % WINDOW == 0):
                raise RuntimeError(f'the encoder misplaced a key frame at {self._packets}')
            self._packets += 1
            self._container.mux(packet)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._mux(None)
        finally:
            self._container.close()
