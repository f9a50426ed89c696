import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from beast_lp.errors import BeastError
from beast_lp.features.extract import ExtractionSettings, extract_features
from beast_lp.features.pca import Basis
from beast_lp.features.prefetch import prefetch
from beast_lp.features.source import Encoded, FeatureSource
from beast_lp.features.store import FeatureStore
from beast_lp.video.read import FrameReader

WriteVideo = Callable[..., Path]


class Averages(FeatureSource):
    """Mean colour of the frame, and of 8 x 8 px patches: cheap, and easily checked."""

    name, kind, hash = 'averages', 'backbone', 'abc'
    image_size, dim, grid, patch_dim = (16, 32), 3, (2, 4), 3

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, frames: np.ndarray, patches: bool) -> Encoded:
        self.encoded += len(frames)
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
        maps = torch.nn.functional.avg_pool2d(pixels, 8)
        return Encoded(maps.mean((2, 3)).numpy(), maps if patches else None)


class Interrupted(Averages):
    """Is stopped after some frames, as by Ctrl-C."""

    def encode(self, frames: np.ndarray, patches: bool) -> Encoded:
        if self.encoded >= 12:
            raise KeyboardInterrupt
        return super().encode(frames, patches)


def noise(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [
        random.integers(0, 256, (4, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        for _ in range(count)
    ]


def expected(video: Path, stride: int = 1) -> np.ndarray:
    pixels = [frame.pixels((16, 32)) for frame in FrameReader(video)]
    means = [frame.reshape(-1, 3).mean(0) for frame in pixels]
    return np.stack(means)[::stride]


@pytest.mark.parametrize('stride', [1, 4])
def test_every_frame_gets_its_features(
    write_video: WriteVideo,
    tmp_path: Path,
    stride: int,
) -> None:
    video = write_video('ein Käfig.mp4', noise(50), fps=20)
    settings = ExtractionSettings(batch_size=8, stride=stride, patches=True)
    (directory,) = extract_features(Averages(), [video], tmp_path / 'out', settings, False)
    assert directory == tmp_path / 'out' / 'ein Käfig'
    store = FeatureStore.open(directory)
    np.testing.assert_allclose(store.cls, expected(video, stride), atol=1e-3)
    np.testing.assert_array_equal(store.frame, np.arange(0, 50, stride))
    np.testing.assert_allclose(store.time, np.arange(0, 50, stride) / 20, atol=1e-6)
    assert store.patches is not None
    np.testing.assert_allclose(store.patches.astype(float).mean(1), store.cls, atol=0.1)
    info = store.info
    assert (info.frames, info.width, info.height, info.fps) == (50, 64, 32, 20)
    assert (info.grid, info.patch_dim, info.time_from) == ((2, 4), 3, 'time stamps')


def test_reduced_patches_are_the_same_components_for_every_video(
    write_video: WriteVideo,
    tmp_path: Path,
) -> None:
    frames = noise(60)
    one, two = write_video('a.mp4', frames[:40]), write_video('b.mp4', frames[40:])
    settings = ExtractionSettings(patches=True, patch_grid=2, patch_dim=2)
    first = extract_features(Averages(), [one], tmp_path / 'out', settings, False)
    second = extract_features(Averages(), [one, two], tmp_path / 'out', settings, False)
    stores = [FeatureStore.open(directory) for directory in (*first, *second)]
    assert {store.info.patch_basis for store in stores} == {stores[0].info.patch_basis}
    assert stores[2].patches is not None
    # a grid of 2 along the longer side of 2 x 4 patches
    assert stores[2].patches.shape == (20, 2, 2)
    with pytest.raises(BeastError, match='fitted with other settings'):
        extract_features(
            Averages(),
            [one],
            tmp_path / 'out',
            ExtractionSettings(patches=True, patch_grid=2, patch_dim=1),
            False,
        )


@pytest.mark.parametrize('stride', [1, 3])
def test_an_interrupted_run_continues_and_ends_the_same(
    write_video: WriteVideo,
    tmp_path: Path,
    stride: int,
) -> None:
    video = write_video('a.mp4', noise(70))
    settings = ExtractionSettings(batch_size=5, stride=stride, patches=True)
    (whole,) = extract_features(Averages(), [video], tmp_path / 'whole', settings, False)
    with pytest.raises(KeyboardInterrupt):
        extract_features(Interrupted(), [video], tmp_path / 'part', settings, False)
    with pytest.raises(BeastError, match='not complete'):
        FeatureStore.open(tmp_path / 'part' / 'a')
    source = Averages()
    (continued,) = extract_features(source, [video], tmp_path / 'part', settings, False)
    assert source.encoded == len(range(0, 70, stride)) - 15
    for file in ('cls.npy', 'patches.npy', 'frame.npy', 'time.npy', 'info.json'):
        assert (continued / file).read_bytes() == (whole / file).read_bytes(), file


KILLED = """
import sys, time
from fractions import Fraction
from pathlib import Path
from beast_lp.features import writer
from beast_lp.features.extract import ExtractionSettings, extract_features
sys.path.insert(0, sys.argv[1])
from test_extract import Averages

class Slow(Averages):
    def encode(self, frames, patches):
        if self.encoded >= 40:
            print('encoding', flush=True)
            time.sleep(600)
        return super().encode(frames, patches)

writer.COMMIT_SECONDS = -1
extract_features(Slow(), [Path(sys.argv[2])], Path(sys.argv[3]),
                 ExtractionSettings(batch_size=5), False)
"""


def test_a_killed_run_continues(write_video: WriteVideo, tmp_path: Path) -> None:
    video = write_video('a.mp4', noise(70))
    process = subprocess.Popen(
        [sys.executable, '-c', KILLED, Path(__file__).parent, video, tmp_path / 'out'],
        stdout=subprocess.PIPE,
        env={**os.environ, 'BEAST_LP_DISABLE': '1'},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b'encoding\n'
    process.send_signal(signal.SIGKILL)
    process.wait()
    source = Averages()
    (directory,) = extract_features(source, [video], tmp_path / 'out', progress=False)
    assert source.encoded == 30
    np.testing.assert_allclose(FeatureStore.open(directory).cls, expected(video), atol=1e-3)


def test_finished_features_are_used_and_never_mixed(
    write_video: WriteVideo,
    tmp_path: Path,
) -> None:
    video = write_video('a.mp4', noise(10))
    extract_features(Averages(), [video], tmp_path / 'out', progress=False)
    before = (tmp_path / 'out' / 'a' / 'cls.npy').stat().st_mtime_ns
    source = Averages()
    extract_features(source, [video], tmp_path / 'out', progress=False)
    assert source.encoded == 0
    source.hash = 'xyz'
    source.name = 'another'
    with pytest.raises(BeastError, match='another source, averages, .* than another'):
        extract_features(source, [video], tmp_path / 'out', progress=False)
    with pytest.raises(BeastError, match='stride was 1 and is now 2'):
        extract_features(
            Averages(), [video], tmp_path / 'out', ExtractionSettings(stride=2), False
        )
    write_video('a.mp4', noise(11))
    with pytest.raises(BeastError, match='another video'):
        extract_features(Averages(), [video], tmp_path / 'out', progress=False)
    assert (tmp_path / 'out' / 'a' / 'cls.npy').stat().st_mtime_ns == before


def test_one_bad_video_does_not_stop_the_others(write_video: WriteVideo, tmp_path: Path) -> None:
    good, cut = write_video('good.mp4', noise(30)), write_video('cut.avi', noise(60), 'mpeg4')
    settings = ExtractionSettings(patches=True, patch_dim=2)
    bad = tmp_path / 'bad.mp4'
    bad.write_bytes(b'no video')
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.raises(BeastError, match='1 of 3 videos have no features: .*bad.mp4'):
        extract_features(Averages(), [bad, cut, good], tmp_path / 'out', settings, False)
    assert len(FeatureStore.open(tmp_path / 'out' / 'good')) == 30
    damaged = FeatureStore.open(tmp_path / 'out' / 'cut')
    assert 0 < len(damaged) == damaged.info.frames < 60
    assert damaged.info.damage
    assert not list((tmp_path / 'out').glob('bad*'))


def test_frames_are_cropped_to_the_boxes_of_the_host(
    write_video: WriteVideo,
    tmp_path: Path,
) -> None:
    frame = np.zeros((32, 64, 3), np.uint8)
    frame[16:, 32:] = 200
    video = write_video('a.mp4', [frame] * 10)
    (tmp_path / 'a_bbox.csv').write_text(
        ',x,y,h,w\n' + ''.join(f'{i},36,18,10,20\n' for i in range(10))
    )
    settings = ExtractionSettings(bbox_dir=tmp_path)
    extract_features(Averages(), [video], tmp_path / 'out', settings, False)
    np.testing.assert_allclose(FeatureStore.open(tmp_path / 'out' / 'a').cls, 200, atol=4)


def test_components_of_patches_are_fitted_to_the_crops_that_they_project(
    write_video: WriteVideo,
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(0)
    red = np.zeros((30, 4, 8, 3), np.uint8)
    red[..., 0] = random.integers(0, 256, red.shape[:3])
    frames = red.repeat(8, 1).repeat(8, 2)
    # twice the size, of which the rest varies in green only
    whole = np.zeros((30, 64, 128, 3), np.uint8)
    whole[..., 1] = random.integers(0, 256, (30, 8, 16), np.uint8).repeat(8, 1).repeat(8, 2)
    whole[:, :32, :64] = frames
    video = write_video('a.mp4', whole, 'libx264rgb', 'rgb24')
    (tmp_path / 'a_bbox.csv').write_text(
        ',x,y,h,w\n' + ''.join(f'{i},0,0,32,64\n' for i in range(30))
    )
    settings = ExtractionSettings(patches=True, patch_dim=1, bbox_dir=tmp_path)
    extract_features(Averages(), [video], tmp_path / 'out', settings, False)
    basis = Basis.load(tmp_path / 'out' / 'patch_basis.npz')
    np.testing.assert_allclose(np.abs(basis.components), [[1, 0, 0]], atol=0.1)
    with pytest.raises(BeastError, match='bounding boxes.* than asked for'):
        extract_features(
            Averages(),
            [video],
            tmp_path / 'out',
            ExtractionSettings(patches=True, patch_dim=1),
            False,
        )


def test_irregular_time_stamps_are_kept(write_video: WriteVideo, tmp_path: Path) -> None:
    stamps = np.cumsum([10, 33, 40, 120] * 5) - 10
    path = tmp_path / 'irregular.mkv'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 64, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        for frame, stamp in zip(noise(20), stamps, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            picture.pts, picture.time_base = int(stamp) + 500, stream.codec_context.time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    extract_features(Averages(), [path], tmp_path / 'out', progress=False)
    store = FeatureStore.open(tmp_path / 'out' / 'irregular')
    np.testing.assert_allclose(store.time, stamps / 1000, atol=1e-3)


def test_without_time_stamps_the_frame_rate_serves(
    write_video: WriteVideo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = FrameReader.__iter__
    monkeypatch.setattr(
        FrameReader,
        '__iter__',
        lambda self: (f if f.ordinal < 7 else replace(f, time=None) for f in original(self)),
    )
    video = write_video('a.mp4', noise(30), fps=20)
    extract_features(Averages(), [video], tmp_path / 'out', progress=False)
    store = FeatureStore.open(tmp_path / 'out' / 'a')
    np.testing.assert_allclose(store.time, np.arange(30) / 20)
    assert store.info.time_from == 'frame rate'


def test_one_doubled_time_stamp_costs_no_other(
    write_video: WriteVideo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = FrameReader.__iter__
    # a pause of 5 s before frame 10, whose time stamp the frame after it repeats
    wanted = np.arange(30) / 20 + 5 * (np.arange(30) > 9)
    stamps = np.where(np.arange(30) == 11, wanted[10], wanted)
    monkeypatch.setattr(
        FrameReader,
        '__iter__',
        lambda self: (replace(f, time=float(stamps[f.ordinal])) for f in original(self)),
    )
    video = write_video('a.mp4', noise(30), fps=20)
    for stride in (1, 2):
        settings = ExtractionSettings(stride=stride)
        extract_features(Averages(), [video], tmp_path / str(stride), settings, progress=False)
        store = FeatureStore.open(tmp_path / str(stride) / 'a')
        np.testing.assert_allclose(store.time, wanted[::stride], atol=1e-9)
        assert store.info.time_from == 'time stamps, 1 of 30 mended'


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'stride': 0}, 'stride must be at least 1'),
        ({'batch_size': -1}, 'batch_size must be at least 1'),
        ({'patch_grid': 7}, '--patches only'),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, int],
    words: str,
) -> None:
    with pytest.raises(BeastError, match=words):
        ExtractionSettings(**settings)  # type: ignore[arg-type]


def test_working_ahead_is_bounded_ordered_and_ends_with_the_block() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with closing(prefetch(items(), ahead=4)) as ready:
        first = next(ready)
        deadline = time.monotonic() + 5
        while len(made) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert first == 0
        time.sleep(0.05)
        # one taken, four ahead
        assert len(made) == 5
        assert any(thread.name.startswith('prefetch') for thread in threading.enumerate())
    assert len(made) == 5
    assert not any(thread.name.startswith('prefetch') for thread in threading.enumerate())
    assert list(prefetch(range(50))) == list(range(50))
    assert list(prefetch([])) == []


def test_an_error_in_the_thread_is_raised_where_it_is_waited_for() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise BeastError('the disk is gone')

    ready = prefetch(items())
    assert next(ready) == 1
    with pytest.raises(BeastError, match='the disk is gone'):
        next(ready)
    assert list(ready) == []
