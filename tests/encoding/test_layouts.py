"""Folders and files of recordings as phy, suite2p and NWB lay them out."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beast_lp.encoding.activity import Activity, Binned, SpikeTimes
from beast_lp.encoding.spikes import read_activity
from beast_lp.errors import BeastError

# ---------------------------------------------------------------------------------------------
# phy
# ---------------------------------------------------------------------------------------------


@pytest.fixture
def phy(tmp_path: Path) -> Path:
    folder = tmp_path / 'sorted'
    folder.mkdir()
    np.save(folder / 'spike_times.npy', np.array([[30_000], [45_000], [60_000]], np.uint64))
    np.save(folder / 'spike_clusters.npy', np.array([7, 2, 7], np.int32))
    (folder / 'params.py').write_text('raise SystemExit\nsample_rate = 3e4\noffset = 0\n')
    return folder


def test_a_folder_of_phy(phy: Path, caplog: pytest.LogCaptureFixture) -> None:
    activity = read_activity(phy)
    assert isinstance(activity, SpikeTimes)
    assert activity.times.tolist() == [1.0, 1.5, 2.0]
    assert activity.names.tolist() == [2, 7] and activity.unit.tolist() == [1, 0, 1]
    assert activity.regions.tolist() == ['', ''] and not caplog.text
    (phy / 'cluster_group.tsv').write_text('cluster_id\tgroup\n2\tnoise\n7\tgood\n')
    (phy / 'cluster_region.tsv').write_text('cluster_id\tregion\n7\tCA1\n')
    assert read_activity(phy).regions.tolist() == ['', 'CA1']
    assert '1 of the 2 clusters in' in caplog.text and 'are called noise' in caplog.text
    assert read_activity(phy, 'group=good').names.tolist() == [7]


def test_a_folder_of_kilosort(phy: Path) -> None:
    (phy / 'spike_clusters.npy').rename(phy / 'spike_templates.npy')
    assert read_activity(phy).names.tolist() == [2, 7]


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('params.py', None, 'counted in samples, and no line `sample_rate'),
        ('params.py', b'sample_rate = rate()', 'counted in samples, and no line `sample_rate'),
        ('params.py', b'sample_rate = 0', 'counted in samples, and no line `sample_rate'),
        ('params.py', b'\xff\xfe', 'params.py cannot be read'),
        ('spike_clusters.npy', None, 'sorted lacks spike_clusters.npy'),
        ('spike_clusters.npy', np.arange(4), r'differ in length \(3 and 4\)'),
        ('spike_clusters.npy', np.arange(3) - 1, 'must hold whole numbers from 0 on'),
        ('spike_times.npy', np.full(3, np.nan), '3 of 3 spike times in'),
        ('spike_times.npy', b'', 'spike_times.npy cannot be read'),
        ('cluster_group.tsv', b'cluster_id\tgroup\nx\tgood\n', 'holds x as the number of a'),
    ],
)
def test_damaged_folders_of_phy_get_a_sentence(
    phy: Path, name: str, content: object, words: str
) -> None:
    if content is None:
        (phy / name).unlink()
    elif isinstance(content, bytes):
        (phy / name).write_bytes(content)
    else:
        np.save(phy / name, content)  # type: ignore[arg-type]
    with pytest.raises(BeastError, match=words) as error:
        read_activity(phy)
    assert '\n' not in str(error.value) and str(phy) in str(error.value)


# ---------------------------------------------------------------------------------------------
# suite2p, and arrays the other way round
# ---------------------------------------------------------------------------------------------


@pytest.fixture
def plane(tmp_path: Path) -> Path:
    folder = tmp_path / 'session' / 'suite2p' / 'plane0'
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    np.save(folder / 'F.npy', draw.normal(size=(3, 20)).astype(np.float32))
    np.save(folder / 'Fneu.npy', draw.normal(size=(3, 20)).astype(np.float32))
    np.save(folder / 'iscell.npy', np.array([[1, 0.9], [0, 0.2], [1, 0.6]]))
    np.save(folder / 'frame_times.npy', 5 + np.arange(20) / 30)
    return folder


@pytest.mark.parametrize('below', ['', 'suite2p', 'suite2p/plane0'])
def test_a_folder_of_suite2p(plane: Path, below: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        activity = read_activity(plane.parents[1] / below)
    assert isinstance(activity, Binned) and not activity.is_counts
    assert activity.names.tolist() == [0, 2] and '2 of the 3 traces' in caplog.text
    fluorescence = np.load(plane / 'F.npy') - 0.7 * np.load(plane / 'Fneu.npy')
    np.testing.assert_allclose(activity.values, fluorescence[[0, 2]].T, rtol=1e-6)
    assert activity.width == pytest.approx(1 / 30)
    assert activity.times[0] == 5
    assert read_activity(plane, 'iscell_probability>=0.1').names.tolist() == [0, 1, 2]


def test_a_folder_of_suite2p_the_other_way_round(plane: Path) -> None:
    expected = read_activity(plane)
    for name in ('F.npy', 'Fneu.npy'):
        np.save(plane / name, np.load(plane / name).T)
    found = read_activity(plane)
    assert isinstance(expected, Binned) and isinstance(found, Binned)
    np.testing.assert_array_equal(found.values, expected.values)


def _second_plane(plane: Path) -> None:
    (plane.parent / 'plane1').mkdir()
    np.save(plane.parent / 'plane1' / 'F.npy', np.ones((3, 20)))


@pytest.mark.parametrize(
    ('damage', 'words'),
    [
        (lambda plane: (plane / 'frame_times.npy').unlink(), 'are unknown; write frame_times.npy'),
        (lambda plane: np.save(plane / 'frame_times.npy', np.arange(9.0)), r'but there are 9 fr'),
        (lambda plane: np.save(plane / 'frame_times.npy', np.ones(20)), 'do not ascend'),
        (lambda plane: np.save(plane / 'Fneu.npy', np.ones((2, 20))), 'differ in shape'),
        (lambda plane: np.save(plane / 'iscell.npy', np.ones((2, 2))), r'must be \(3, 2\)'),
        (lambda plane: np.save(plane / 'iscell.npy', np.zeros((3, 2))), 'none of the 3 traces'),
        (lambda plane: np.save(plane / 'F.npy', np.full((3, 20), np.nan)), '60 of 60 traces'),
        (_second_plane, r'holds several planes.*plane0 or .*plane1$'),
    ],
)
def test_odd_folders_of_suite2p_get_a_sentence(
    plane: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(plane)
    with pytest.raises(BeastError, match=words) as error:
        read_activity(plane.parent)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('content', 'transposed'),
    [
        ({'bin_times': np.arange(40) * 0.1}, True),
        ({'names': np.array(['a', 'b', 'c'])}, True),
        ({'frame_times': np.arange(120) / 30}, True),
        # nothing tells: as documented
        ({}, False),
        ({'frame_times': np.arange(120) * np.nan}, False),
        # the video is longer than both
        ({'frame_times': np.arange(1200) / 30}, False),
    ],
)
def test_counts_the_other_way_round(
    tmp_path: Path, content: dict[str, np.ndarray], transposed: bool
) -> None:
    traces = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    np.savez(tmp_path / 'c.npz', traces=traces, bin_width=0.1, **content)  # type: ignore[arg-type]
    activity = read_activity(tmp_path / 'c.npz')
    assert isinstance(activity, Binned)
    np.testing.assert_array_equal(activity.values, traces.T if transposed else traces)
    np.savez(tmp_path / 'd.npz', traces=traces.T, bin_width=0.1, **content)  # type: ignore[arg-type]
    activity = read_activity(tmp_path / 'd.npz')
    assert isinstance(activity, Binned)
    np.testing.assert_array_equal(activity.values, traces.T)


# ---------------------------------------------------------------------------------------------
# NWB
# ---------------------------------------------------------------------------------------------


@pytest.fixture
def nwb(tmp_path: Path) -> Callable[[Callable[[Any], None]], Activity]:
    """Return a function that writes an NWB file that another has filled, and reads it."""
    pynwb = pytest.importorskip('pynwb')

    def write_and_read(fill: Callable[[Any], None]) -> Activity:
        file = pynwb.NWBFile('a session', 'id', datetime(2026, 1, 1, tzinfo=timezone.utc))
        fill(file)
        with pynwb.NWBHDF5IO(str(tmp_path / 's.nwb'), 'w') as io:
            io.write(file)
        return read_activity(tmp_path / 's.nwb')

    return write_and_read


def _electrodes(file: Any, locations: Sequence[str]) -> None:
    device = file.create_device('probe')
    group = file.create_electrode_group('shank', 'one', 'Thalamus', device)
    for number, location in enumerate(locations):
        file.add_electrode(group=group, location=location, id=100 + number)


def test_regions_of_the_electrodes(
    nwb: Callable[..., Activity], caplog: pytest.LogCaptureFixture
) -> None:
    def fill(file: Any) -> None:
        _electrodes(file, ['VISp', 'CA1', 'CA1', 'unknown'])
        for electrodes in ([0], [1, 0, 2], [3], [2]):
            file.add_unit(spike_times=[0.1, 0.2], electrodes=electrodes)

    assert nwb(fill).regions.tolist() == ['VISp', 'CA1', '', 'CA1']
    assert '1 of the 4 units in' in caplog.text and 'electrodes in several regions' in caplog.text


def test_regions_by_the_number_of_the_largest_electrode(nwb: Callable[..., Activity]) -> None:
    def fill(file: Any) -> None:
        _electrodes(file, ['VISp', 'CA1'])
        file.add_unit_column('peak_channel_id', 'as the Allen Institute has it')
        for peak in (101, 100, 7):
            file.add_unit(spike_times=[0.1, 0.2], peak_channel_id=peak)

    assert nwb(fill).regions.tolist() == ['CA1', 'VISp', '']


def test_regions_of_the_electrode_group(nwb: Callable[..., Activity]) -> None:
    def fill(file: Any) -> None:
        _electrodes(file, ['unknown'])
        for _ in range(2):
            file.add_unit(spike_times=[0.1], electrode_group=file.electrode_groups['shank'])

    assert nwb(fill).regions.tolist() == ['Thalamus', 'Thalamus']


def _planes(file: Any) -> Any:
    import pynwb

    channel = pynwb.ophys.OpticalChannel(
        name='green', description='a filter', emission_lambda=500.0
    )
    plane = file.create_imaging_plane(
        name='plane',
        optical_channel=channel,
        description='one',
        device=file.create_device('scope'),
        excitation_lambda=900.0,
        indicator='GCaMP6',
        location='V1',
        imaging_rate=30.0,
    )
    table = pynwb.ophys.PlaneSegmentation(
        description='cells', imaging_plane=plane, name='PlaneSegmentation'
    )
    table.add_column('is_good', 'by eye')
    for number, good in ((4, True), (8, False), (9, True)):
        table.add_roi(image_mask=np.ones((2, 2)), id=number, is_good=good)
    return table


def _traces(
    file: Any, table: Any, kind: str, data: np.ndarray, rows: Sequence[int], **time: Any
) -> None:
    import pynwb

    if 'ophys' not in file.processing:
        module = file.create_processing_module('ophys', 'traces')
        module.add(pynwb.ophys.ImageSegmentation(plane_segmentations=[table]))
    region = table.create_roi_table_region('these', region=list(rows))
    series = pynwb.ophys.RoiResponseSeries(
        name='RoiResponseSeries', data=data, rois=region, unit='F', **time
    )
    holder = getattr(pynwb.ophys, kind)
    file.processing['ophys'].add(holder(roi_response_series=series, name=kind))


def _turn(path: Path) -> None:
    """Transpose the traces of a file, which pynwb reads but does not write."""
    h5py: Any = pytest.importorskip('h5py')
    with h5py.File(path, 'a') as file:
        series = file['processing/ophys/DfOverF/RoiResponseSeries']
        attributes, data = dict(series['data'].attrs), series['data'][:]
        del series['data']
        series['data'] = data.T
        series['data'].attrs.update(attributes)


VALUES = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ('data', 'time', 'times'),
    [
        (VALUES, {'rate': 30.0, 'starting_time': 2.0}, 2 + np.arange(12) / 30),
        (VALUES, {'timestamps': np.arange(12) * 0.1}, np.arange(12) * 0.1),
        # the other way round
        (VALUES.T, {'rate': 30.0}, np.arange(12) / 30),
    ],
)
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_traces_of_calcium(
    nwb: Callable[..., Activity],
    tmp_path: Path,
    data: np.ndarray,
    time: dict[str, Any],
    times: np.ndarray,
) -> None:
    def fill(file: Any) -> None:
        table = _planes(file)
        _traces(file, table, 'DfOverF', data, [2, 1], **time)
        _traces(file, table, 'Fluorescence', VALUES + 9, [2, 1], rate=30.0)

    activity = nwb(fill)
    assert isinstance(activity, Binned) and not activity.is_counts
    np.testing.assert_array_equal(activity.values, VALUES)
    np.testing.assert_allclose(activity.times, times)
    assert activity.width == pytest.approx(times[1] - times[0])
    assert activity.names.tolist() == [9, 8] and activity.regions.tolist() == ['V1', 'V1']
    assert read_activity(tmp_path / 's.nwb', 'is_good=true').names.tolist() == [9]
    if 'timestamps' in time:
        _turn(tmp_path / 's.nwb')
        turned = read_activity(tmp_path / 's.nwb')
        assert isinstance(turned, Binned)
        np.testing.assert_array_equal(turned.values, VALUES)


def test_a_file_with_neither_spikes_nor_traces(nwb: Callable[..., Activity]) -> None:
    with pytest.raises(BeastError, match='has no table of units with spike times, and no traces'):
        nwb(lambda file: None)
