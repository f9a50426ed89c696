"""Fixtures shared by all rooms."""

import logging
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import av.video.stream
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings
from PIL import Image

from beast_lp.features.info import FeatureInfo
from beast_lp.features.writer import FeatureWriter
from beast_lp.video import window_clip

# the same examples on every machine and in every run, however slow it is
settings.register_profile(
    'repeatable', deadline=None, derandomize=True, database=None, max_examples=40
)
settings.load_profile('repeatable')

# the host's logger, below which ours are
HOST_LOGGER = logging.getLogger('lightning_pose')

WriteVideo = Callable[..., Path]
SaveStore = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip GPU tests, with the reason, where there is no GPU."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker('gpu'):
            item.add_marker(pytest.mark.skip(reason='no CUDA device on this machine'))


@pytest.fixture(autouse=True)
def _quiet_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what the host's command line did to its logger in an earlier test of this process.

    There it ends propagation and prints by a handler of its own, so that `caplog` would see a
    record twice or never.
    """
    monkeypatch.setattr(HOST_LOGGER, 'propagate', True)
    monkeypatch.setattr(HOST_LOGGER, 'handlers', [])


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide a GPU from what would move there: the test computes the same on the CPU."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)


@pytest.fixture
def write_video(tmp_path: Path) -> WriteVideo:
    """Return a function that encodes RGB uint8 frames into a video file."""

    def write(
        name: str,
        frames: Iterable[np.ndarray],
        codec: str = 'libx264',
        pixel_format: str = 'yuv420p',
        fps: int = 25,
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), 'w') as container:
            stream: av.video.stream.VideoStream | None = None
            for frame in frames:
                if stream is None:
                    added = container.add_stream(codec, rate=Fraction(fps), options=options or {})
                    assert isinstance(added, av.video.stream.VideoStream)
                    stream = added
                    stream.height, stream.width = frame.shape[:2]
                    stream.pix_fmt = pixel_format
                picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
                container.mux(stream.encode(picture))
            assert stream is not None
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def clips_in_vp9(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process store clips in VP9, which DALI decodes without a GPU."""
    # constant quality, and one packet per frame: neither look-ahead nor hidden reference frames
    options = {
        'b': '0',
        'deadline': 'realtime',
        'cpu-used': '6',
        'row-mt': '1',
        'lag-in-frames': '0',
        'auto-alt-ref': '0',
    }
    monkeypatch.setattr(window_clip, '_ENCODER', 'libvpx-vp9')
    monkeypatch.setattr(window_clip, '_OPTIONS', options)


@pytest.fixture
def save_store() -> SaveStore:
    """Return a function that writes a whole feature store at once."""

    def save(directory: Path, info: FeatureInfo, **rows: np.ndarray) -> None:
        with FeatureWriter(directory, info) as writer:
            writer.append(**rows)
            writer.finish(int(rows['frame'][-1]) + 1)

    return save


@pytest.fixture
def labelled_project(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Write 30 labelled pictures of a square, and return the label file and the positions."""
    draw = np.random.default_rng(0)
    positions = np.stack([draw.integers(8, 56, 30), draw.integers(8, 40, 30)], axis=1)
    folder = tmp_path / 'labeled-data' / 'one'
    folder.mkdir(parents=True)
    for i, (x, y) in enumerate(positions):
        picture = np.full((48, 64, 3), 90, np.uint8)
        picture[y - 8 : y + 8, x - 8 : x + 8] = 255
        Image.fromarray(picture).save(folder / f'img{i:03d}.png')
    columns = pd.MultiIndex.from_product(
        [['me'], ['square', 'never'], ['x', 'y']], names=['scorer', 'bodyparts', 'coords']
    )
    names = pd.Index([f'labeled-data/one/img{i:03d}.png' for i in range(30)])
    table = pd.DataFrame(np.nan, names, columns)
    table.iloc[1:, :2] = positions[1:]
    table.to_csv(tmp_path / 'CollectedData.csv')
    return tmp_path / 'CollectedData.csv', positions


@pytest.fixture
def square_video(write_video: WriteVideo) -> Path:
    """Write the video of the labelled pictures, in which the same square crosses the floor."""
    frames = []
    for x in range(8, 56):
        frame = np.full((48, 64, 3), 90, np.uint8)
        frame[16:32, x - 8 : x + 8] = 255
        frames.append(frame)
    return write_video('videos/one.mp4', frames)
