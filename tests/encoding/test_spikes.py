"""Neural activity from files, good and bad."""

import io
import pickle
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from beast_lp.demo import TINY, write_project
from beast_lp.encoding.activity import Binned, SpikeTimes
from beast_lp.encoding.number_files import read_times
from beast_lp.encoding.spikes import read_activity
from beast_lp.errors import BeastError
from beast_lp.features.keypoints import read_keypoints
from beast_lp.video.labelled import read_labels

TIMES, CLUSTERS = np.array([0.5, 0.1, 0.9, 0.3]), np.array([7, 2, 7, 4])


def _alf(folder: Path, times: np.ndarray = TIMES, clusters: np.ndarray = CLUSTERS) -> Path:
    folder.mkdir(parents=True)
    np.save(folder / 'spikes.times.npy', times)
    np.save(folder / 'spikes.clusters.npy', clusters)
    return folder


def _check(activity: object) -> None:
    assert isinstance(activity, SpikeTimes)
    assert activity.times.tolist() == [0.1, 0.3, 0.5, 0.9]
    assert activity.unit.tolist() == [0, 1, 2, 2]
    assert activity.names.tolist() == [2, 4, 7]
    assert activity.span == (0.1, 0.9)


def test_an_alf_folder(tmp_path: Path) -> None:
    folder = _alf(tmp_path / 'session' / 'alf')
    acronyms = np.array([f'R{i}' for i in range(8)])
    np.save(folder / 'clusters.acronym.npy', acronyms)
    for path in (folder, folder.parent):
        activity = read_activity(path)
        _check(activity)
        assert activity.regions.tolist() == ['R2', 'R4', 'R7']


def test_an_alf_folder_with_a_table_or_without_regions(tmp_path: Path) -> None:
    folder = _alf(tmp_path / 'a')
    assert read_activity(folder).regions.tolist() == ['', '', '']
    (folder / 'clusters.table.csv').write_text('cluster_id,acronym\n2,VISp\n7,CA1\n')
    assert read_activity(folder).regions.tolist() == ['VISp', '', 'CA1']


def test_an_nwb_file(tmp_path: Path) -> None:
    pynwb = pytest.importorskip('pynwb')
    file = pynwb.NWBFile('a session', 'id', datetime(2026, 1, 1, tzinfo=timezone.utc))
    file.add_unit_column('location', 'brain region')
    for name, region in ((2, 'VISp'), (4, 'CA1'), (7, 'CA1')):
        file.add_unit(spike_times=np.sort(TIMES[name == CLUSTERS]), id=name, location=region)
    with pynwb.NWBHDF5IO(str(tmp_path / 's.nwb'), 'w') as io:
        io.write(file)
    activity = read_activity(tmp_path / 's.nwb')
    _check(activity)
    assert activity.regions.tolist() == ['VISp', 'CA1', 'CA1']
    (tmp_path / 'no.nwb').write_text('this is no NWB')
    with pytest.raises(BeastError, match='cannot be read as NWB'):
        read_activity(tmp_path / 'no.nwb')


def test_counts_of_the_demo_project(tmp_path: Path) -> None:
    write_project(tmp_path / 'lab', TINY)
    activity = read_activity(tmp_path / 'lab' / 'spikes' / 'session_01.npz')
    assert isinstance(activity, Binned)
    assert activity.values.shape == (60, 5)
    assert activity.width == pytest.approx(0.04)
    assert activity.frame_times is not None
    np.testing.assert_allclose(activity.frame_times, activity.times)
    assert activity.span == pytest.approx((0.0, 2.4))


def test_counts_without_times_begin_at_zero(tmp_path: Path) -> None:
    np.savez(tmp_path / 'c.npz', spike_counts=np.ones((4, 2), np.uint8), bin_s=0.1)
    activity = read_activity(tmp_path / 'c.npz')
    assert isinstance(activity, Binned)
    np.testing.assert_allclose(activity.times, [0.05, 0.15, 0.25, 0.35])
    assert activity.is_counts


