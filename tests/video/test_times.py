"""Times of frames: which time stamps are kept, and what becomes of the others."""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import av.video.stream
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beast_lp.video.containers import VideoError
from beast_lp.video.read import times_of
from beast_lp.video.times import frame_times

VIDEO = Path('mouse.mkv')
# a pause of 5 s in the middle, as where a camera is triggered
PAUSED = np.concatenate([np.arange(150) / 30, 10 + np.arange(150) / 30])
FRAME = 1 / 30


def test_good_time_stamps_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    found = frame_times(VIDEO, PAUSED + 77, math.nan)
    np.testing.assert_allclose(found.seconds, PAUSED, atol=1e-9)
    assert (found.mended, found.source) == (0, 'time stamps')
    assert not caplog.text
    assert len(frame_times(VIDEO, [], 30).seconds) == 0


@pytest.mark.parametrize('wrong', [math.nan, -3.0, 1e6, 'before', 'after', 'far before'])
@pytest.mark.parametrize('at', [20, 100, 151, 298])
def test_one_bad_time_stamp_is_mended(
    wrong: float | str, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    stamps = PAUSED.copy()
    places = {'before': at - 1, 'after': at + 1, 'far before': at - 15}
    stamps[at] = stamps[places[wrong]] if isinstance(wrong, str) else wrong
    found = frame_times(VIDEO, stamps, 30)
    assert (found.mended, found.source) == (1, 'time stamps, 1 of 300 mended')
    # of two equal time stamps, either may be the right one
    np.testing.assert_allclose(found.seconds, PAUSED, atol=1.01 * FRAME)
    assert (np.diff(found.seconds) > 0).all()
    if wrong != 'after':
        np.testing.assert_allclose(found.seconds, PAUSED, atol=1e-6)
    assert 'mouse.mkv has 1 of 300 time stamps that are missing, doubled or out' in caplog.text


@pytest.mark.parametrize('ends', [slice(0, 3), slice(297, 300)])
def test_bad_time_stamps_at_the_ends_follow_the_others(ends: slice) -> None:
    stamps = PAUSED.copy()
    stamps[ends] = math.nan
    np.testing.assert_allclose(frame_times(VIDEO, stamps, 30).seconds, PAUSED, atol=1e-9)


def test_every_second_stamp_doubled_is_mended() -> None:
    # a camera faster than the clock of its container
    stamps = np.repeat(np.arange(100) / 1000, 2)
    found = frame_times(VIDEO, stamps, 1000)
    np.testing.assert_allclose(found.seconds, np.arange(200) / 2000, atol=1e-9)
    assert found.mended == 100


@pytest.mark.parametrize(
    'stamps',
    [
        np.full(30, math.nan),
        np.zeros(30),
        np.concatenate([np.arange(7.0), np.full(23, math.nan)]),
        # two recordings one after the other, each with its own clock
        np.concatenate([np.arange(100.0), np.arange(150.0)]),
        np.arange(30.0)[::-1],
    ],
)
def test_where_most_are_bad_the_frame_rate_serves(
    stamps: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    found = frame_times(VIDEO, stamps, 20)
    np.testing.assert_allclose(found.seconds, np.arange(len(stamps)) / 20)
    assert found.source == 'frame rate'
    assert f'({found.mended} of {len(stamps)} are missing' in caplog.text
    with pytest.raises(VideoError, match='neither usable time stamps nor a frame rate'):
        frame_times(VIDEO, stamps, math.nan)


def test_time_stamps_of_another_order_are_sorted() -> None:
    # as AVI files with B-frames give them: 3, 4, 6, 5, 7, 9, 8
    stamps = np.concatenate([[3, 4], np.arange(5, 302).reshape(-1, 3)[:, [1, 0, 2]].ravel()])
    found = frame_times(VIDEO, stamps / 10, 10)
    np.testing.assert_allclose(found.seconds, np.arange(299) / 10)
    assert found.mended == 0


@given(
    st.lists(st.floats(0.001, 10), min_size=20, max_size=60),
    st.sets(st.integers(0, 19), max_size=6),
    st.floats(-100, 100),
)
def test_times_rise_and_keep_what_is_good(steps: list[float], bad: set[int], start: float) -> None:
    times = np.cumsum(steps) + start
    stamps = times.copy()
    stamps[list(bad)] = math.nan
    found = frame_times(VIDEO, stamps, 30)
    assert (np.diff(found.seconds) > 0).all()
    assert found.seconds[0] == 0
    kept = [at for at in range(len(times)) if at not in bad]
    np.testing.assert_allclose(np.diff(found.seconds[kept]), np.diff(times[kept]), atol=1e-6)


def _write(path: Path, stamps_ms: list[int]) -> Path:
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mjpeg', rate=30)
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.height, stream.width, stream.pix_fmt = 32, 48, 'yuvj420p'
        for stamp in stamps_ms:
            encoder = av.CodecContext.create('mjpeg', 'w')
            encoder.height, encoder.width = 32, 48
            encoder.pix_fmt, encoder.time_base = 'yuvj420p', Fraction(1, 30)
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 48, 3), np.uint8))
            for packet in encoder.encode(picture) + encoder.encode(None):
                packet.stream, packet.pts, packet.dts = stream, stamp, stamp
                packet.time_base = Fraction(1, 1000)
                container.mux(packet)
    return path


def test_a_file_with_one_doubled_stamp_keeps_its_pause(tmp_path: Path) -> None:
    wanted = np.round(1000 * PAUSED).astype(int)
    stamps = wanted.copy()
    stamps[151] = stamps[150]
    path = _write(tmp_path / 'doubled.mkv', stamps.tolist())
    for rows in (300, None, 12):
        found = times_of(path, rows)
        np.testing.assert_allclose(found.seconds, wanted / 1000, atol=0.002)
        assert found.mended == 1


def test_packets_are_enough_where_they_fit_the_table(
    write_counted: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_counted('irregular.mkv', 30)
    decoded = times_of(path).seconds
    monkeypatch.setattr('beast_lp.video.read.FrameReader', None)
    np.testing.assert_allclose(times_of(path, 30).seconds, decoded)
    with pytest.raises(TypeError):
        times_of(path, 29)
