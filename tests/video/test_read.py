"""Finding, probing and decoding raw videos."""

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from beast_lp.errors import BeastError
from beast_lp.video.containers import VideoError
from beast_lp.video.read import FrameReader, count_frames, find_videos, probe, times_of

# of the numbered videos
SIZE = (96, 128)


def test_a_folder_gives_its_own_videos_sorted(tmp_path: Path) -> None:
    for name in ('b.mp4', 'a.AVI', 'notes.txt', '._b.mp4', 'inner/c.mp4', 'folder.mp4/d.txt'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert find_videos(tmp_path) == [tmp_path / 'a.AVI', tmp_path / 'b.mp4']


def test_a_name_that_no_table_can_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'täglich.mp4').touch()
    assert find_videos(tmp_path) == [tmp_path / 'täglich.mp4']
    latin = tmp_path / os.fsdecode('t\xe4glich.mp4'.encode('latin-1'))
    try:
        latin.touch()
    except OSError:
        pytest.skip('this file system takes no such names')
    for source in (tmp_path, latin):
        with pytest.raises(BeastError, match=r't\\xe4glich.mp4 is not valid UTF-8') as error:
            find_videos(source)
        str(error.value).encode('utf-8')


def test_a_list_keeps_its_order_and_drops_duplicates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'videos'
    folder.mkdir()
    for name in ('b.mp4', 'a.mkv'):
        (folder / name).touch()
    (tmp_path / 'link.mp4').symlink_to(folder / 'b.mp4')
    monkeypatch.chdir(tmp_path)
    found = find_videos(['videos/b.mp4', folder, Path('link.mp4'), 'videos/../videos/a.mkv'])
    assert found == [folder / 'b.mp4', folder / 'a.mkv']


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        ('missing', 'does not exist'),
        ('empty', '.webm'),
        ('notes.txt', '.mp4'),
        ([], 'no videos were given'),
    ],
)
def test_nothing_to_read_is_said(tmp_path: Path, source: Any, words: str) -> None:
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(BeastError, match=words):
        find_videos([tmp_path / item for item in [source]] if isinstance(source, str) else source)


def test_probe_reads_the_header(write_counted: Callable[..., Path]) -> None:
    info = probe(write_counted('video.mp4', 12))
    assert (info.width, info.height, info.fps) == (128, 96, 25)
    assert (info.codec, info.frames_declared) == ('h264', 12)
    assert probe(write_counted('video.mkv', 12)).frames_declared is None


def _write_sound(path: Path) -> None:
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('aac', rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        sound.rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('missing.mp4', 'No such file'),
        ('empty.mp4', 'it is empty'),
        ('garbage.avi', 'cannot be read as a video'),
        ('folder.mp4', 'is a folder and not a file'),
        ('sound.mp4', 'no video stream'),
    ],
)
def test_what_is_no_video_is_said(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'garbage.avi').write_bytes(np.random.default_rng(0).bytes(50_000))
    (tmp_path / 'folder.mp4').mkdir()
    _write_sound(tmp_path / 'sound.mp4')
    with pytest.raises(VideoError, match=words) as caught:
        probe(tmp_path / name)
    assert name in str(caught.value)
    with pytest.raises(VideoError, match=words):
        FrameReader(tmp_path / name)


