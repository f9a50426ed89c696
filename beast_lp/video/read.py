"""Finding, probing and reading raw videos: one sequential pass, on the CPU, with PyAV.

A frame's index is its ordinal in the decoder's output order. Seeking in raw videos is never used:
it is wrong for variable frame rates and open GOPs.
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
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import Float, UInt8

from beast_lp.errors import BeastError
from beast_lp.video.boxes import Boxes, crop

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm')


class VideoError(BeastError):
    """One video that cannot be used; the others of a run may still be."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header says.

    Attributes:
        path: the file.
        width: px.
        height: px.
        fps: average frames per second, NaN where the file does not tell.
        codec: the decoder's name, `h264` for example.
        frames_declared: frames according to the header, less those that an edit list hides; None
            where the container has no such field (Matroska, WebM).
    """

    path: Path
    width: int
    height: int
    fps: float
    codec: str
    frames_declared: int | None


def find_videos(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """List the videos that a setting names.

    Args:
        source: a folder (its own videos, sorted by name, not those of its sub-folders; hidden
            files are left out), one file, or a list of folders and files.

    Returns:
        absolute paths in the order given, each file once, at least one.

    Raises:
        BeastError: if a path does not exist, a folder holds no video, a file's suffix is not one
            of `VIDEO_SUFFIXES`, a name is no UTF-8, or nothing is given.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    if not sources:
        raise BeastError('no videos were given; name a folder, a file or a list of them')
    found: dict[Path, Path] = {}
    for item in sources:
        for video in _videos_at(Path(os.path.abspath(Path(item).expanduser()))):
            _check_name(video)
            # a link and its target are one video, known by the name that was given first
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
        raise BeastError(f'{path} does not end like a video; files ending in {suffixes} are read')
    return [path]


def _check_name(video: Path) -> None:
    """Refuse a name that no table can hold, before hours go into the videos."""
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
    """Read a video's header without decoding frames.

    Raises:
        VideoError: if the file is missing, empty, not a video, or holds sound only.
    """
    path = Path(path)
    with _open(path) as container:
        stream = _video_stream(container, path)
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        return VideoInfo(
            path=path,
            width=stream.width,
            height=stream.height,
            fps=float(rate) if rate else math.nan,
            codec=stream.codec_context.name,
            frames_declared=_declared_frames(container, stream),
        )


def count_frames(path: str | Path) -> int:
    """Count a video's frames without decoding: from its header, or by reading it through.

    Damage later on does not show, so that fewer frames may decode.

    Raises:
        VideoError: if it is not a readable video.
    """
    path = Path(path)
    declared = probe(path).frames_declared
    if declared is not None:
        return declared
    count = 0
    with _open(path) as container, suppress(FFmpegError):
        for packet in container.demux(_video_stream(container, path)):
            count += bool(packet.size)
    return count


def time_stamps(path: str | Path) -> Float[np.ndarray, ' frames'] | None:
    """Read the times of a video's frames without decoding.

    Returns:
        seconds since the first frame, or None where the file has no usable ones.

    Raises:
        VideoError: if it is not a readable video.
    """
    stamps: list[int | None] = []
    with _open(Path(path)) as container:
        stream = _video_stream(container, Path(path))
        with suppress(FFmpegError):
            # an edit list hides packets, but they are there
            stamps = [
                packet.pts
                for packet in container.demux(stream)
                if packet.size and not packet.is_discard
            ]
        unit = float(stream.time_base or 0)
    known = sorted(stamp for stamp in stamps if stamp is not None)
    if not known or len(known) < len(stamps) or len(set(known)) < len(known) or not unit:
        return None
    return (np.array(known) - known[0]) * unit


class PictureReader:
    """One sequential pass over a video, as PyAV pictures that are not converted yet.

    Damage does not raise: what decodes is yielded, packets that do not decode are passed over,
    and `error` says afterwards what is missing. Several decoder threads are used; at a broken end
    they lose up to as many frames as there are threads, everywhere else the result is that of one
    thread.

    Attributes:
        info: the header.
        frames_read: pictures yielded so far.
        error: after a complete pass, what was wrong with the file, or None.
    """

    def __init__(self, path: str | Path) -> None:
        """Probe a video.

        Raises:
            VideoError: if it is not a readable video.
        """
        self.info = probe(path)
        self.frames_read = 0
        self.error: str | None = None

    def __iter__(self) -> Iterator[av.VideoFrame]:
        """Yield every picture in order; a new iteration starts from the beginning."""
        self.frames_read, self.error = 0, None
        with _open(self.info.path) as container:
            stream = _video_stream(container, self.info.path)
            stream.thread_type = 'AUTO'
            end: float | None = None
            for picture in self._pictures(container, stream):
                self.frames_read += 1
                end = picture.time
                yield picture
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
                self._note(f'the file could not be read on after frame {self.frames_read}', error)
                return
            try:
                pictures = packet.decode()
            except FFmpegError as error:
                self._note(f'a part after frame {self.frames_read} could not be decoded', error)
                continue
            yield from pictures

    def _note(self, what: str, error: FFmpegError) -> None:
        self.error = self.error or f'{what} ({error.strerror})'


