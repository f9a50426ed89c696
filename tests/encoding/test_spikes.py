"""Neural activity from files, good and bad."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from beast_lp.demo import TINY, write_project
from beast_lp.encoding.spikes import Binned, SpikeTimes, read_activity
from beast_lp.errors import BeastError

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
    (_npz(spike_counts=np.ones((3, 2)), bin_s=1, time_s=np.arange(2.0)), '3 bins but 2 bin times'),
    (_npz(spike_counts=np.full((3, 2), 0.5), bin_s=1), 'whole numbers'),
    (_npz(spike_counts=np.full((3, 2), np.nan), bin_s=1), '6 of 6 spike_counts in .* are NaN'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, time_s=np.array([0, 2, 1.0])), 'do not ascend'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, regions=np.array(['a'])), '1 entries for 2 neurons'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, names=np.array('a')), '1 entries for 2 neurons'),
    (_npz(traces=np.ones((3, 2)), bin_s=0), 'above 0, found 0'),
    (_npz(traces=np.ones((3, 2)), bin_width=-0.1), 'above 0, found -0.1'),
    (_npz(traces=np.ones((3, 2)), bin_width=np.nan), 'above 0, found nan'),
    (_npz(traces=np.ones((3, 2)), bin_width=np.ones(3)), r'found an array of \(3,\)'),
    (_npz(traces=np.ones((3, 2)), bin_width='fast'), 'above 0, found fast'),
    (_npz(traces=np.full((3, 2), 'a'), bin_s=1), 'must be numbers, found values of type <U1'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, frame_times=np.ones((3, 2))), 'one column of seconds'),
    (_npz(traces=np.ones((3, 2)), bin_s=1, bin_times=np.array(['a', 'b', 'c'])), 'be numbers'),
    (_npz(traces=np.array([[None]]), bin_s=1), 'cannot be read .Object arrays'),
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


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'spikes.txt').write_text('1')
    with pytest.raises(BeastError, match=r'an .nwb file, or an .npz'):
        read_activity(tmp_path / 'spikes.txt')
