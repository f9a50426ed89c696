"""Finding, probing and reading raw videos: one sequential pass, on the CPU, with PyAV.

A frame's index is its ordinal in the decoder's output order. Raw videos are never seeked in,
because seeking is wrong for variable frame rates and open GOPs.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import Float, UInt8

from beast_lp.errors import BeastError
from beast_lp.video.boxes import Boxes
from beast_lp.video.containers import (
    VIDEO_SUFFIXES,
    open_container,
    quarter_turns,
    video_stream,
)
from beast_lp.video.pictures import PictureConverter
from beast_lp.video.times import MOST_REORDERED, FrameTimes, frame_times


@dataclass(frozen=True)
class VideoInfo:
    """The header of a video.

    Attributes:
        path: video file.
        width: px, of the upright picture.
        height: px, likewise.
        fps: average frames per second, NaN where the file does not give it.
        codec: FFmpeg's name of the decoder, such as `h264`.
        frames_declared: number of frames in the header, less those that an edit list hides; None
            where the container has no such field (Matroska, WebM).
        turns: quarter turns, counter-clockwise, that make a decoded picture upright.
    """

    path: Path
    width: int
    height: int
    fps: float
    codec: str
    frames_declared: int | None
    turns: int = 0


def find_videos(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """List the videos that a setting names.

    Args:
        source: a folder (its own videos, sorted by name, without hidden files and sub-folders),
            one file, or a list of folders and files.

    Returns:
        absolute paths in the order given, each file once, at least one.

    Raises:
        BeastError: if a path does not exist, a folder holds no video, a file's suffix is not one
            of `VIDEO_SUFFIXES`, a name is not valid UTF-8, or nothing is given.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    if not sources:
        raise BeastError('no videos were given; name a folder, a file or a list of them')
    found: dict[Path, Path] = {}
    for item in sources:
        # unlike resolve(), this follows no links
        path = Path(os.path.abspath(Path(item).expanduser()))  # noqa: PTH100
        for video in _videos_at(path):
            _check_name(video)
            # a link and its target are one video, under the name that was given first
            found.setdefault(video.resolve(), video)
    return list(found.values())


def _videos_at(path: Path) -> list[Path]:
    suffixes = ', '.join(VIDEO_SUFFIXES)
    if path.is_dir():
        videos = sorted(
            item
            for item in path.iterdir()
            if _has_video_suffix(item) and not item.name.startswith('.') and item.is_file()
        )
        if not videos:
            raise BeastError(f'no video in the folder {path}; files ending in {suffixes} are read')
        return videos
    if not path.exists():
        raise BeastError(f'the video path {path} does not exist; correct it or restore the file')
    if not _has_video_suffix(path):
        raise BeastError(f'{path} is not a video file; files ending in {suffixes} are read')
    if not path.is_file():
        # opening a pipe would wait for its writer for ever
        raise BeastError(f'{path} is a pipe or a device, not a video file; give a file on a disk')
    return [path]


def _check_name(video: Path) -> None:
    """Refuse a name that no table can hold, before hours are spent on decoding."""
    try:
        str(video).encode('utf-8')
    except UnicodeEncodeError as error:
        shown = os.fsencode(video).decode('utf-8', 'backslashreplace')
        raise BeastError(
            f'the name of the video {shown} is not valid UTF-8; rename it (or the folder it is in)'
        ) from error


