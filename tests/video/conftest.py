"""Videos whose frames carry their own number, for the tests of this room."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import OutputContainer
from av.video.stream import VideoStream
from threadpoolctl import threadpool_limits

HEIGHT, WIDTH, BITS = 96, 128, 16

CounterFrame = Callable[[int], np.ndarray]
ReadCounter = Callable[[np.ndarray], int]
WriteCounted = Callable[..., Path]
AddStream = Callable[..., VideoStream]


def _counter_frame(ordinal: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Draw the ordinal as a row of 16 black or white blocks above a moving square."""
    frame = np.full((height, width, 3), 90, np.uint8)
    frame[:, :, 1] = np.linspace(60, 120, width).astype(np.uint8)
    block = width // BITS
    for bit in range(BITS):
        value = 255 if ordinal >> bit & 1 else 0
        frame[: height // 6, bit * block : (bit + 1) * block] = value
    top = height // 4 + (ordinal * 5) % (height // 2)
    left = (ordinal * 11) % (width - 24)
    frame[top : top + 20, left : left + 24] = (230, 200, 40)
    return frame


def _read_counter(frame: np.ndarray) -> int:
    height, width = frame.shape[:2]
    block = width // BITS
    row = frame[height // 24 : height // 8].reshape(height // 8 - height // 24, width, -1)
    levels = row.mean((0, 2)).reshape(BITS, block)[:, block // 4 : 3 * block // 4].mean(1)
    return sum(1 << bit for bit in range(BITS) if levels[bit] > 128)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Limit the matrix library, whose threads wait for each other where cores are shared."""
    with threadpool_limits(limits=1):
        yield


@pytest.fixture
def counter_frame() -> CounterFrame:
    """Return a function from an ordinal to an RGB frame that shows it."""
    return _counter_frame


@pytest.fixture
def read_counter() -> ReadCounter:
    """Return a function that reads the ordinal off a frame, compressed or resized."""
    return _read_counter


@dataclass(frozen=True)
class Source:
    """A kind of raw video."""

    name: str
    codec: str = 'libx264'
    pixel_format: str = 'yuv420p'
    options: dict[str, str] = field(default_factory=dict)
    irregular: bool = False
    # frames before the first that an edit list hides
    hidden: int = 0


SOURCES = (
    Source('bframes.mp4', options={'bf': '3', 'g': '24', 'b_strategy': '0'}),
    Source(
        'open_gop.mp4',
        options={
            'x264-params': 'open-gop=1:keyint=10:min-keyint=5:bframes=3:b-adapt=0',
        },
    ),
    Source('irregular.mp4', irregular=True, options={'bf': '2', 'b_strategy': '0'}),
    Source('irregular.mkv', irregular=True),
    Source('mpeg4.avi', codec='mpeg4', options={'b': '4000000'}),
    Source(
        'vp9.webm',
        codec='libvpx-vp9',
        options={'crf': '20', 'b': '0', 'deadline': 'realtime', 'cpu-used': '8'},
    ),
    Source('mjpeg.avi', codec='mjpeg', pixel_format='yuvj420p'),
    Source('full_chroma.mp4', pixel_format='yuv444p'),
    Source('ten_bit.mp4', pixel_format='yuv420p10le'),
    Source('grey.mp4', pixel_format='gray'),
    Source('upper.MOV'),
    # hides a group of pictures and the beginning of the next, from which the rest is predicted
    Source('edit_list.mp4', hidden=17, options={'bf': '2', 'g': '12', 'b_strategy': '0'}),
)


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def source(request: pytest.FixtureRequest) -> Source:
    """Go through every kind of raw video that has to work."""
    return request.param


def _add_stream(
    container: OutputContainer,
    codec: str = 'libx264',
    pixel_format: str = 'yuv420p',
    options: dict[str, str] | None = None,
) -> VideoStream:
    stream = container.add_stream(codec, rate=Fraction(25), options=options or {})
    assert isinstance(stream, VideoStream)
    stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, pixel_format
    return stream


@pytest.fixture
def add_stream() -> AddStream:
    """Return a function that adds a stream of the frames' size to a container."""
    return _add_stream


@pytest.fixture
def write_counted(tmp_path: Path) -> WriteCounted:
    """Return a function that writes a video of numbered frames."""

    def write(kind: Source | str, count: int = 60, first: int = 0) -> Path:
        kind = Source(kind) if isinstance(kind, str) else kind
        path = tmp_path / kind.name
        path.parent.mkdir(parents=True, exist_ok=True)
        muxing = {'use_editlist': '1', 'avoid_negative_ts': 'disabled'} if kind.hidden else {}
        with av.open(str(path), 'w', options=muxing) as container:
            stream = _add_stream(container, kind.codec, kind.pixel_format, kind.options)
            # a thousandth of a second, so that time stamps can be irregular
            stream.codec_context.time_base = Fraction(1, 1000 if kind.irregular else 25)
            pictures = chain(_pictures(40_000, kind.hidden), _pictures(first, count))
            for picture, time in zip(pictures, _times(kind), strict=False):
                picture.pts = time
                picture.time_base = stream.codec_context.time_base
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        return path

    return write


def _pictures(first: int, count: int) -> Iterator[av.VideoFrame]:
    for ordinal in range(first, first + count):
        yield av.VideoFrame.from_ndarray(_counter_frame(ordinal), format='rgb24')


def _times(kind: Source) -> Iterator[int]:
    # what an edit list hides is what lies before time 0
    time = -kind.hidden
    random = np.random.default_rng(0)
    while True:
        yield time
        time += int(random.choice([10, 33, 40, 120])) if kind.irregular else 1
