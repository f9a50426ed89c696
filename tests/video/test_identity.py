"""Names of videos, and keys of their content."""

from pathlib import Path

import pytest

from beast_lp.errors import BeastError
from beast_lp.video.containers import VideoError
from beast_lp.video.identity import source_key, video_ids


@pytest.mark.parametrize(
    ('videos', 'expected'),
    [
        (['/d/a.mp4', '/d/b.avi'], ['a', 'b']),
        (['/d/s1/cam.mp4', '/d/s2/cam.mp4', '/d/s2/top.mp4'], ['s1_cam', 's2_cam', 'top']),
        (['/x/s/cam.mp4', '/y/s/cam.mp4'], ['x_s_cam', 'y_s_cam']),
        (['/d/cam.mp4', '/d/cam.avi'], ['d_cam', 'd_cam_2']),
        (['/d/Cam.mp4', '/e/cam.mp4'], ['d_Cam', 'e_cam']),
        (['/d/a b.mp4', '/e/a_b.mp4'], ['d_a_b', 'e_a_b']),
        (['/d/ü ñ/día 1%.mp4'], ['día_1_']),
        (['/d/..mp4.mp4', '/d/007.mp4'], ['mp4', '007']),
    ],
)
def test_video_ids_are_readable_and_different(videos: list[str], expected: list[str]) -> None:
    assert video_ids([Path(video) for video in videos]) == expected


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    video = tmp_path / 'video.mp4'
    video.touch()
    with pytest.raises(BeastError, match='bounding boxes .*boxes.csv cannot be read') as error:
        source_key(video, tmp_path / 'boxes.csv')
    assert not isinstance(error.value, VideoError)
    with pytest.raises(VideoError, match='gone.mp4 cannot be read'):
        source_key(tmp_path / 'gone.mp4', None)


def test_long_names_are_shortened_and_stay_different() -> None:
    videos = [Path(f'/data/{"long" * 60}/{letter}{"x" * 200}.mp4') for letter in 'ab']
    names = video_ids(videos)
    assert len(set(names)) == 2
    assert all(len(name) <= 90 for name in names)