def _npz(**content: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / 'c.npz', **content)  # type: ignore[arg-type]
        return folder / 'c.npz'

    return write


def _bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def _one_array(folder: Path) -> Path:
    np.save(folder / 'c.npy', np.ones((3, 2)))
    return (folder / 'c.npy').rename(folder / 'c.npz')


def _torn(folder: Path) -> Path:
    """Write an archive whose middle was overwritten."""
    path = folder / 'c.npz'
    np.savez_compressed(path, traces=np.random.default_rng(0).normal(size=(300, 20)), bin_s=1)
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
    path.write_bytes(content)
    return path


BAD: list[tuple[Callable[[Path], Path], str]] = [
    (lambda folder: folder / 'nowhere', 'there is no neural recording at'),
    (lambda folder: folder, 'lacks spikes.times.npy'),
    (lambda folder: _alf(folder / 'a', TIMES[:2]), r'differ in length \(2 and 4\)'),
    (lambda folder: _alf(folder / 'a', TIMES * np.nan), '4 of 4 spike times in .* are NaN'),
    (lambda folder: _alf(folder / 'a', TIMES[:0], CLUSTERS[:0]), 'holds no spikes'),
    (_npz(other=1), 'one of spike_counts and traces'),
    (_npz(spike_counts=np.ones(3), bin_s=1), r'must be \(bins, neurons\), found \(3,\)'),
    (_npz(spike_counts=np.ones((3, 2))), 'how long a bin is: it lacks bin_width'),
    (_npz(spike_counts=np.ones((3, 4)), bin_s=1, time_s=np.arange(2.0)), '3 bins but 2 bin times'),
    (_npz(spike_counts=np.full((3, 2), 0.5), bin_s=1), 'whole numbers'),
    (_npz(spike_counts=np.full((3, 2), 1e300), bin_s=1), 'reach 1e.300 in one bin, which no'),
    (_npz(spike_counts=np.full((3, 2), np.nan), bin_s=1), '6 of 6 spike_counts in .* are NaN'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, time_s=np.array([0, 2, 1.0])), 'do not ascend'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, regions=np.array(['a'])), '1 entries for 2 neurons'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, names=np.array('a')), '1 entries for 2 neurons'),
    # milliseconds for one of the two
    (
        _npz(traces=np.ones((3, 2)), bin_s=40, time_s=np.arange(3) * 0.04),
        'are 40 s .* 0.04 s apart',
    ),
    (_npz(traces=np.ones((3, 2)), bin_s=0.04, time_s=np.arange(3.0) * 40), '0.04 s .* 40 s apart'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, time_s=np.arange(3) / 2), '1 s long .* 0.5 s apart'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, names=np.ones(2, bool)), 'names in .* must be text or'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, names=np.array([b'a', b'\xe9'])), 'not text in UTF-8'),
    # half a pair of surrogates, and a number that is no character
    (_npz(traces=np.ones((3, 2)), bin_s=1, names=np.array(['a', '\ud800'])), 'names as UTF-8'),
    (
        _npz(traces=np.ones((3, 2)), bin_s=1, regions=np.full(2, 2**31 - 1, '<u4').view('<U1')),
        'holds the character 2147483647, which does not exist',
    ),
    (
        # Python makes a string of it, which fails where it is used
        _npz(
            traces=np.ones((3, 1)),
            bin_s=1,
            names=np.array([67, 65, 0x43000000], '<u4').view('<U3'),
        ),
        'holds the character 1124073472',
    ),
    (_npz(traces=np.ones((3, 2)), bin_s=0), 'above 0, found 0'),
    (_npz(traces=np.ones((3, 2)), bin_width=-0.1), 'above 0, found -0.1'),
    (_npz(traces=np.ones((3, 2)), bin_width=np.nan), 'above 0, found nan'),
    (_npz(traces=np.ones((3, 2)), bin_width=np.ones(3)), r'found an array of \(3,\)'),
    (_npz(traces=np.ones((3, 2)), bin_width='fast'), 'above 0, found fast'),
    (_npz(traces=np.full((3, 2), 'a'), bin_s=1), 'must be numbers, found values of type <U1'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, frame_times=np.ones((3, 2))), 'one column of seconds'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, bin_times=np.array(['a', 'b', 'c'])), 'be numbers'),
    (_npz(traces=np.array([[None]]), bin_s=1), 'cannot be read .it is no array of numbers'),
    (_bytes('c.npz', b''), 'c.npz cannot be read'),
    (_bytes('c.npz', b'PK\x03\x04'), 'c.npz cannot be read'),
    (_one_array, 'one array without a name'),
    (_torn, 'c.npz cannot be read'),
    (lambda folder: _alf(folder / 'a', TIMES, CLUSTERS + 0.5), 'must hold whole numbers'),
    (lambda folder: _alf(folder / 'a', TIMES.astype(str)), 'must be numbers'),
    (lambda folder: _alf(folder / 'a', np.ones((2, 2)), np.ones((2, 2))), 'differ in length'),
    (lambda folder: _alf(folder / 'a', TIMES.astype(object)), 'spikes.times.npy cannot be read'),
]