class FrameReader:
    """One sequential pass over a video, as uint8 arrays of one size in full-range values.

    Attributes:
        info: the header.
        frames_read: frames yielded so far.
        error: after a complete pass, what was wrong with the file (damage, or clearly fewer frames
            than its header declares), or None.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        pixel_format: str = 'rgb24',
        boxes: Boxes | None = None,
    ) -> None:
        """Probe a video.

        Args:
            path: the video.
            size: (height, width) of the arrays in px. Where it is smaller than the video, a pixel
                is the average of the area it covers.
            pixel_format: `rgb24` or `gray`.
            boxes: what each frame is cropped to before it is scaled, None for the whole frame.

        Raises:
            VideoError: if it is not a readable video.
        """
        self._pictures = PictureReader(path)
        self._size = size
        self._pixel_format = pixel_format
        self._boxes = boxes

    @property
    def info(self) -> VideoInfo:
        """The header."""
        return self._pictures.info

    @property
    def frames_read(self) -> int:
        """Frames yielded so far."""
        return self._pictures.frames_read

    @property
    def error(self) -> str | None:
        """After a complete pass, what was wrong with the file, or None."""
        return self._pictures.error

    def __iter__(self) -> Iterator[UInt8[np.ndarray, 'h w ...']]:
        """Yield every frame in order, (H, W, 3) RGB or (H, W) grey.

        Raises:
            BeastError: if there are fewer boxes than frames.
        """
        converter = PictureConverter(self._pixel_format, self._boxes)
        for ordinal, picture in enumerate(self._pictures):
            yield converter(picture, self._size, ordinal)


class PictureConverter:
    """Turn decoded pictures into full-range uint8 arrays.

    The colour range is handled on purpose: `tv` range (16-235) is stretched, `pc` range and the
    yuvj formats are taken as they are, and an untagged picture counts as its format's usual range.
    """

    def __init__(self, pixel_format: str = 'rgb24', boxes: Boxes | None = None) -> None:
        """Keep the scalers, which are rebuilt only when their parameters change.

        Args:
            pixel_format: `rgb24` or `gray`.
            boxes: what each frame is cropped to before it is scaled, None for the whole frame.
        """
        self._pixel_format = pixel_format
        self._boxes = boxes
        self._whole = VideoReformatter()
        self._cropped = VideoReformatter()

    def __call__(
        self, picture: av.VideoFrame, size: tuple[int, int], ordinal: int = 0
    ) -> UInt8[np.ndarray, 'h w ...']:
        """Convert one picture.

        Args:
            picture: as decoded.
            size: (height, width) of the result in px.
            ordinal: of the picture in its video, which says which box is its own.

        Returns:
            an array of its own, (H, W, 3) for `rgb24`, (H, W) for `gray`.

        Raises:
            BeastError: if there is no box of that ordinal.
        """
        if self._boxes is None:
            return self._scaled(picture, size, self._whole)
        frame = self._scaled(picture, (picture.height, picture.width), self._whole)
        inside = np.ascontiguousarray(crop(frame, self._boxes[ordinal]))
        part = av.VideoFrame.from_ndarray(inside, format=self._pixel_format)
        part.color_range = ColorRange.JPEG
        return self._scaled(part, size, self._cropped)

    def _scaled(
        self, picture: av.VideoFrame, size: tuple[int, int], reformatter: VideoReformatter
    ) -> UInt8[np.ndarray, 'h w ...']:
        height, width = size
        shrinks = height < picture.height and width < picture.width
        converted = reformatter.reformat(
            picture,
            width=width,
            height=height,
            format=self._pixel_format,
            interpolation='AREA' if shrinks else 'BILINEAR',
            src_color_range=picture.color_range,
            dst_color_range=ColorRange.JPEG,
            # libswscale would start a thread per core for every small picture
            threads=1,
        )
        array = converted.to_ndarray()
        # an untouched picture is the decoder's own memory, from which later frames are predicted
        return array.copy() if converted is picture else np.ascontiguousarray(array)


def _open(path: Path) -> InputContainer:
    try:
        # titles and comments are often not UTF-8
        return av.open(str(path), metadata_errors='replace')
    except (FFmpegError, OSError) as error:
        reason = 'it is empty' if path.is_file() and not path.stat().st_size else error.strerror
        raise VideoError(
            f'{path} cannot be read as a video ({reason}); replace or remove it'
        ) from error


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    if not container.streams.video:
        raise VideoError(f'{path} holds no video stream, sound only or data; replace or remove it')
    stream = container.streams.video[0]
    if stream.codec_context is None or not stream.width or not stream.height:
        raise VideoError(
            f'{path} is coded in a way that FFmpeg cannot decode; convert it to H.264'
        )
    return stream


def _declared_frames(container: InputContainer, stream: VideoStream) -> int | None:
    if not stream.frames:
        return None
    if 'mov' in container.format.name.split(','):
        # this container's index is complete, and FFmpeg has taken the frames that an edit list
        # hides out of it, or marked them where others are predicted from them
        return sum(not entry.is_discard for entry in stream.index_entries)
    return stream.frames


def _shortfall(reader: PictureReader, container: InputContainer, end: float | None) -> str | None:
    """Say whether a video gave clearly fewer frames than its header promises.

    Sloppy writers make the count wrong by a little, so up to 2 frames or 0.1 % are
    nothing. Where no count is declared, the time of the last frame is compared with the duration,
    if that can only be the video's own.
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
