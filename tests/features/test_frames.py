"""Features of frames, of stores and of keypoint tables: what is read, and what is refused."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beast_lp.errors import BeastError
from beast_lp.features.frames import (
    read_keypoint_table,
    read_store,
    with_gaps_filled,
    without_gaps,
)
from beast_lp.features.info import FeatureInfo
from beast_lp.video.identity import source_key
from beast_lp.video.read import count_frames


def _save(folder: Path, **changes: Any) -> Path:
    fields = {'frames': 8, **changes}
    arrays = {
        'cls': np.arange(8).reshape(4, 2).astype(np.float32),
        'frame': np.arange(4) * 2,
        'time': np.arange(4) * 0.1,
    }
    arrays |= {name: fields.pop(name) for name in list(fields) if name in arrays}
    if 'grid' in fields:
        arrays['patches'] = np.ones((4, 1, 3), np.float16)
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f'{name}.npy', array)
    info = FeatureInfo('a.mp4', 'x', 'vit', 'abc', 2, (32, 64), fps=20.0, **fields)
    (folder / 'info.json').write_text(info.to_json())
    return folder


def test_a_store_gives_its_tokens_and_their_origin(tmp_path: Path) -> None:
    fields = {'grid': (1, 1), 'patch_dim': 3, 'patch_basis': 'b1', 'video_key': 'k'}
    folder = _save(tmp_path / 'a', **fields)
    cls, patches = (read_store(folder, tokens) for tokens in ('cls', 'patches'))
    np.testing.assert_array_equal(cls.values, np.arange(8.0).reshape(4, 2))
    assert patches.values.shape == (4, 1, 3)
    assert cls.made_by == 'weights abc, images (32, 64)'
    assert patches.made_by == 'weights abc, images (32, 64), patches (1, 1), basis b1'
    for found in (cls, patches):
        np.testing.assert_array_equal(found.frame, [0, 2, 4, 6])
        assert found.time is not None
        np.testing.assert_allclose(found.time, [0, 0.1, 0.2, 0.3])
        assert (found.frames_in_video, found.fps, found.source) == (8, 20.0, 'x')
        assert (found.content, found.is_keypoints) == ('k', False)


def test_a_store_without_the_length_of_its_video_ends_with_its_last_frame(tmp_path: Path) -> None:
    assert read_store(_save(tmp_path / 'a', frames=0), 'cls').frames_in_video == 7


STORE_SAYS = 'the frames in .* do not ascend, or have times that are no numbers'
READER_SAYS = 'does not hold frames of a video of . frames in their order'


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'frame': np.array([0, 2, 2, 4])}, STORE_SAYS),
        ({'frame': np.array([0, 4, 2, 6])}, STORE_SAYS),
        ({'frame': np.array([-1, 0, 1, 2])}, STORE_SAYS),
        ({'frame': np.array([0, 2, 4, 8])}, READER_SAYS),
        ({'time': np.array([0, 0.2, 0.1, 0.3])}, READER_SAYS),
    ],
)
def test_frames_in_disorder_are_refused(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BeastError, match=sentence):
        read_store(_save(tmp_path / 'a', **changes), 'cls')


def test_patches_that_a_store_lacks_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(BeastError, match='a holds no patch features; .*--patches'):
        read_store(_save(tmp_path / 'a'), 'patches')


def test_features_of_another_file_are_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    video = tmp_path / 'a.mp4'
    video.write_bytes(b'a')
    read_store(_save(tmp_path / 'a', video_key=source_key(video, None)), 'cls', video)
    assert not caplog.text
    read_store(_save(tmp_path / 'b', video_key='other'), 'cls', video)
    assert f'b were made of another file than {video}' in caplog.text


def test_a_table_of_keypoints_fits_its_video(
    write_video: Callable[..., Path],
    tmp_path: Path,
) -> None:
    table = tmp_path / 'a.csv'
    rows = ''.join(f'{row},{row},2,5,6\n' for row in range(3))
    table.write_text(f's,n,n,n,n\nb,nose,nose,tail,tail\nc,x,y,x,y\n{rows}')
    alone = read_keypoint_table(table)
    assert (alone.time, alone.fps, alone.frames_in_video) == (None, None, 3)
    assert (alone.made_by, alone.is_keypoints) == ('2 keypoints', True)
    np.testing.assert_array_equal(alone.values[:, 0], [0, 1, 2])
    assert read_keypoint_table(table, velocities=True).values.shape == (3, 8)
    frames = [np.zeros((16, 16, 3), np.uint8)] * 4
    found = read_keypoint_table(table, video=write_video('a.mp4', frames[:3], fps=20))
    assert found.time is not None
    np.testing.assert_allclose(found.time, [0, 0.05, 0.1])
    assert found.fps == 20
    with pytest.raises(BeastError, match='a.csv has 3 rows, but 4 frames of .*b.mp4 can'):
        read_keypoint_table(table, video=write_video('b.mp4', frames))


def test_frames_in_which_a_keypoint_is_missing_have_no_features(
    write_video: Callable[..., Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = tmp_path / 'a.csv'
    table.write_text('s,n,n\nb,nose,nose\nc,x,y\n0,1,2\n1,,2\n2,3,4\n')
    frames = [np.zeros((16, 16, 3), np.uint8)] * 3
    found = without_gaps(read_keypoint_table(table, video=write_video('a.mp4', frames)), table)
    assert f'1 of the 3 frames in {table} lack a keypoint' in caplog.text
    assert found.frame.tolist() == [0, 2] and found.frames_in_video == 3
    assert found.values.tolist() == [[1, 2], [3, 4]]
    assert found.time is not None and len(found.time) == 2
    table.write_text('s,n,n,n,n\nb,nose,nose,tail,tail\nc,x,y,x,y\n0,1,2,,\n1,,,1,2\n')
    with pytest.raises(BeastError, match='none of the 2 frames in .*a.csv has all keypoints'):
        without_gaps(read_keypoint_table(table), table)


def test_a_missing_keypoint_lies_between_the_frames_around(
    write_video: Callable[..., Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = tmp_path / 'a.csv'
    rows = ['0,,,9,9', '1,1,2,8,8', '2,,2,7,7', '3,,,6,6', '4,4,8,,', '5,,,,']
    header = ['s,n,n,n,n', 'b,nose,nose,tail,tail', 'c,x,y,x,y']
    table.write_text('\n'.join([*header, *rows]) + '\n')
    frames = [np.zeros((16, 16, 3), np.uint8)] * 6
    read = read_keypoint_table(table, video=write_video('a.mp4', frames))
    found = with_gaps_filled(read, table)
    assert f'5 of the 6 frames in {table} lack a keypoint' in caplog.text
    # half of a position is none; before the first and after the last it stays there
    assert found.values[:, :2].tolist() == [[1, 2], [1, 2], [2, 4], [3, 6], [4, 8], [4, 8]]
    assert found.values[:, 2].tolist() == [9, 8, 7, 6, 6, 6]
    assert found.frame.tolist() == list(range(6)) and np.isnan(read.values).any()
    caplog.clear()
    assert with_gaps_filled(found, table) is found and not caplog.messages


def test_frames_that_sleap_left_out_at_the_end_are_missing(
    write_video: Callable[..., Path], tmp_path: Path
) -> None:
    h5py: Any = pytest.importorskip('h5py')
    pytest.importorskip('sleap_io')
    path = tmp_path / 'a.h5'
    with h5py.File(path, 'w') as file:
        # (tracks, 2, nodes, frames), as SLEAP exports
        file['tracks'] = np.arange(8.0).reshape(1, 2, 2, 2)
        file['node_names'] = np.array([b'nose', b'tail'])
        file['track_names'] = np.array([b'm'])
        file['track_occupancy'] = np.ones((2, 1), np.uint8)
        for name, shape in (('point_scores', (1, 2, 2)), ('instance_scores', (1, 2))):
            file[name] = np.ones(shape)
        file['tracking_scores'] = np.ones((1, 2))
    alone = read_keypoint_table(path)
    assert alone.may_end_early and alone.frames_in_video == 2
    np.testing.assert_array_equal(alone.values, [[0, 4, 2, 6], [1, 5, 3, 7]])
    frames = [np.zeros((16, 16, 3), np.uint8)] * 4
    found = read_keypoint_table(path, video=write_video('a.mp4', frames))
    assert found.frames_in_video == 4 and np.isnan(found.values[2:]).all()
    np.testing.assert_array_equal(found.values[:2], alone.values)


def test_the_frames_of_a_video_are_those_that_decode(
    write_video: Callable[..., Path], tmp_path: Path
) -> None:
    video = write_video('a.avi', [np.zeros((16, 16, 3), np.uint8)] * 30, codec='mpeg4', fps=10)
    content = bytearray(video.read_bytes())
    # XviD leaves frames that it packed into others in the count of the header
    for name, field in ((b'avih', 8 + 4 * 4), (b'strh', 8 + 8 * 4)):
        start = content.index(name) + field
        assert struct.unpack('<I', content[start : start + 4]) == (30,)
        content[start : start + 4] = struct.pack('<I', 32)
    video.write_bytes(content)
    assert count_frames(video) == 32
    for rows in (30, 32):
        table = ''.join(f'{row},{row},2\n' for row in range(rows))
        (tmp_path / f'{rows}.csv').write_text(f's,n,n\nb,nose,nose\nc,x,y\n{table}')
    found = read_keypoint_table(tmp_path / '30.csv', video=video)
    assert found.frames_in_video == 30
    assert found.time is not None
    np.testing.assert_allclose(found.time, np.arange(30) / 10)
    with pytest.raises(BeastError, match='has 32 rows, but 30 frames of .*a.avi can be decoded'):
        read_keypoint_table(tmp_path / '32.csv', video=video)