@pytest.mark.parametrize(('write', 'words'), BAD)
def test_bad_recordings_get_a_sentence(
    write: Callable[[Path], Path],
    words: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(BeastError, match=words) as error:
        read_activity(write(tmp_path))
    assert '\n' not in str(error.value)


def test_bins_of_a_jittering_clock_with_a_gap_are_read(tmp_path: Path) -> None:
    times = np.r_[np.arange(20), np.arange(30, 50)] * 0.1
    times += np.random.default_rng(0).uniform(-0.02, 0.02, 40)
    np.savez(tmp_path / 'c.npz', traces=np.ones((40, 2)), bin_s=0.1, bin_times=times)
    activity = read_activity(tmp_path / 'c.npz')
    assert isinstance(activity, Binned)
    np.testing.assert_array_equal(activity.times, times)


def test_names_and_regions_of_other_programs_are_text(tmp_path: Path) -> None:
    np.savez(
        tmp_path / 'c.npz',
        traces=np.ones((4, 3)),
        bin_s=1,
        names=np.array([b'a', b'b', b'c']),
        # as numpy writes a missing value among text
        regions=np.array(['CA1', np.nan, 'None']),
    )
    activity = read_activity(tmp_path / 'c.npz')
    assert activity.names.tolist() == ['a', 'b', 'c']
    assert activity.regions.tolist() == ['CA1', '', '']


@pytest.mark.parametrize(
    ('table', 'regions'),
    [
        # a cluster without a region, and one without a row
        ('cluster_id,acronym\n2,\n7,CA1\n', ['', '', 'CA1']),
        ('\ufeffcluster_id,acronym\n2,n/a\n4,PO\n7,CA1\n', ['', 'PO', 'CA1']),
        # the order of the columns, and those that pandas and Excel add
        ('acronym,cluster_id\nVISp,2\nCA1,7\n', ['VISp', '', 'CA1']),
        (',cluster_id,acronym\n0,2,VISp\n1,7,CA1\n', ['VISp', '', 'CA1']),
        ('cluster_id;depth;acronym\r\n2;0,5;VISp\r\n7;1,5;CA1\r\n', ['VISp', '', 'CA1']),
        ('id\tacronym\n2\tVISp\n7\tCA1\n', ['VISp', '', 'CA1']),
        ('cluster_id, acronym\n2, VISp\n7, CA1\n', ['VISp', '', 'CA1']),
        ('cluster_id,depth\n2,1\n', ['', '', '']),
    ],
)
def test_regions_of_tables_of_clusters(tmp_path: Path, table: str, regions: list[str]) -> None:
    folder = _alf(tmp_path / 'a')
    (folder / 'clusters.table.csv').write_text(table, encoding='utf-8', newline='')
    assert read_activity(folder).regions.tolist() == regions


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'', 'cannot be read as a table of clusters .No columns'),
        (b'\n\n', 'cannot be read as a table of clusters'),
        (b'cluster_id,acronym\n2,R\xe9gion\n', 'not text in UTF-8, found the byte 0xe9'),
        ('cluster_id,acronym\n2,CA1\n'.encode('utf-16'), 'not text in UTF-8'),
        (b'cluster_id,acronym\n2,CA1\n2,PO\n', 'has 2 rows for cluster 2; keep one'),
        (b'cluster_id,acronym\ngood,CA1\n', 'holds good as the number of a cluster in row 0'),
        (b'cluster_id,acronym\n2,CA1\n,PO\n', 'holds nan as the number of a cluster in row 1'),
        (b'cluster_id,acronym\n1.5,CA1\n', 'holds 1.5 as the number of a cluster'),
        (b'acronym,depth\n2,CA1,5\n', 'cannot be read as a table of clusters'),
        (b'cluster_id,acronym\n2,CA1\n3,"PO\n', 'cannot be read as a table of clusters'),
    ],
)
def test_odd_tables_of_clusters_get_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    folder = _alf(tmp_path / 'a')
    (folder / 'clusters.table.csv').write_bytes(content)
    with pytest.raises(BeastError, match=words) as error:
        read_activity(folder)
    assert '\n' not in str(error.value) and 'clusters.table.csv' in str(error.value)


