"""Fixtures shared by all rooms."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import av.video.stream
import numpy as np
import pytest
import torch
from hypothesis import settings

from beast_lp.features.store import FeatureInfo
from beast_lp.features.writer import FeatureWriter

# the same examples on every machine and in every run, however slow it is
settings.register_profile(
    'repeatable', deadline=None, derandomize=True, database=None, max_examples=40
)
settings.load_profile('repeatable')

WriteVideo = Callable[..., Path]
SaveStore = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip GPU tests, with the reason, where there is no GPU."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker('gpu'):
            item.add_marker(pytest.mark.skip(reason='no CUDA device on this machine'))


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
def save_store() -> SaveStore:
    """Return a function that writes a whole feature store at once."""

    def save(directory: Path, info: FeatureInfo, **rows: np.ndarray) -> None:
        with FeatureWriter(directory, info) as writer:
            writer.append(**rows)
            writer.finish(int(rows['frame'][-1]) + 1)

    return save
