"""One pass over a video."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beast_lp.config import AnchorConfig
from beast_lp.errors import BeastError
from beast_lp.video.containers import VideoError
from beast_lp.video.read import FrameReader
from beast_lp.video.scan import scan_video
from beast_lp.video.selection import select_anchors
from beast_lp.video.thumbnails import motion_energy


def test_a_scan_equals_reading_and_choosing(
    source: object, write_counted: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_counted(source)
    spool = tmp_path / 'spool'
    spool.mkdir()
    config = AnchorConfig(per_video=8)
    found = scan_video(path, config, 5, progress=False, spool_dir=spool)
    frames = [frame.pixels((32, 32)).ravel() for frame in FrameReader(path, 'gray')]
    thumbnails = np.stack(frames)
    expected = select_anchors(thumbnails, motion_energy(thumbnails), config, 5)
    np.testing.assert_array_equal(found.anchors.frame, expected.frame)
    assert (found.frames, found.error, found.info.width) == (60, None, 128)
    assert len(found.anchors) > 4
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize('strategy', ['distinct', 'farthest'])
def test_all_that_is_spooled_goes_to_the_given_folder(
    write_counted: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
) -> None:
    folders, temporary_file = [], tempfile.TemporaryFile

    def spy(dir: Path | None = None) -> Any:
        folders.append(dir)
        return temporary_file(dir=dir)

    monkeypatch.setattr(tempfile, 'TemporaryFile', spy)
    config = AnchorConfig(strategy=strategy, per_video=4)
    scan_video(write_counted('video.mp4', 20), config, 0, progress=False, spool_dir=tmp_path)
    # the thumbnails, and the components of every round of candidates
    assert len(folders) >= 2
    assert set(folders) == {tmp_path}


def test_the_bar_names_the_file(
    write_counted: Callable[..., Path],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('beast_lp.runs.progress.is_terminal', lambda: True)
    path = write_counted('named.mp4', 20)
    scan_video(path, AnchorConfig(), 0)
    assert 'named.mp4: 100%' in capfd.readouterr().err
    scan_video(path, AnchorConfig(), 0, progress=False)
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize('count', [1, 2])
def test_too_short_a_video_is_named(write_counted: Callable[..., Path], count: int) -> None:
    with pytest.raises(VideoError, match=f'short.mp4 gives no anchors: found {count} frame'):
        scan_video(write_counted('short.mp4', count), AnchorConfig(), 0, progress=False)


@pytest.mark.parametrize(
    ('name', 'codec'),
    [
        ('still.mp4', 'libx264'),
        ('still.avi', 'mpeg4'),
        ('still.webm', 'libvpx-vp9'),
    ],
)
def test_a_still_picture_is_named_whatever_its_coding_noise(
    write_video: Callable[..., Path], name: str, codec: str
) -> None:
    ramp = np.linspace(0, 255, 320).astype(np.uint8)
    path = write_video(name, [np.tile(ramp[None, :, None], (240, 1, 3))] * 60, codec=codec)
    with pytest.raises(VideoError, match=f'{name} gives no anchors: nothing moves'):
        scan_video(path, AnchorConfig(), 0, progress=False)


def test_a_full_disk_is_one_sentence(
    write_counted: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # every write to this device fails as on a full disk
    monkeypatch.setattr(
        tempfile,
        'TemporaryFile',
        lambda dir=None: Path('/dev/full').open('wb'),  # noqa: SIM115
    )
    with pytest.raises(BeastError, match='is full') as caught:
        scan_video(write_counted('video.mp4', 20), AnchorConfig(), 0, progress=False)
    assert not isinstance(caught.value, VideoError)
