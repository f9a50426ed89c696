"""Writing the windows of one video into a small clip.

A window is the frames (t-k, t, t+k) of an anchor t; `step` is its k. Each window is one closed
group of pictures of 3 frames, so that every access starts at a key frame and reads at most 3
frames, on the CPU as with a hardware decoder, and any player shows the clip.
"""

from collections import deque
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import Int, UInt8
from tqdm import tqdm

from beast_lp.config import WindowConfig
from beast_lp.runs.files import finished_file
from beast_lp.video.boxes import Boxes
from beast_lp.video.read import PictureConverter, PictureReader, VideoError

# frames of a window, by their distance to the anchor in steps of k
OFFSETS = (-1, 0, 1)
WINDOW = len(OFFSETS)
# frames per second: windows are jumps in time, so the source's rate would mean nothing, and this
# one gives whole time stamps in every container
CLIP_RATE = 25
CLIP_SUFFIX = '.mp4'

_CODECS = {'h264': 'libx264', 'vp9': 'libvpx-vp9'}
_GROUPS = {'g': str(WINDOW), 'keyint_min': str(WINDOW)}
_OPTIONS = {
    # fastdecode halves the time of a random read for 4 % more bytes; mbtree, which plans beyond a
    # group, gains nothing here and is not the same from run to run
    'h264': {
        'preset': 'veryfast',
        'tune': 'fastdecode',
        'bf': '0',
        'sc_threshold': '0',
        'mbtree': '0',
    },
    # constant quality, and one packet per frame: neither look-ahead nor hidden reference frames
    'vp9': {
        'b': '0',
        'deadline': 'realtime',
        'cpu-used': '6',
        'row-mt': '1',
        'lag-in-frames': '0',
        'auto-alt-ref': '0',
    },
}


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

    Decoding stops at the last frame that is needed. The clip is H.264 or VP9, yuv420p, BT.601,
    marked as full range, in anchor order; frame 3 w + 1 is the anchor of window w.

    Args:
        path: the video.
        anchors: ordinals, ascending, each with a frame k before and k after it.
        destination: the clip, which appears only when it is complete.
        config: codec, quality and size.
        progress: show a bar of frames.
        step: frames, k.
        boxes: what each frame is cropped to before it is scaled, all to the shape of the median
            box; None for the whole frame.

    Raises:
        VideoError: if the video is unreadable or ends before the last window.
        BeastError: if the disk is full or there are fewer boxes than frames.
    """
    reader = PictureReader(path)
    shape = boxes.size if boxes else (reader.info.height, reader.info.width)
    size = clip_size(*shape, config.longest_side)
    last = int(anchors[-1]) + step
    bar = tqdm(
        enumerate(reader),
        desc=f'{Path(path).name} windows',
        unit='frame',
        total=last + 1,
        disable=not progress,
    )
    with finished_file(destination) as part:
        with _ClipWriter(part, size, config) as writer, bar:
            convert = PictureConverter(boxes=boxes)
            written = _write_windows(bar, anchors, step, convert, size, writer)
        if written < len(anchors):
            raise VideoError(
                f'{path} ended at frame {reader.frames_read}, before the window around frame '
                f'{anchors[written]}, although it was longer a moment ago; is it being written to?'
            )


def clip_size(height: int, width: int, longest_side: int) -> tuple[int, int]:
    """Compute a clip's (height, width): even, and no larger than the video.

    Args:
        height: px, of the video.
        width: px, of the video.
        longest_side: px, limit of the longer side.
    """
    scale = min(1.0, longest_side / max(height, width))
    return _even(height * scale), _even(width * scale)


def _even(side: float) -> int:
    # the small term keeps 320 of 320 from becoming 318 by rounding
    return max(2, 2 * int(side / 2 + 1e-6))


def _write_windows(
    pictures: 'tqdm[tuple[int, av.VideoFrame]]',
    anchors: Int[np.ndarray, ' k'],
    step: int,
    convert: PictureConverter,
    size: tuple[int, int],
    writer: '_ClipWriter',
) -> int:
    """Write each window when its last frame has come; returns the number of windows written."""
    needed = {int(anchor) + step * offset for anchor in anchors for offset in OFFSETS}
    recent: deque[np.ndarray | None] = deque(maxlen=2 * step + 1)
    written = 0
    for ordinal, picture in pictures:
        recent.append(convert(picture, size, ordinal) if ordinal in needed else None)
        if ordinal == anchors[written] + step:
            for place in (0, step, 2 * step):
                frame = recent[place]
                assert frame is not None
                writer.write(frame)
            written += 1
            if written == len(anchors):
                break
    return written


class _ClipWriter:
    """Encode RGB frames so that every third packet, and no other, is a key frame."""

    def __init__(self, path: Path, size: tuple[int, int], config: WindowConfig) -> None:
        self._container: OutputContainer = av.open(str(path), 'w', format='mp4')
        options = {**_GROUPS, **_OPTIONS[config.codec], 'crf': str(config.crf)}
        stream = self._container.add_stream(
            _CODECS[config.codec], rate=Fraction(CLIP_RATE), options=options
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
            # starting threads for a small picture takes longer than converting it
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
