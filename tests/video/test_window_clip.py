"""Writing clips."""

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from beast_lp.config import WindowConfig
from beast_lp.errors import BeastError
from beast_lp.runs.files import full_disk_sentence
from beast_lp.video import window_clip
from beast_lp.video.containers import VideoError
from beast_lp.video.read import Frame, FrameReader
from beast_lp.video.window_clip import build_clip, clip_size


@pytest.mark.parametrize(
    ('height', 'width', 'longest', 'expected'),
    [
        (406, 396, 320, (320, 312)),
        (1024, 1280, 320, (256, 320)),
        (1280, 1024, 320, (320, 256)),
        (96, 128, 320, (96, 128)),
        (97, 129, 320, (96, 128)),
        (320, 320, 320, (320, 320)),
        (50, 3000, 301, (4, 300)),
        (1, 3000, 300, (2, 300)),
    ],
)
def test_clip_size_is_even_and_no_larger(
    height: int, width: int, longest: int, expected: tuple[int, int]
) -> None:
    assert clip_size(height, width, longest) == expected


def test_a_clip_is_groups_of_three_in_full_range(
    write_counted: Callable[..., Path],
    read_counter: Callable[[np.ndarray], int],
    tmp_path: Path,
) -> None:
    destination = tmp_path / 'clip.mp4'
    # windows overlap and touch
    anchors = np.array([1, 2, 4, 7, 30, 58])
    source = write_counted('video.mp4')
    build_clip(source, anchors, destination, WindowConfig(), progress=False)
    with av.open(str(destination)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264'
        assert (stream.height, stream.width, stream.frames) == (96, 128, 18)
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert [packet.is_keyframe for packet in packets] == [True, False, False] * 6
        assert [packet.pts for packet in packets] == [packet.dts for packet in packets]
        container.seek(0)
        picture = next(container.decode(stream))
        assert picture.color_range == ColorRange.JPEG
        assert picture.format.name in ('yuv420p', 'yuvj420p')
    counters = [read_counter(frame.pixels((96, 128))) for frame in FrameReader(destination)]
    assert counters == [anchor + offset for anchor in anchors for offset in (-1, 0, 1)]


def test_decoding_stops_at_the_last_needed_frame(
    write_counted: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = []

    class Spy(FrameReader):
        def __init__(self, path: str | Path, boxes: None) -> None:
            super().__init__(path)
            readers.append(self)

    monkeypatch.setattr(window_clip, 'FrameReader', Spy)
    build_clip(
        write_counted('video.mp4'),
        np.array([5, 20]),
        tmp_path / 'clip.mp4',
        WindowConfig(),
        progress=False,
    )
    assert [reader.frames_read for reader in readers] == [22]


def test_a_video_that_became_shorter_leaves_no_clip(
    write_counted: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_counted('video.mp4', 20)
    out = tmp_path / 'out'
    out.mkdir()
    with pytest.raises(VideoError, match='ended at frame 20, before the window around frame 30'):
        build_clip(source, np.array([5, 30]), out / 'clip.mp4', WindowConfig(), progress=False)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize('problem', [KeyboardInterrupt, OSError(28, 'No space left on device')])
def test_an_interruption_leaves_no_clip(
    write_counted: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    problem: BaseException,
) -> None:
    class Interrupted(FrameReader):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                if frame.ordinal == 30:
                    raise problem
                yield frame

    source = write_counted('video.mp4')
    out = tmp_path / 'out'
    out.mkdir()
    monkeypatch.setattr(window_clip, 'FrameReader', Interrupted)
    expected = KeyboardInterrupt if problem is KeyboardInterrupt else BeastError
    with pytest.raises(expected) as caught:
        build_clip(source, np.array([5, 40]), out / 'clip.mp4', WindowConfig(), progress=False)
    if expected is BeastError:
        assert 'is full' in str(caught.value)
    assert list(out.iterdir()) == []


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs a device that is always full')
def test_a_disk_that_is_really_full_is_one_sentence() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 192, 192, 3)).astype(np.uint8)
    full = Path('/dev/full')
    with (
        pytest.raises(BeastError, match='is full; free some space'),
        full_disk_sentence(full.parent),
        window_clip._ClipWriter(full, (192, 192)) as writer,
    ):
        for frame in noise:
            writer.write(frame)