def _has_video_suffix(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def probe(path: str | Path) -> VideoInfo:
    """Read a video's header, and decode two frames to see how pictures lie.

    Raises:
        VideoError: if the file is missing, empty, not a video, or holds sound only.
    """
    path = Path(path)
    turns = quarter_turns(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        sides = stream.width, stream.height
        width, height = reversed(sides) if turns % 2 else sides
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        return VideoInfo(
            path=path,
            width=width,
            height=height,
            fps=float(rate) if rate else math.nan,
            codec=stream.codec_context.name,
            frames_declared=_declared_frames(container, stream),
            turns=turns,
        )


def count_frames(path: str | Path) -> int:
    """Estimate a video's number of frames from its header or its packets, without decoding.

    Fewer frames may decode, so this is good for a progress bar, not for a check.

    Raises:
        VideoError: if the file is not a readable video.
    """
    path = Path(path)
    declared = probe(path).frames_declared
    if declared is not None:
        return declared
    count = 0
    with open_container(path) as container, suppress(FFmpegError):
        for packet in container.demux(video_stream(container, path)):
            count += bool(packet.size)
    return count


def times_of(path: str | Path, rows: int | None = None) -> FrameTimes:
    """Return the times of the frames of a video, which are the frames that decode.

    A header may declare more frames than decode. Packets tell their time stamps and number much
    faster than decoding, so they are enough where they agree with a table of the video.

    Args:
        path: video file.
        rows: rows of a table that should have one for each frame; None if there is none.

    Raises:
        VideoError: if the file is not a readable video, or has neither time stamps nor a frame
            rate.
    """
    path, rate = Path(path), probe(path).fps
    stamps = _packet_stamps(path)
    if stamps is None or len(stamps) != rows:
        times = (frame.time for frame in FrameReader(path))
        stamps = np.array([math.nan if time is None else time for time in times])
    return frame_times(path, stamps, rate)


def _packet_stamps(path: Path) -> Float[np.ndarray, ' packets'] | None:
    """Return the time stamps of a video's packets, sorted, or None where these may be wrong."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        try:
            # the file still holds the packets that an edit list hides
            found = [
                packet.pts
                for packet in container.demux(stream)
                if packet.size and not packet.is_discard
            ]
        except FFmpegError:
            return None
        unit = float(stream.time_base or 0)
        reordered = MOST_REORDERED if stream.codec_context.has_b_frames else 0
    known = np.array([math.nan if stamp is None else stamp for stamp in found], np.float64) * unit
    # those of a frame that goes back in time would be sorted to where they do not belong
    places = np.abs(np.argsort(known, kind='stable') - np.arange(len(known)))
    stamps = np.sort(known)
    rising = len(stamps) > 0 and np.isfinite(stamps).all() and (np.diff(stamps) > 0).all()
    return stamps if rising and places.max() <= reordered else None


@dataclass(frozen=True)
class Frame:
    """A decoded frame, which is converted to an array only when its pixels are asked for.

    Attributes:
        ordinal: index of the frame in its video.
        time: time stamp in seconds, None where the file has none.
    """

    ordinal: int
    time: float | None
    _picture: av.VideoFrame
    _convert: PictureConverter
    _boxes: Boxes | None

    def pixels(self, size: tuple[int, int]) -> UInt8[np.ndarray, 'h w ...']:
        """Return the upright frame, cropped to its box if the video has boxes, and scaled.

        Args:
            size: (height, width) in px. Where it is smaller than the frame, each pixel is the
                average of the area it covers.

        Returns:
            an array that owns its memory, (H, W, 3) RGB or (H, W) grey, in full-range values.

        Raises:
            BeastError: if the video has boxes, but none for this frame.
        """
        box = None if self._boxes is None else self._boxes[self.ordinal]
        return self._convert(self._picture, size, box)


class FrameReader:
    """One sequential pass over the frames of a video.

    Damage does not raise: every frame that decodes is yielded, packets that do not decode are
    skipped, and `error` tells afterwards what is missing. Several decoder threads are used; at a
    broken end they lose up to as many frames as there are threads, everywhere else the result is
    that of one thread.

    Attributes:
        info: header of the video.
        frames_read: number of frames yielded so far.
        error: after a complete pass, what was wrong with the file (damage, or clearly fewer frames
            than its header declares); None where nothing was.
    """

    def __init__(
        self, path: str | Path, pixel_format: str = 'rgb24', boxes: Boxes | None = None
    ) -> None:
        """Probe a video.

        Args:
            path: video file.
            pixel_format: `rgb24` or `gray`, of the frames' pixels.
            boxes: bounding boxes that frames are cropped to; None keeps whole frames.

        Raises:
            VideoError: if the file is not a readable video.
        """
        self.info = probe(path)
        self.frames_read = 0
        self.error: str | None = None
        self._pixel_format = pixel_format
        self._boxes = boxes

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame in order; a new iteration starts from the beginning."""
        self.frames_read, self.error = 0, None
        convert = PictureConverter(self._pixel_format, self.info.turns)
        with open_container(self.info.path) as container:
            stream = video_stream(container, self.info.path)
            stream.thread_type = 'AUTO'
            end: float | None = None
            for ordinal, picture in enumerate(self._pictures(container, stream)):
                self.frames_read += 1
                end = picture.time
                yield Frame(ordinal, picture.time, picture, convert, self._boxes)
            reasons = (self.error, _shortfall(self, container, end))
            self.error = '; '.join(filter(None, reasons)) or None

    def _pictures(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError as error:
                self._note(f'reading stopped after frame {self.frames_read}', error)
                return
            try:
                pictures = packet.decode()
            except FFmpegError as error:
                self._note(f'a part after frame {self.frames_read} could not be decoded', error)
                continue
            yield from pictures

    def _note(self, what: str, error: FFmpegError) -> None:
        self.error = self.error or f'{what} ({error.strerror})'


def _declared_frames(container: InputContainer, stream: VideoStream) -> int | None:
    if not stream.frames:
        return None
    if 'mov' in container.format.name.split(','):
        # this container's index is complete; FFmpeg has removed the frames that an edit list
        # hides, or marked them where other frames are predicted from them
        return sum(not entry.is_discard for entry in stream.index_entries)
    return stream.frames


def _shortfall(reader: FrameReader, container: InputContainer, end: float | None) -> str | None:
    """Describe how a video gave clearly fewer frames than its header declares, None if it did not.

    Writers often declare a slightly wrong count, so up to 2 missing frames or 0.1 % are ignored.
    Where no count is declared, the time of the last frame is compared with the duration, if that
    can only be the video's own.
    """
    declared = reader.info.frames_declared
    if declared:
        missing = declared - reader.frames_read
        if missing > max(2, declared // 1000):
            return f'{reader.frames_read} of {declared} declared frames could be decoded'
    elif container.duration and end is not None and len(container.streams) == 1:
        # time stamps may start anywhere
        seconds = (container.duration + (container.start_time or 0)) / av.time_base
        frame_time = 1 / reader.info.fps if reader.info.fps > 0 else 0.0
        if seconds - end > max(1.0, 3 * frame_time, 0.001 * seconds):
            return f'decoding ended at {end:.1f} s of {seconds:.1f} s'
    return None