def test_a_column_of_acronyms_is_flat(tmp_path: Path) -> None:
    folder = _alf(tmp_path / 'a')
    acronyms = np.array([f'R{i}' for i in range(5)] + ['nan'])
    np.save(folder / 'clusters.acronym.npy', acronyms[:, None])
    assert read_activity(folder).regions.tolist() == ['R2', 'R4', '']
    np.save(folder / 'clusters.acronym.npy', acronyms.astype('S'))
    assert read_activity(folder).regions.tolist() == ['R2', 'R4', '']
    for odd in (acronyms.reshape(3, 2), np.arange(8)):
        np.save(folder / 'clusters.acronym.npy', odd)
        with pytest.raises(BeastError, match='must be one column of names of regions'):
            read_activity(folder)


def _write_nwb(path: Path) -> Path:
    pynwb = pytest.importorskip('pynwb')
    file = pynwb.NWBFile('a session', 'id', datetime(2026, 1, 1, tzinfo=timezone.utc))
    file.add_unit_column('location', 'brain region')
    for region in ('VISp', 'nan'):
        file.add_unit(spike_times=np.arange(50) * 0.1, location=region)
    with pynwb.NWBHDF5IO(str(path), 'w') as io:
        io.write(file)
    return path


def test_an_nwb_unit_without_a_region_has_none(tmp_path: Path) -> None:
    assert read_activity(_write_nwb(tmp_path / 's.nwb')).regions.tolist() == ['VISp', '']