def _properties(path: Path) -> dict[str, bool]:
    """Look at a file apart from the code under test."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        container.seek(0)
        pictures = list(container.decode(stream))
    times = [picture.pts for picture in pictures if picture.pts is not None]
    return {
        'reordered': [packet.pts for packet in packets] != sorted(times),
        'irregular': len(set(np.diff(times))) > 2,
        'open': any(
            later.pts < packet.pts
            for at, packet in enumerate(packets)
            if packet.is_keyframe
            for later in packets[at + 1 :]
            if later.pts is not None and packet.pts is not None
        ),
    }


@pytest.mark.parametrize(
    ('name', 'options', 'irregular', 'expected'),
    [
        ('plain.mp4', {'bf': '0'}, False, set()),
        ('bframes.mp4', {'bf': '3', 'g': '24', 'b_strategy': '0'}, False, {'reordered'}),
    ],
)
def test_the_property_check_tells_videos_apart(
    write_video: Callable[..., Path],
    counter_frame: Callable[[int], np.ndarray],
    name: str,
    options: dict[str, str],
    irregular: bool,
    expected: set[str],
) -> None:
    path = write_video(name, map(counter_frame, range(40)), options=options)
    assert {key for key, value in _properties(path).items() if value} == expected


def test_every_frame_comes_in_order(
    source: Any, write_counted: Callable[..., Path], read_counter: Callable[[np.ndarray], int]
) -> None:
    path = write_counted(source)
    properties = _properties(path)
    # the sources are what their names say
    assert properties['irregular'] == source.irregular
    assert properties['open'] == ('open' in source.name)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames in (60 + source.hidden, 0)
    if source.name in ('bframes.mp4', 'irregular.mp4', 'open_gop.mp4', 'edit_list.mp4'):
        assert properties['reordered']
    reader = FrameReader(path)
    frames = [frame.pixels(SIZE) for frame in reader]
    assert [read_counter(frame) for frame in frames] == list(range(60))
    assert all(frame.shape == (96, 128, 3) and frame.dtype == np.uint8 for frame in frames)
    assert (reader.frames_read, reader.error) == (60, None)
    assert reader.info.frames_declared in (60, None)
    assert count_frames(path) == 60


def test_time_stamps_are_had_without_decoding(
    source: Any,
    write_counted: Callable[..., Path],
) -> None:
    path = write_counted(source)
    times = np.array([float(frame.time or 0) for frame in FrameReader(path)])
    for rows in (60, None):
        np.testing.assert_allclose(times_of(path, rows).seconds, times - times[0])


def test_a_second_iteration_starts_again(write_counted: Callable[..., Path]) -> None:
    reader = FrameReader(write_counted('video.mp4', 20))
    iterator = iter(reader)
    next(iterator)
    assert reader.frames_read == 1
    assert len(list(reader)) == reader.frames_read == 20


def test_down_scaling_averages_areas(write_video: Callable[..., Path]) -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (64, 96, 1), np.uint8).repeat(3, 2)
    path = write_video('noise.mkv', [noise], codec='ffv1', pixel_format='gray')
    small = next(iter(FrameReader(path, 'gray'))).pixels((16, 32))
    assert small.shape == (16, 32)
    for row in range(16):
        for column in range(32):
            block = noise[row * 4 : row * 4 + 4, column * 3 : column * 3 + 3, 0]
            assert small[row, column] == pytest.approx(block.mean(), abs=1.5)


def test_up_scaling_keeps_the_picture(
    write_counted: Callable[..., Path], read_counter: Callable[[np.ndarray], int]
) -> None:
    reader = FrameReader(write_counted('video.mp4', 5))
    frames = [frame.pixels((240, 320)) for frame in reader]
    assert [frame.shape for frame in frames] == [(240, 320, 3)] * 5
    assert [read_counter(frame) for frame in frames] == list(range(5))


def _ramp() -> np.ndarray:
    rows, columns = np.mgrid[0:96, 0:128]
    return np.stack([columns * 2, rows * 2 + 30, 255 - columns * 2], -1).astype(np.uint8)


@pytest.mark.parametrize(
    ('codec', 'pixel_format', 'color_range'),
    [
        ('libx264', 'yuv420p', ColorRange.MPEG),
        ('libx264', 'yuv420p', ColorRange.JPEG),
        ('libx264', 'yuvj420p', ColorRange.JPEG),
        ('libx264', 'yuv444p', ColorRange.MPEG),
        ('libx264', 'yuv420p10le', ColorRange.MPEG),
        ('libvpx-vp9', 'yuv420p', ColorRange.JPEG),
        ('mjpeg', 'yuvj420p', ColorRange.JPEG),
        ('ffv1', 'bgr0', ColorRange.UNSPECIFIED),
    ],
)
@pytest.mark.parametrize('size', [SIZE, (48, 64)])
def test_every_colour_range_becomes_full_range(
    tmp_path: Path,
    add_stream: Callable[..., VideoStream],
    codec: str,
    pixel_format: str,
    color_range: ColorRange,
    size: tuple[int, int],
) -> None:
    ramp = _ramp()
    path = tmp_path / 'ramp.mkv'
    with av.open(str(path), 'w') as container:
        quality = {'qmin': '1', 'qmax': '1'} if codec == 'mjpeg' else {'crf': '2', 'b': '0'}
        stream = add_stream(container, codec, pixel_format, {} if codec == 'ffv1' else quality)
        stream.codec_context.color_range = color_range
        picture = av.VideoFrame.from_ndarray(ramp, format='rgb24').reformat(
            format=pixel_format, src_color_range=ColorRange.JPEG, dst_color_range=color_range
        )
        container.mux(stream.encode(picture))
        container.mux(stream.encode())
    expected = ramp if size == SIZE else ramp.reshape(48, 2, 64, 2, 3).mean((1, 3))
    frame = next(iter(FrameReader(path))).pixels(size)
    assert np.abs(frame - expected.astype(float)).mean() < 2
    assert frame.min() <= 3
    assert frame.max() >= 252
    grey = next(iter(FrameReader(path, 'gray'))).pixels(size)
    luma = expected @ [0.299, 0.587, 0.114]
    assert np.abs(grey - luma).mean() < 2


def test_a_size_change_mid_stream_is_resized(
    tmp_path: Path,
    add_stream: Callable[..., VideoStream],
    counter_frame: Callable[..., np.ndarray],
    read_counter: Callable[[np.ndarray], int],
) -> None:
    path = tmp_path / 'changing.mkv'
    with av.open(str(path), 'w') as container:
        stream = add_stream(container, 'mjpeg', 'yuvj420p')
        for ordinal in range(20):
            encoder = av.CodecContext.create('mjpeg', 'w')
            encoder.height, encoder.width = (96, 128) if ordinal < 10 else (192, 256)
            encoder.pix_fmt, encoder.time_base = 'yuvj420p', Fraction(1, 25)
            frame = counter_frame(ordinal, encoder.height, encoder.width)
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            for packet in encoder.encode(picture) + encoder.encode(None):
                packet.stream, packet.pts, packet.dts = stream, ordinal * 40, ordinal * 40
                packet.time_base = Fraction(1, 1000)
                container.mux(packet)
    for size in (SIZE, (60, 64)):
        frames = [frame.pixels(size) for frame in FrameReader(path)]
        assert {frame.shape for frame in frames} == {(*size, 3)}
        assert [read_counter(frame) for frame in frames] == list(range(20))


def _cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    cut = path.with_name(f'cut_{path.name}')
    cut.write_bytes(content[: int(len(content) * share)])
    return cut


@pytest.mark.parametrize(
    ('name', 'codec', 'pixel_format', 'options', 'words'),
    [
        # its header is at the start, so that the rest of the file is enough to open it
        ('video.mp4', 'libx264', 'yuv420p', {'movflags': 'faststart'}, 'of 120 declared frames'),
        ('video.avi', 'mjpeg', 'yuvj420p', {}, 'of 120 declared frames'),
        ('video.mkv', 'libx264', 'yuv420p', {}, 's of 4.8 s'),
    ],
)
def test_a_truncated_video_gives_what_decodes(
    tmp_path: Path,
    counter_frame: Callable[[int], np.ndarray],
    add_stream: Callable[..., VideoStream],
    read_counter: Callable[[np.ndarray], int],
    name: str,
    codec: str,
    pixel_format: str,
    options: dict[str, str],
    words: str,
) -> None:
    path = tmp_path / name
    with av.open(str(path), 'w', options=options) as container:
        stream = add_stream(container, codec, pixel_format)
        for ordinal in range(120):
            picture = av.VideoFrame.from_ndarray(counter_frame(ordinal), format='rgb24')
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    cut = _cut(path, 0.6)
    reader = FrameReader(cut)
    ordinals = [read_counter(frame.pixels(SIZE)) for frame in reader]
    assert 40 < len(ordinals) < 90
    # the very last pictures may be concealed ones
    assert ordinals[:-3] == list(range(len(ordinals) - 3))
    assert reader.frames_read == len(ordinals)
    assert reader.error is not None
    assert words in reader.error


def test_damage_in_the_middle_loses_only_the_damaged_part(
    write_counted: Callable[..., Path],
    read_counter: Callable[[np.ndarray], int],
    tmp_path: Path,
) -> None:
    path = write_counted('video.mp4', 100)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.pos is not None and p.size]
        # wipe whole packets, so that nothing of them can be concealed
        for packet in packets[40:50]:
            assert packet.pos is not None
            content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    damaged = tmp_path / 'damaged.mp4'
    damaged.write_bytes(content)
    reader = FrameReader(damaged)
    ordinals = [read_counter(frame.pixels(SIZE)) for frame in reader]
    assert 80 <= len(ordinals) <= 95
    assert ordinals[:30] == list(range(30))
    assert len(ordinals) == reader.frames_read
    assert reader.error is not None
