import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beast_lp.errors import BeastError
from beast_lp.features.frames import keypoint_file
from beast_lp.features.keypoints import keypoint_features, read_keypoints
from beast_lp.video.keypoint_table import is_keypoint_file, leaves_frames_out


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Return a file as the host writes it for a video of 5 frames and two keypoints."""
    columns = pd.MultiIndex.from_product(
        [['heatmap_tracker'], ['nose', 'tail base'], ['x', 'y', 'likelihood']],
        names=['scorer', 'bodyparts', 'coords'],
    )
    values = np.random.default_rng(0).uniform(0, 100, (5, 6))
    pd.DataFrame(values, columns=columns).to_csv(tmp_path / 'video.csv')
    return tmp_path / 'video.csv'


def test_positions_are_the_columns_of_the_file(predictions: Path) -> None:
    positions, names = read_keypoints(predictions)
    assert names == ['nose', 'tail base']
    plain = np.loadtxt(predictions, delimiter=',', skiprows=3)
    np.testing.assert_allclose(positions[:, 0], plain[:, 1:3])
    np.testing.assert_allclose(positions[:, 1], plain[:, 4:6])


def test_velocities_are_steps_from_the_frame_before(predictions: Path) -> None:
    positions, _ = read_keypoints(predictions)
    features = keypoint_features(positions, velocities=True)
    assert keypoint_features(positions).shape == (5, 4)
    assert features.shape == (5, 8)
    assert features.dtype == np.float32
    for frame in range(5):
        before = positions[max(frame - 1, 0)]
        expected = [*positions[frame].ravel(), *(positions[frame] - before).ravel()]
        np.testing.assert_allclose(features[frame], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('a,b\n1,2\n', 'keypoints'),
        ('', 'cannot be read as predicted keypoints'),
        ('scorer,m,m\nbodyparts,nose,nose\ncoords,x,likelihood\n0,1,1\n', 'holds no keypoints'),
        ('scorer,m,m\nbodyparts,nose,nose\ncoords,x,y\n0,,1\n1,,2\n', 'no position of nose in'),
    ],
)
def test_a_file_that_holds_no_keypoints_gets_a_sentence(
    tmp_path: Path,
    content: str,
    words: str,
) -> None:
    (tmp_path / 'bad.csv').write_text(content)
    with pytest.raises(BeastError, match=words):
        read_keypoints(tmp_path / 'bad.csv')


def test_nothing_there_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BeastError, match='cannot be read.* `litpose predict`, Deep'):
        read_keypoints(tmp_path / 'nothing.csv')


HEADER = 'scorer,m,m,m\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n'


def _rows(index: list[object]) -> str:
    return HEADER + ''.join(f'{frame},{row},{row},0.9\n' for row, frame in enumerate(index))


@pytest.mark.parametrize(
    ('index', 'words'),
    [
        # SLEAP leaves out frames without an animal
        ([0, 1, 4, 5], r'holds 4 where 2 is expected \(2 of 4 rows'),
        ([0, 1, 1, 2], 'holds 1 where 2 is expected'),
        ([0, 2, 1, 3], 'holds 2 where 1 is expected'),
        ([1, 2, 3], 'holds 1 where 0 is expected'),
        ([0, '', 2], 'holds nan where 1 is expected'),
        (['img0.png', 'img1.png'], 'holds img0.png where 0 is expected'),
    ],
)
def test_rows_that_do_not_count_the_frames_are_refused(
    tmp_path: Path,
    index: list[object],
    words: str,
) -> None:
    (tmp_path / 'gap.csv').write_text(_rows(index))
    with pytest.raises(BeastError, match=f'does not count the frames.*{words}.*one row per frame'):
        read_keypoints(tmp_path / 'gap.csv')


def test_the_first_frame_without_any_value_is_a_frame(tmp_path: Path) -> None:
    # pandas would take its row for the name of the index
    (tmp_path / 'a.csv').write_text(HEADER + '0,,,\n1,1,1,0.9\n')
    positions, _ = read_keypoints(tmp_path / 'a.csv')
    np.testing.assert_array_equal(positions[:, 0], [[np.nan, np.nan], [1, 1]])


# ---------------------------------------------------------------------------------------------
# gaps, several animals, and the files of DeepLabCut and SLEAP
# ---------------------------------------------------------------------------------------------


def test_a_missing_point_is_missing_and_so_are_the_steps_from_it(tmp_path: Path) -> None:
    (tmp_path / 'a.csv').write_text(HEADER + '0,1,2,1\n1,3,,1\n2,5,6,1\n3,8,8,1\n')
    positions, _ = read_keypoints(tmp_path / 'a.csv')
    # half a point is none
    gap = [np.nan, np.nan]
    np.testing.assert_array_equal(positions[:, 0], [[1, 2], gap, [5, 6], [8, 8]])
    steps = keypoint_features(positions, velocities=True)[:, 2:]
    np.testing.assert_array_equal(steps, [[0, 0], gap, gap, [3, 2]])


ANIMALS = pd.MultiIndex.from_product(
    [['DLC'], ['m1', 'm2'], ['nose', 'tail'], ['x', 'y', 'likelihood']],
    names=['scorer', 'individuals', 'bodyparts', 'coords'],
)
ONE_ANIMAL = pd.MultiIndex.from_product(
    [['DLC'], ['nose', 'tail'], ['x', 'y', 'likelihood']], names=['scorer', 'bodyparts', 'coords']
)


def _table(columns: pd.MultiIndex) -> pd.DataFrame:
    values = np.random.default_rng(0).uniform(0, 100, (6, len(columns)))
    values[2, :3] = np.nan
    return pd.DataFrame(values, columns=columns)


def _csv(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path.with_suffix('.csv'))
    return path.with_suffix('.csv')


def _appendable(table: pd.DataFrame, path: Path) -> Path:
    """Write what `to_hdf(..., format='table')` of pandas writes, as DeepLabCut does."""
    h5py = pytest.importorskip('h5py')
    rows = np.zeros(len(table), [('index', 'i8'), ('values_block_0', 'f8', (table.shape[1],))])
    rows['index'], rows['values_block_0'] = table.index, table
    with h5py.File(path.with_suffix('.h5'), 'w') as file:
        group = file.create_group('df_with_missing')
        group.attrs['pandas_type'] = np.bytes_('frame_table')
        group['table'] = rows
        names = pickle.dumps(list(table.columns), 0)
        group['table'].attrs['values_block_0_kind'] = np.bytes_(names)
    return path.with_suffix('.h5')


def _fixed(table: pd.DataFrame, path: Path) -> Path:
    """Write what `to_hdf` of pandas writes by default."""
    h5py = pytest.importorskip('h5py')
    columns = table.columns
    assert isinstance(columns, pd.MultiIndex)
    with h5py.File(path.with_suffix('.h5'), 'w') as file:
        group = file.create_group('tracks')
        group.attrs['pandas_type'] = np.bytes_('frame')
        group.attrs['nblocks'] = 1
        group.attrs['axis1_variety'] = np.bytes_('regular')
        group['axis1'] = np.asarray(table.index)
        group.attrs['block0_items_variety'] = np.bytes_('multi')
        group.attrs['block0_items_nlevels'] = columns.nlevels
        for level, (known, at) in enumerate(zip(columns.levels, columns.codes, strict=True)):
            group[f'block0_items_level{level}'] = np.asarray(known, 'S')
            group[f'block0_items_label{level}'] = np.asarray(at, np.int8)
        group['block0_values'] = np.asarray(table)
        group['block0_values'].attrs['transposed'] = 1
    return path.with_suffix('.h5')


@pytest.mark.parametrize('write', [_csv, _appendable, _fixed])
@pytest.mark.parametrize('columns', [ONE_ANIMAL, ANIMALS])
def test_files_of_deeplabcut(
    tmp_path: Path, write: Callable[[pd.DataFrame, Path], Path], columns: pd.MultiIndex
) -> None:
    table = _table(columns)
    path = write(table, tmp_path / 'aDLC_resnet50')
    assert is_keypoint_file(path) and not leaves_frames_out(path)
    positions, names = read_keypoints(path)
    animals = ['m1 ', 'm2 '] if columns is ANIMALS else ['']
    assert names == [f'{animal}{name}' for animal in animals for name in ('nose', 'tail')]
    expected = np.asarray(table).reshape(6, -1, 3)[:, :, :2]
    np.testing.assert_allclose(positions, expected)
    assert np.isnan(positions[2, 0]).all() and keypoint_file(tmp_path, 'a') == path


def _sleap(path: Path, tracks: int) -> Path:
    """Write predictions of SLEAP: 5 frames of 7, of which it leaves the others out."""
    sleap_io = pytest.importorskip('sleap_io')
    skeleton = sleap_io.Skeleton(['nose', 'tail'])
    names = [sleap_io.Track(f'm{number}') for number in range(tracks)]
    frames = []
    video = sleap_io.Video('a.mp4', open_backend=False)
    for frame in (0, 1, 3, 4):
        instances = [
            sleap_io.PredictedInstance.from_numpy(
                np.array([[frame, number], [frame + 10, number + 0.5]]), skeleton, track=track
            )
            for number, track in enumerate(names or [None])
        ]
        frames.append(sleap_io.LabeledFrame(video=video, frame_idx=frame, instances=instances))
    labels = sleap_io.Labels(frames)
    if path.suffix == '.slp':
        sleap_io.save_slp(labels, str(path))
    else:
        sleap_io.save_analysis_h5(labels, str(path))
    return path


@pytest.mark.parametrize('suffix', ['.slp', '.analysis.h5'])
@pytest.mark.parametrize('tracks', [0, 1, 2])
def test_files_of_sleap(tmp_path: Path, suffix: str, tracks: int) -> None:
    path = _sleap(tmp_path / f'a{suffix}', tracks)
    assert is_keypoint_file(path) and leaves_frames_out(path)
    assert keypoint_file(tmp_path, 'a') == path
    positions, names = read_keypoints(path)
    animals = ['m0 ', 'm1 '] if tracks == 2 else ['']
    assert names == [f'{animal}{name}' for animal in animals for name in ('nose', 'tail')]
    assert positions.shape == (5, len(names), 2) and np.isnan(positions[2]).all()
    np.testing.assert_array_equal(positions[3, :2], [[3, 0], [13, 0.5]])
    if tracks == 2:
        np.testing.assert_array_equal(positions[3, 2:], [[3, 1], [13, 1.5]])


def test_animals_without_tracks_are_refused(tmp_path: Path) -> None:
    sleap_io = pytest.importorskip('sleap_io')
    path = _sleap(tmp_path / 'a.slp', 2)
    labels = sleap_io.load_slp(str(path), open_videos=False)
    for instance in labels.instances:
        instance.track = None
    labels.tracks = []
    sleap_io.save_slp(labels, str(tmp_path / 'b.slp'))
    with pytest.raises(BeastError, match='2 animals that are not told apart by tracks'):
        read_keypoints(tmp_path / 'b.slp')


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'a.slp').touch()
    monkeypatch.setitem(sys.modules, 'sleap_io', None)
    with pytest.raises(BeastError, match='a.slp needs the package sleap-io; install it'):
        read_keypoints(tmp_path / 'a.slp')
    (tmp_path / 'a.h5').touch()
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(BeastError, match='a.h5 needs the package h5py; install it'):
        read_keypoints(tmp_path / 'a.h5')


class _Trap:
    """Writes a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


