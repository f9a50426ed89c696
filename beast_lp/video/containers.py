"""Opening video files: which containers are read, and how their pictures lie.

FFmpeg goes by the content of a file, not by its name, and some of its formats are texts that name
other files or addresses to play (`ffconcat`, playlists, session descriptions). Only containers
that hold their own pictures are opened here.
"""

import stat
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError
from av.video.stream import VideoStream

from beast_lp.errors import BeastError

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
# FFmpeg's names of containers that hold their pictures; a file may have another one's suffix
CONTAINERS = ('mov', 'avi', 'matroska', 'mpegts', 'mpeg', 'asf', 'flv', 'ogg', 'mxf', 'nut')
# px; twice the sides of the largest cameras in use (8K), and what H.264 can hold
LONGEST_SIDE = 16_384
# packets read to find out how pictures lie; in a damaged file the first ones may not decode
_MOST_PACKETS = 64
_MEND = 'replace or remove it'


class VideoError(BeastError):
    """An error of one video, which leaves the other videos of a run usable."""


def open_container(path: Path) -> InputContainer:
    """Open a video file.

    Args:
        path: video file.

    Raises:
        VideoError: if it is missing, empty, not a plain file, or not one of `CONTAINERS`.
    """
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            # opening a pipe would wait for its writer for ever
            raise VideoError(f'{path} cannot be read as a video (it is {_special(kind)}); {_MEND}')
        if stat.S_ISREG(kind):
            # FFmpeg calls a file that may not be read a broken one
            with path.open('rb'):
                pass
        return av.open(
            str(path),
            # titles and comments are often not UTF-8
            metadata_errors='replace',
            container_options={
                'format_whitelist': ','.join(CONTAINERS),
                'protocol_whitelist': 'file',
            },
        )
    except (FFmpegError, OSError, ValueError) as error:
        reason = _reason(path, error)
        raise VideoError(f'{path} cannot be read as a video ({reason}); {_MEND}') from error


def _special(mode: int) -> str:
    return 'a pipe' if stat.S_ISFIFO(mode) else 'a device or socket'


def _reason(path: Path, error: Exception) -> str:
    if path.is_file() and not path.stat().st_size:
        return 'it is empty'
    if path.is_dir():
        return 'it is a folder and not a file'
    if isinstance(error, ArgumentError):
        return 'it is none of the containers ' + ', '.join(CONTAINERS)
    return getattr(error, 'strerror', None) or str(error)


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the first video stream of a container.

    Args:
        container: open container.
        path: its file, for messages.

    Raises:
        VideoError: if there is none, its codec is unknown, or its pictures are absurdly large.
    """
    if not container.streams.video:
        raise VideoError(f'{path} holds no video stream, only sound or data; replace or remove it')
    stream = container.streams.video[0]
    if stream.codec_context is None or not stream.width or not stream.height:
        raise VideoError(
            f'{path} has a codec or a size of frames that FFmpeg cannot decode; convert it to '
            'H.264'
        )
    if max(stream.width, stream.height) > LONGEST_SIDE:
        raise VideoError(
            f'{path} has frames of {stream.width} x {stream.height} px, and at most '
            f'{LONGEST_SIDE} px a side are read; scale it down, or replace it if it is damaged'
        )
    return stream


def quarter_turns(path: Path) -> int:
    """Return by how many quarter turns, counter-clockwise, decoded pictures must be turned.

    Phones and tablets store pictures as the sensor lies and add a display matrix. As OpenCV does,
    and with it the host's labelling and prediction, the rotation of this matrix is applied where
    it is a multiple of 90 degrees, and its mirroring is not.

    Args:
        path: video file.

    Raises:
        VideoError: if it is no readable video.
    """
    pictures: list[av.VideoFrame] = []
    with open_container(path) as container:
        stream = video_stream(container, path)
        for packet in islice(container.demux(stream), _MOST_PACKETS):
            try:
                pictures += packet.decode()
            except FFmpegError:
                continue
            # The matrix of the container goes with every picture. One in the codec's own data,
            # which OpenCV does not see, goes with key frames.
            if len(pictures) > 1:
                break
    if not pictures:
        return 0
    degrees = pictures[:2][-1].rotation
    return degrees // 90 % 4 if degrees % 90 == 0 else 0
