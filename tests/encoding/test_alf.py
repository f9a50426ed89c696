"""ALF folders whose names have optional parts."""

from pathlib import Path

import numpy as np
import pytest

from beast_lp.encoding.activity import SpikeTimes
from beast_lp.encoding.alf import alf_file, alf_folders
from beast_lp.encoding.spikes import read_activity
from beast_lp.errors import BeastError

UUID = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'


def _spikes(folder: Path, first: float = 0.0, times: str = 'times', extra: str = '') -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f'spikes.{times}{extra}.npy', np.array([first, 1.0]))
    np.save(folder / f'spikes.clusters{extra}.npy', np.array([0, 3]))
    return folder


def _read(path: Path) -> SpikeTimes:
    activity = read_activity(path)
    assert isinstance(activity, SpikeTimes)
    assert activity.names.tolist() == [0, 3]
    return activity


def test_optional_parts_of_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _read(_spikes(tmp_path / 'uuid', extra=f'.{UUID}'))
    _read(_spikes(tmp_path / 'session' / 'alf' / '#2024-05-06#').parents[1])
    folder = _spikes(tmp_path / 'namespace')
    (folder / 'spikes.times.npy').rename(folder / '_ibl_spikes.times.npy')
    _read(folder)
    assert not caplog.text
    _read(_spikes(tmp_path / 'clock', times='times_ephysClock'))
    assert 'are those of the clock ephysClock; the camera times must be of this' in caplog.text


def test_regions_are_found_by_the_same_names(tmp_path: Path) -> None:
    folder = _spikes(tmp_path / 'a')
    (folder / f'clusters.table.{UUID}.csv').write_text('cluster_id,acronym\n3,CA1\n')
    assert _read(folder).regions.tolist() == ['', 'CA1']
    (folder / '#1#').mkdir()
    np.save(folder / '#1#' / f'clusters.acronym.{UUID}.npy', np.array(['PO', 'x', 'x', 'DG']))
    assert _read(folder).regions.tolist() == ['PO', 'DG']


def test_the_latest_revision_of_each_file_is_read(tmp_path: Path) -> None:
    folder = _spikes(tmp_path / 'alf', first=0.1)
    assert _read(folder).times.tolist() == [0.1, 1]
    for revision, first in (('#2023-12-31#', 0.2), ('#2024-05-06#', 0.3)):
        _spikes(folder / revision, first)
    (folder / '#2024-05-06#' / 'spikes.clusters.npy').unlink()
    assert _read(folder).times.tolist() == [0.3, 1]
    assert alf_file(folder, 'spikes.clusters.npy') == folder / '#2023-12-31#/spikes.clusters.npy'


@pytest.mark.parametrize('given', ['.', 'alf', 'alf/probe00'])
def test_the_only_probe_below_alf_is_found(tmp_path: Path, given: str) -> None:
    _spikes(tmp_path / 'alf' / 'probe00' / 'pykilosort' / '#2024-05-06#')
    _read(tmp_path / given)


@pytest.mark.parametrize('given', ['.', 'alf', 'alf/probe00,{}/alf/probe01'])
def test_several_probes_of_a_session_are_joined(tmp_path: Path, given: str) -> None:
    first = _spikes(tmp_path / 'alf' / 'probe00', first=0.3)
    second = _spikes(tmp_path / 'alf' / 'probe01' / 'pykilosort', first=0.2)
    np.save(first / 'clusters.acronym.npy', np.array(['PO', 'x', 'x', 'DG']))
    activity = read_activity(f'{tmp_path}/{given.format(tmp_path)}')
    assert isinstance(activity, SpikeTimes)
    assert activity.names.tolist() == ['probe00_0', 'probe00_3', 'probe01_0', 'probe01_3']
    assert activity.regions.tolist() == ['PO', 'DG', '', '']
    assert activity.times.tolist() == [0.2, 0.3, 1, 1]
    assert activity.unit.tolist() == [2, 0, 1, 3]
    # one alone keeps the numbers of its clusters
    assert _read(second).times.tolist() == [0.2, 1]


def test_probes_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    folders = [_spikes(tmp_path / side / 'alf') for side in ('left', 'right')]
    activity = read_activity(f'{folders[0]},{folders[1]}')
    assert activity.names.tolist() == ['left_0', 'left_3', 'right_0', 'right_3']
    with pytest.raises(BeastError, match='left/alf stands twice'):
        read_activity(f'{folders[0]},{folders[0]}')


@pytest.mark.parametrize('given', ['.', 'alf', 'alf/probe00'])
def test_one_of_several_sorters_must_be_chosen(tmp_path: Path, given: str) -> None:
    probe = tmp_path / 'alf' / 'probe00'
    sorters = [_spikes(probe / name) for name in ('ks2', 'pykilosort')]
    with pytest.raises(BeastError, match=f'several sorters; give {sorters[0]} or {sorters[1]}$'):
        read_activity(tmp_path / given)
    _read(sorters[1])


def test_a_recording_in_bins_cannot_be_joined(tmp_path: Path) -> None:
    np.savez(tmp_path / 'c.npz', traces=np.ones((3, 2)), bin_s=1)
    folder = _spikes(tmp_path / 'probe00')
    with pytest.raises(BeastError, match='c.npz holds binned values, which cannot be joined'):
        read_activity(f'{folder},{tmp_path / "c.npz"}')


def test_a_folder_without_spikes_anywhere_lacks_them(tmp_path: Path) -> None:
    (tmp_path / 'alf' / 'probe00').mkdir(parents=True)
    assert alf_folders(tmp_path) == {'alf': tmp_path / 'alf'}
    with pytest.raises(BeastError, match='alf lacks spikes.times.npy'):
        read_activity(tmp_path)


def test_regions_of_older_exports(tmp_path: Path) -> None:
    folder = _spikes(tmp_path / 'a')
    np.save(
        folder / 'clusters.brainLocationAcronyms_ccf_2017.npy', np.array(['PO', 'x', 'x', 'DG'])
    )
    assert _read(folder).regions.tolist() == ['PO', 'DG']


def test_several_files_of_one_kind_are_refused(tmp_path: Path) -> None:
    folder = _spikes(tmp_path / 'a', times='times_ephysClock')
    _spikes(folder, times='times_bpod')
    with pytest.raises(BeastError, match='several files of spikes.times .*bpod.*ephysClock'):
        read_activity(folder)
    # that without a clock is on the one of the session
    _spikes(folder, first=0.5)
    assert _read(folder).times.tolist() == [0.5, 1]
    # a part of the spikes is not all of them
    folder = _spikes(tmp_path / 'b', extra='.part1')
    with pytest.raises(BeastError, match='lacks spikes.times.npy'):
        read_activity(folder)
