"""Which files are opened as videos, and how their pictures lie."""

import os
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import av.video.stream
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from beast_lp.errors import BeastError
from beast_lp.video.boxes import Box, Boxes, crop
from beast_lp.video.containers import VideoError
from beast_lp.video.identity import source_key
from beast_lp.video.open_clips import OpenClip
from beast_lp.video.read import FrameReader, find_videos, probe

HEIGHT, WIDTH = 48, 64
# the first two rows of the display matrix, as a file holds them: a b / c d
MATRICES = {
    'upright': (1, 0, 0, 1),
    '90': (0, 1, -1, 0),
    '180': (-1, 0, 0, -1),
    '270': (0, -1, 1, 0),
    'mirrored left to right': (-1, 0, 0, 1),
    'mirrored top to bottom': (1, 0, 0, -1),
    'transposed': (0, 1, 1, 0),
    'transposed the other way': (0, -1, -1, 0),
}


def _corners() -> np.ndarray:
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[: HEIGHT // 2, : WIDTH // 2] = (255, 0, 0)
    frame[: HEIGHT // 2, WIDTH // 2 :] = (0, 255, 0)
    frame[HEIGHT // 2 :, : WIDTH // 2] = (0, 0, 255)
    return frame


def _with_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix into the track header of an mp4 file."""
    content = bytearray(path.read_bytes())
    start = content.index(b'tkhd') + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    content[start : start + 36] = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.fixture
def turned(write_video: Callable[..., Path]) -> Callable[[str], Path]:
    """Return a function that writes a video of four colours with a display matrix."""

    def write(name: str) -> Path:
        path = write_video('turned.mp4', [_corners()] * 5, options={'crf': '5'})
        return _with_matrix(path, MATRICES[name])

    return write


def _of_opencv(path: Path) -> np.ndarray:
    good, frame = cv2.VideoCapture(str(path)).read()
    assert good
    return frame[:, :, ::-1]


@pytest.mark.parametrize('name', MATRICES)
def test_pictures_lie_as_opencv_shows_them(turned: Callable[[str], Path], name: str) -> None:
    path = turned(name)
    shown = _of_opencv(path)
    reader = FrameReader(path)
    assert (reader.info.height, reader.info.width) == shown.shape[:2]
    frames = [frame.pixels(shown.shape[:2]) for frame in reader]
    assert len(frames) == 5
    for frame in frames:
        assert np.abs(frame.astype(int) - shown).mean() < 4
    half = (shown.shape[0] // 2, shown.shape[1] // 2)
    for pixel_format in ('rgb24', 'gray'):
        small = next(iter(FrameReader(path, pixel_format))).pixels(half)
        wanted = cv2.resize(shown, half[::-1], interpolation=cv2.INTER_AREA).astype(float)
        if pixel_format == 'gray':
            wanted = wanted @ [0.299, 0.587, 0.114]
        assert small.shape == wanted.shape
        assert np.abs(small - wanted).mean() < 5


@pytest.mark.parametrize('name', MATRICES)
def test_boxes_are_those_of_the_upright_picture(
    turned: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    path = turned(name)
    box = Box(x=5, y=30, h=18, w=40)
    rows = [f'{i},{box.x},{box.y},{box.h},{box.w}' for i in range(5)]
    (tmp_path / 'boxes.csv').write_text('\n'.join([',x,y,h,w', *rows]))
    wanted = crop(_of_opencv(path), box)
    frame = next(iter(FrameReader(path, boxes=Boxes(tmp_path / 'boxes.csv'))))
    assert np.abs(frame.pixels((box.h, box.w)).astype(int) - wanted).mean() < 4


def test_a_pixel_that_is_no_square_stays_one(tmp_path: Path) -> None:
    path = tmp_path / 'wide.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, 'yuv420p'
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(_corners())))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2
    info = probe(path)
    assert (info.height, info.width) == _of_opencv(path).shape[:2] == (HEIGHT, WIDTH)


def test_a_rotation_inside_the_codec_is_ignored_as_by_opencv(
    write_video: Callable[..., Path], tmp_path: Path
) -> None:
    plain = write_video('plain.mp4', [_corners()] * 5)
    path = tmp_path / 'message.mp4'
    with av.open(str(plain)) as source, av.open(str(path), 'w') as container:
        stream = source.streams.video[0]
        copy = container.add_stream_from_template(stream)
        name = 'h264_metadata=display_orientation=insert:rotate=90'
        turn = BitStreamFilterContext(name, stream, copy)
        for packet in source.demux(stream):
            for changed in turn.filter(packet if packet.size else None):
                changed.stream = copy
                container.mux(changed)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation == 90
    assert _of_opencv(path).shape[:2] == (HEIGHT, WIDTH)
    assert (probe(path).height, probe(path).width) == (HEIGHT, WIDTH)


def test_what_was_made_of_a_lying_picture_is_not_used_again(
    turned: Callable[[str], Path], write_video: Callable[..., Path]
) -> None:
    keys = {name: source_key(turned(name), None) for name in ('upright', '90', '180', '270')}
    assert len(set(keys.values())) == 4
    path = write_video('plain.mp4', [_corners()] * 5)
    content = path.read_bytes()
    # the file of an upright video keeps the key that older versions computed
    assert source_key(path, None) == _older_key(content)


def _older_key(content: bytes) -> str:
    from beast_lp.runs.keys import digest

    total = digest(b'')
    total.update(str(len(content)).encode())
    total.update(content[: 1 << 20])
    for sample in range(32):
        start = len(content) * sample // 32
        total.update(content[start : start + (1 << 16)])
    total.update(content[-(1 << 20) :])
    return total.hexdigest()


PLAYED = {
    'concat': 'ffconcat version 1.0\nfile {secret}\n',
    'playlist': '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n',
    'session': 'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n'
    'm=video 5000 RTP/AVP 96\na=rtpmap:96 H264/90000\n',
}


@pytest.mark.parametrize('kind', PLAYED)
@pytest.mark.parametrize('suffix', ['.mp4', '.avi', '.mkv'])
def test_a_text_that_plays_another_file_is_refused(
    write_video: Callable[..., Path], tmp_path: Path, kind: str, suffix: str
) -> None:
    secret = write_video('secret.mp4', [_corners()] * 5)
    path = tmp_path / f'text{suffix}'
    path.write_text(PLAYED[kind].format(secret=secret.name))
    for read in (probe, FrameReader):
        with pytest.raises(VideoError, match=f'text{suffix} cannot be read as a video'):
            read(path)
    with pytest.raises(BeastError, match='missing or damaged'):
        OpenClip(path)


def test_a_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / 'picture.mp4'
    path.write_bytes(cv2.imencode('.png', _corners())[1].tobytes())
    with pytest.raises(VideoError, match='none of the containers mov, avi'):
        probe(path)


@pytest.mark.parametrize('suffix', ['.mp4', '.avi', '.mkv', '.ts', '.flv', '.mpg', '.mov', '.nut'])
def test_a_container_may_have_the_name_of_another(
    write_video: Callable[..., Path], suffix: str
) -> None:
    codec = 'mpeg2video' if suffix == '.mpg' else 'flv' if suffix == '.flv' else 'mpeg4'
    path = write_video(f'video{suffix}', [_corners()] * 5, codec=codec)
    named = path.rename(path.with_name('renamed.mp4'))
    assert len(list(FrameReader(named))) == 5


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / 'pipe.mp4'
    os.mkfifo(pipe)
    with pytest.raises(VideoError, match='it is a pipe'):
        probe(pipe)
    with pytest.raises(BeastError, match='a pipe or a device'):
        find_videos(pipe)
    device = tmp_path / 'device.mp4'
    device.symlink_to('/dev/zero')
    with pytest.raises(VideoError, match='a device or socket'):
        probe(device)
    with pytest.raises(BeastError, match='a pipe or a device'):
        find_videos(device)


@pytest.mark.parametrize(
    ('width', 'height', 'words'),
    [
        (100_000, HEIGHT, 'has frames of 100000 x 48 px, and at most 16384 px'),
        (100_000, 100_000, 'a codec or a size of frames that FFmpeg cannot decode'),
    ],
)
def test_sides_of_a_hundred_thousand_px_are_refused(
    write_video: Callable[..., Path], tmp_path: Path, width: int, height: int, words: str
) -> None:
    path = write_video('huge.avi', [_corners()] * 3, codec='huffyuv', pixel_format='yuv422p')
    content = bytearray(path.read_bytes())
    start = content.index(b'strf') + 8 + 4
    assert struct.unpack('<2i', content[start : start + 8]) == (WIDTH, HEIGHT)
    content[start : start + 8] = struct.pack('<2i', width, height)
    path.write_bytes(content)
    with pytest.raises(VideoError, match=words):
        probe(path)
    (tmp_path / 'boxes.csv').write_text(',x,y,h,w\n0,0,0,100000,100000\n')
    with pytest.raises(BeastError, match='1 to 16384 px'):
        Boxes(tmp_path / 'boxes.csv')