def test_names_of_columns_that_are_code_are_not_run(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip('h5py')
    path = _appendable(_table(ONE_ANIMAL), tmp_path / 'a')
    trap = pickle.dumps([_Trap(tmp_path / 'unpickled')], 0)
    with h5py.File(path, 'a') as file:
        file['df_with_missing/table'].attrs['values_block_0_kind'] = np.bytes_(trap)
    with pytest.raises(BeastError, match='names code, .*, which beast does not run'):
        read_keypoints(path)
    assert not (tmp_path / 'unpickled').exists()
    pickle.loads(trap)
    assert (tmp_path / 'unpickled').exists()


@pytest.mark.parametrize('suffix', ['.h5', '.slp'])
@pytest.mark.parametrize('content', [b'', b'\0' * 512, b'\x89HDF\r\n\x1a\n' + bytes(200)])
def test_damaged_files_get_one_sentence(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f'a{suffix}'
    path.write_bytes(content)
    is_keypoint_file(path)
    with pytest.raises(BeastError, match='cannot be read as predicted keypoints') as error:
        read_keypoints(path)
    assert '\n' not in str(error.value) and str(path) in str(error.value)


def test_the_file_of_a_video_is_found_by_its_name(tmp_path: Path) -> None:
    assert keypoint_file(tmp_path, 'a') == tmp_path / 'a.csv'
    for name in ('abDLC_x.h5', 'b.csv', 'aDLC_1.csv'):
        (tmp_path / name).touch()
    assert keypoint_file(tmp_path, 'a') == tmp_path / 'aDLC_1.csv'
    (tmp_path / 'aDLC_2.csv').touch()
    with pytest.raises(BeastError, match=r'several files of keypoints of a \(aDLC_1.csv, aDLC_2'):
        keypoint_file(tmp_path, 'a')
    (tmp_path / 'a.h5').touch()
    assert keypoint_file(tmp_path, 'a') == tmp_path / 'a.h5'


@pytest.mark.parametrize(
    ('content', 'is_one'),
    [
        (HEADER + '0,1,2,1\n', True),
        ('s,n,n\nb,nose,nose\nc,x,y\n0,1,2\n', True),
        ('"scorer";"m"\n', True),
        ('', True),
        ('time,x,y\n0,1,2\n1,2,3\n', False),
        ('pupil\n1\n', False),
    ],
)
def test_a_csv_is_a_table_of_keypoints_by_its_header(
    tmp_path: Path, content: str, is_one: bool
) -> None:
    (tmp_path / 'a.csv').write_text(content)
    assert is_keypoint_file(tmp_path / 'a.csv') == is_one
    assert not is_keypoint_file(tmp_path / 'a.npy')