def _without(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        h5py = pytest.importorskip('h5py')
        with h5py.File(path, 'a') as file:
            if name in file:
                del file[name]
            else:
                folder, _, attribute = name.rpartition('@')
                del file[folder or '/'].attrs[attribute]

    return damage


def _plain(path: Path) -> None:
    h5py = pytest.importorskip('h5py')
    with h5py.File(path, 'w') as file:
        file['data'] = np.arange(3)


def _cut(share: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return damage


@pytest.mark.parametrize(
    'damage',
    [
        _without('identifier'),
        _without('session_start_time'),
        _without('units/spike_times'),
        _without('units/spike_times_index'),
        _without('units'),
        _without('@nwb_version'),
        _without('units@neurodata_type'),
        _plain,
        _cut(0.0),
        _cut(0.3),
        _cut(0.9),
    ],
)
def test_damaged_nwb_files_get_one_sentence(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = _write_nwb(tmp_path / 's.nwb')
    damage(path)
    with pytest.raises(BeastError, match=r's.nwb (cannot be read as NWB|has no table)') as error:
        read_activity(path)
    assert '\n' not in str(error.value) and len(str(error.value)) < 400 + len(str(path))


# ---------------------------------------------------------------------------------------------
# every reader: what it raises is a sentence, and nothing is unpickled
# ---------------------------------------------------------------------------------------------


class _Trap:
    """Write a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


def _pickled(mark: Path) -> bytes:
    return pickle.dumps(_Trap(mark))


def _object_array(mark: Path) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([_Trap(mark)], dtype=object), allow_pickle=True)
    return file.getvalue()


def _object_archive(mark: Path) -> bytes:
    file = io.BytesIO()
    np.savez(file, spike_counts=np.array([_Trap(mark)], dtype=object), bin_s=1)
    return file.getvalue()


def _long_array(mark: Path) -> bytes:
    """Return an array whose header promises more than follows."""
    file = io.BytesIO()
    np.save(file, np.zeros(4))
    return file.getvalue().replace(b'(4,), ', b'(4000,), ')[:-16]


DAMAGES: list[Callable[[Path], bytes]] = [
    lambda mark: b'',
    lambda mark: b'\0' * 512,
    lambda mark: bytes(range(256)) * 4,
    lambda mark: 'Zeit;Wert\n1;\u00e4\n'.encode('latin-1'),
    lambda mark: 'a,b\n1,2\n'.encode('utf-16'),
    lambda mark: b'<!DOCTYPE html><html><body>404 Not Found</body></html>',
    lambda mark: b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n',
    lambda mark: b'PK\x03\x04' + bytes(100),
    lambda mark: b'\x89HDF\r\n\x1a\n' + bytes(200),
    lambda mark: b'\x93NUMPY\x01\x00\xff\xff',
    lambda mark: b'a,"b\n1,2\n' * 3,
    _pickled,
    _object_array,
    _object_archive,
    _long_array,
]


def _read_alf_with(name: str) -> Callable[[Path, bytes], object]:
    def read(folder: Path, content: bytes) -> object:
        alf = _alf(folder / 'alf')
        (alf / name).write_bytes(content)
        return read_activity(alf)

    return read


def _read_file(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    def write_and_read(folder: Path, content: bytes) -> object:
        (folder / name).write_bytes(content)
        return read(folder / name)

    return write_and_read


READERS: dict[str, Callable[[Path, bytes], object]] = {
    'spikes.times.npy': _read_alf_with('spikes.times.npy'),
    'spikes.clusters.npy': _read_alf_with('spikes.clusters.npy'),
    'clusters.acronym.npy': _read_alf_with('clusters.acronym.npy'),
    'clusters.table.csv': _read_alf_with('clusters.table.csv'),
    'c.npz': _read_file('c.npz', read_activity),
    's.nwb': _read_file('s.nwb', read_activity),
    'times.npy': _read_file('times.npy', lambda path: read_times(path, 'camera times')),
    'times.csv': _read_file('times.csv', lambda path: read_times(path, 'camera times')),
    'keypoints.csv': _read_file('keypoints.csv', read_keypoints),
    'labels.csv': _read_file('labels.csv', lambda path: read_labels([path], path.parent)),
}


@pytest.mark.parametrize('number', range(len(DAMAGES)))
@pytest.mark.parametrize('name', READERS)
def test_no_reader_lets_a_damage_through(tmp_path: Path, name: str, number: int) -> None:
    mark = tmp_path / 'unpickled'
    content = DAMAGES[number](mark)
    if name == 's.nwb':
        pytest.importorskip('pynwb')
    with pytest.raises(BeastError) as error:
        READERS[name](tmp_path, content)
    assert '\n' not in str(error.value) and name in str(error.value)
    assert not mark.exists()


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(_pickled(tmp_path / 'unpickled'))
    assert (tmp_path / 'unpickled').exists()


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'spikes.txt').write_text('1')
    with pytest.raises(BeastError, match=r'phy or suite2p, an .nwb file, or an .npz'):
        read_activity(tmp_path / 'spikes.txt')
