"""Motion energy as a source of features."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beast_lp.errors import BeastError
from beast_lp.features.extract import extract_features
from beast_lp.features.motion import MotionEnergy, motion_source
from beast_lp.features.settings import ExtractionSettings
from beast_lp.features.store import FeatureStore
from beast_lp.video.read import FrameReader
from beast_lp.video.thumbnails import THUMBNAIL_SIZE, motion_energy

WriteVideo = Callable[..., Path]
FRAMES = np.random.default_rng(0).integers(0, 256, (13, 32, 48, 3), np.uint8)


def _thumbnails(video: Path) -> np.ndarray:
    pixels = [frame.pixels(THUMBNAIL_SIZE) for frame in FrameReader(video, 'gray')]
    return np.stack(pixels).reshape(len(pixels), -1)


def _embed(video: Path, folder: Path, batch_size: int) -> FeatureStore:
    settings = ExtractionSettings(batch_size=batch_size)
    (store,) = extract_features(MotionEnergy(), [video], folder, settings, progress=False)
    return FeatureStore.open(store)


@pytest.mark.parametrize('batch_size', [1, 2, 5, 32])
def test_it_is_the_motion_energy_of_the_scan(
    write_video: WriteVideo, tmp_path: Path, batch_size: int
) -> None:
    video = write_video('a.mp4', FRAMES)
    found = _embed(video, tmp_path / 'out', batch_size=batch_size)
    expected = motion_energy(_thumbnails(video))
    assert found.cls.shape == (13, 1) and expected.min() > 0
    np.testing.assert_array_equal(found.cls[1:, 0], expected[1:])
    # a batch of one frame does not know the second
    assert found.cls[0, 0] == (0 if batch_size == 1 else expected[0])


def test_each_video_begins_anew_and_a_stride_compares_its_own_frames(
    write_video: WriteVideo, tmp_path: Path
) -> None:
    videos = [write_video('a.mp4', FRAMES), write_video('b.mp4', FRAMES[::-1])]
    stores = extract_features(
        MotionEnergy(), videos, tmp_path / 'out', ExtractionSettings(stride=3), progress=False
    )
    for video, folder in zip(videos, stores, strict=True):
        store = FeatureStore.open(folder)
        assert store.frame.tolist() == [0, 3, 6, 9, 12]
        expected = motion_energy(_thumbnails(video)[::3])
        np.testing.assert_array_equal(store.cls[:, 0], expected)


def test_an_interrupted_video_begins_again(
    write_video: WriteVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = write_video('a.mp4', FRAMES)
    whole = _embed(video, tmp_path / 'whole', batch_size=4)
    encode, calls = MotionEnergy.encode, []

    def killed(self: MotionEnergy, frames: np.ndarray, patches: bool) -> object:
        calls.append(len(frames))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(self, frames, patches)

    monkeypatch.setattr(MotionEnergy, 'encode', killed)
    with pytest.raises(KeyboardInterrupt):
        _embed(video, tmp_path / 'out', batch_size=4)
    assert (tmp_path / 'out' / 'a.part').is_dir()
    monkeypatch.setattr(MotionEnergy, 'encode', encode)
    np.testing.assert_array_equal(_embed(video, tmp_path / 'out', batch_size=4).cls, whole.cls)


def test_it_has_no_patches_and_one_size(write_video: WriteVideo, tmp_path: Path) -> None:
    video = write_video('a.mp4', FRAMES)
    with pytest.raises(BeastError, match='has no patches'):
        extract_features(
            MotionEnergy(), [video], tmp_path / 'out', ExtractionSettings(patches=True)
        )
    with pytest.raises(BeastError, match='frames of 32 x 32 px; leave out --image_size'):
        motion_source('motion', (64, 64), 'auto')
