"""Names of videos, and keys of their content."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beast_lp.errors import BeastError
from beast_lp.video.containers import VideoError
from beast_lp.video.identity import names_in_use, source_key, video_ids, video_names


@pytest.mark.parametrize(
    ('videos', 'expected'),
    [
        (['/d/a.mp4', '/d/b.avi'], ['a', 'b']),
        (['/d/s1/cam.mp4', '/d/s2/cam.mp4', '/d/s2/top.mp4'], ['s1_cam', 's2_cam', 'top']),
        (['/x/s/cam.mp4', '/y/s/cam.mp4'], ['x_s_cam', 'y_s_cam']),
        (['/d/cam.mp4', '/d/cam.avi'], ['cam_mp4', 'cam_avi']),
        (['/d/Cam.mp4', '/e/cam.mp4'], ['d_Cam', 'e_cam']),
        (['/d/a b.mp4', '/e/a_b.mp4'], ['d_a_b', 'e_a_b']),
        (['/d/a b.mp4', '/d/a_b.mp4'], ['a_b', 'a_b_2']),
        (['/d/Cam.mp4', '/d/cam.mp4'], ['Cam', 'cam_2']),
        # the name that tells one apart is taken by another, who keeps it
        (['/d/cam.mp4', '/e/cam.mp4', '/z/d_cam.mp4'], ['d_cam_2', 'e_cam', 'd_cam']),
        (['/q/d/cam.mp4', '/e/cam.mp4', '/z/d_cam.mp4'], ['q_d_cam', 'e_cam', 'd_cam']),
        (['/d/x.mp4', '/d/x.avi', '/d/x_mp4.mov'], ['d_x_mp4', 'x_avi', 'x_mp4']),
        (['/d/x.mp4', '/d/x.avi', '/e/x.mp4'], ['d_x_mp4', 'd_x_avi', 'e_x']),
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


@pytest.mark.parametrize('folder', ['/lab/p/videos', '/home/other/place', '/', 'videos'])
def test_one_collision_renames_nobody_else_wherever_the_project_lies(folder: str) -> None:
    videos = [Path(folder, name) for name in ('mouse 1.mp4', 'x.avi', 'x.mp4')]
    assert video_names(videos[:2]) == ['mouse 1', 'x']
    assert video_names(videos) == ['mouse 1', 'x_avi', 'x_mp4']
    assert video_ids(videos) == ['mouse_1', 'x_avi', 'x_mp4']
    assert video_names(videos[::-1]) == ['x_mp4', 'x_avi', 'mouse 1']


@given(
    st.lists(
        st.tuples(
            st.sampled_from(['/a', '/b', '/a/b', '/A', '/']),
            st.sampled_from(['x', 'X', 'a_x', 'b_x', 'x_2', 'x_mp4', 'a b', 'a_b', '..']),
            st.sampled_from(['.mp4', '.avi', '.MP4']),
        ),
        unique=True,
        max_size=12,
    ),
    st.booleans(),
)
def test_names_are_different_and_stay_in_their_folder(
    parts: list[tuple[str, str, str]], safe: bool
) -> None:
    videos = [Path(folder, stem + suffix) for folder, stem, suffix in parts]
    names = video_names(videos, safe)
    assert len({name.lower() for name in names}) == len(videos)
    stems = [video.stem.lower() for video in videos]
    for video, name in zip(videos, names, strict=True):
        assert '/' not in name and name not in ('', '.', '..')
        if not safe and stems.count(video.stem.lower()) == 1 and video.stem != '..':
            assert name == video.stem


def test_files_of_an_older_name_are_found() -> None:
    videos = [Path('/lab/p', name) for name in ('mouse 1.mp4', 'x.avi', 'x.mp4')]
    older = {'mouse_1': videos[0], 'lab_p_x': videos[1], 'lab_p_x_2': videos[2]}
    assert names_in_use(videos, lambda name, video: older.get(name) == video) == list(older)
    newer = {**older, 'mouse 1': videos[0]}
    found = names_in_use(videos, lambda name, video: newer.get(name) == video)
    assert found == ['mouse 1', 'lab_p_x', 'lab_p_x_2']
    assert names_in_use(videos, lambda name, video: False) == video_names(videos)
