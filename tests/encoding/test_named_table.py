"""Tables of regressors with a row for each frame, time or trial."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beast_lp.config import parse_config
from beast_lp.encoding.align import features_in
from beast_lp.encoding.named_table import SUFFIXES, read_named_table
from beast_lp.encoding.rows import row_times
from beast_lp.encoding.sources import find_sources, read_features
from beast_lp.encoding.spikes import read_activity
from beast_lp.encoding.stage import load_sessions
from beast_lp.errors import BeastError

NAN = np.nan
TABLE = pd.DataFrame({'pupil': [1.0, NAN, 3.0], 'wheel speed': [4, 5, 6]})


def _npy(table: pd.DataFrame, path: Path) -> Path:
    np.save(path.with_suffix('.npy'), table.to_records(index=False))
    return path.with_suffix('.npy')


def _csv(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path.with_suffix('.csv'), index=False)
    return path.with_suffix('.csv')


def _indexed(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path.with_suffix('.csv'))
    return path.with_suffix('.csv')


def _semicolons(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path.with_suffix('.csv'), index=False, sep=';', decimal=',')
    return path.with_suffix('.csv')


def _tabs(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path.with_suffix('.tsv'), index=False, sep='\t')
    return path.with_suffix('.tsv')


def _plain_h5(table: pd.DataFrame, path: Path) -> Path:
    h5py = pytest.importorskip('h5py')
    with h5py.File(path.with_suffix('.h5'), 'w', track_order=True) as file:
        for name, column in table.items():
            file.create_dataset(str(name), data=np.asarray(column))
    return path.with_suffix('.h5')


def _square_h5(table: pd.DataFrame, path: Path) -> Path:
    h5py = pytest.importorskip('h5py')
    with h5py.File(path.with_suffix('.hdf5'), 'w') as file:
        file['data'] = np.asarray(table, np.float64)
        file['names'] = [str(name) for name in table]
    return path.with_suffix('.hdf5')


def _pandas_h5(table: pd.DataFrame, path: Path) -> Path:
    """Write what `to_hdf(..., format='table')` writes: a block of columns for each type."""
    h5py = pytest.importorskip('h5py')
    blocks: dict[Any, list[str]] = {}
    for name, column in table.items():
        blocks.setdefault(column.dtype, []).append(str(name))
    kinds: list[Any] = [('index', 'i8')]
    for number, (kind, names) in enumerate(blocks.items()):
        kinds.append((f'values_block_{number}', kind, (len(names),)))
    rows = np.zeros(len(table), kinds)
    with h5py.File(path.with_suffix('.h5'), 'w') as file:
        group = file.create_group('data')
        group.attrs['pandas_type'] = np.bytes_('frame_table')
        for number, names in enumerate(blocks.values()):
            rows[f'values_block_{number}'] = table[names]
        group['table'] = rows
        for number, names in enumerate(blocks.values()):
            group['table'].attrs[f'values_block_{number}_kind'] = np.bytes_(pickle.dumps(names, 0))
    return path.with_suffix('.h5')


def _parquet(table: pd.DataFrame, path: Path) -> Path:
    pytest.importorskip('pyarrow')
    table.to_parquet(path.with_suffix('.parquet'))
    return path.with_suffix('.parquet')


WRITERS = [_npy, _csv, _indexed, _semicolons, _tabs, _plain_h5, _square_h5, _pandas_h5, _parquet]
Write = Callable[[pd.DataFrame, Path], Path]


@pytest.mark.parametrize('write', WRITERS)
def test_columns_have_names_and_missing_values(tmp_path: Path, write: Write) -> None:
    path = write(TABLE, tmp_path / 'a')
    assert path.suffix in SUFFIXES
    found = read_named_table(path)
    np.testing.assert_array_equal(found.values, [[1, 4], [NAN, 5], [3, 6]])
    assert found.made_by == 'the columns pupil, wheel speed'
    assert found.clock is None and found.is_table and found.frames_in_video == 3


@pytest.mark.parametrize('write', WRITERS)
def test_a_column_of_times_is_a_clock(tmp_path: Path, write: Write) -> None:
    table = TABLE.assign(Time_s=[0.5, 1.5, 2.25])
    found = read_named_table(write(table, tmp_path / 'a'))
    assert found.clock is not None and found.clock.tolist() == [0.5, 1.5, 2.25]
    assert found.values.shape == (3, 2)


def test_columns_without_names_have_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / 'a.npy', np.ones((3, 2)))
    np.save(tmp_path / 'b.npy', np.ones(3))
    (tmp_path / 'c.csv').write_text('1,2\n3,4\n')
    made_by = [read_named_table(tmp_path / name).made_by for name in ('a.npy', 'b.npy', 'c.csv')]
    assert made_by == ['the columns column 0, column 1', 'the columns column 0', made_by[0]]
    assert read_named_table(tmp_path / 'c.csv').values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('a.csv', b'', 'cannot be read as a table'),
        ('a.csv', b'a,b\n', 'found 0 rows and 2 columns'),
        ('a.csv', b'a,b\n1,fast\n', "column 'b' of .* holds 'fast' in row 0, which is no number"),
        ('a.csv', b'a,a\n1,2\n', "has two columns called 'a'"),
        ('a.csv', b'a,b\n1,\n2,\n', "has no value in its column 'b'; leave it out"),
        ('a.csv', b'a,b\n1,2,3\n', 'cannot be read as a table'),
        ('a.csv', b'time,b\n2,1\n1,1\n', "'time' of .* must hold seconds that ascend"),
        ('a.csv', b'time,b\n2,1\n,1\n', "'time' of .* must hold seconds that ascend"),
        ('a.csv', b'time\n2\n3\n', 'holds times alone'),
        ('a.csv', 'a,b\n1,\u00e4\n'.encode('latin-1'), 'not text in UTF-8'),
        ('a.npy', np.ones((2, 2, 2)), r'an array of \(2, 2, 2\), and no table'),
        ('a.npy', np.array(['a', 'b']), "holds 'a' in row 0, which is no number"),
        ('a.npy', np.array([None]), 'objects of Python are not read'),
        ('a.npy', np.zeros(3, 'M8[s]'), 'holds dates and not seconds'),
        ('a.npy', b'PK', 'cannot be read as a table'),
        ('a.h5', b'', 'cannot be read as a table'),
        ('a.parquet', b'PAR1', 'pyarrow|cannot be read as a table'),
    ],
)
def test_odd_tables_get_a_sentence(tmp_path: Path, name: str, content: object, words: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(BeastError, match=words) as error:
        read_named_table(path)
    assert '\n' not in str(error.value) and str(path) in str(error.value)


# ---------------------------------------------------------------------------------------------
# beside other sources of a session
# ---------------------------------------------------------------------------------------------


@pytest.fixture
def spikes(simulated: dict[str, np.ndarray], tmp_path: Path) -> Path:
    np.savez(
        tmp_path / 's1.npz',
        spike_counts=simulated['counts'],
        bin_times=simulated['times'],
        bin_width=0.05,
    )
    return tmp_path / 's1.npz'


def _sessions(spikes: Path, sources: dict[str, Path], **changes: Any) -> Any:
    config = parse_config({'encoding': {'min_rate_hz': 0.1, 'split': {'block_s': 4}, **changes}})
    found = find_sources(list(sources.items()))
    (session,) = load_sessions(config.encoding, 0, [('s1', spikes)], found)
    return session


def _in_bins(spikes: Path, path: Path, bins: Any, events: Any = None, **changes: Any) -> Any:
    """Return the features of a source in bins, and whether each is known."""
    config = parse_config({'encoding': changes}).encoding
    (source,) = find_sources([('table', path)])
    views = read_features(source, 's1', True, 'cls')
    rows = row_times('s1', read_activity(spikes), {'table': views}, events, config)
    near = rows.near('table', views, bins, config)
    return features_in([view.values for view in views], near), near.known


def test_a_table_with_times_is_read_at_the_bins(
    spikes: Path,
    simulated: dict[str, np.ndarray],
    write_store: Callable[..., Path],
    tmp_path: Path,
) -> None:
    store = write_store('s1', simulated['features'], simulated['times'])
    # at another rate, over the middle of the recording, with a gap in one of its columns
    times = np.arange(20, 80, 0.03)
    gap = (times > 40) & (times < 41)
    table = pd.DataFrame({'time': times, 'slope': 2 * times, 'gappy': np.where(gap, NAN, 1.0)})
    path = _csv(table, tmp_path / 'wheel')
    session = _sessions(spikes, {'video': store, 'wheel': path}, components=None)
    centres = session.bins.times
    assert centres[[0, -1]] == pytest.approx([19.975, 79.975])
    assert not ((centres > 40.06) & (centres < 40.94)).any()
    assert ((centres > 39) & (centres < 42)).sum() > 35
    got, known = _in_bins(spikes, path, session.bins)
    assert known.all()
    np.testing.assert_allclose(got[:, 0], 2 * np.clip(centres, 20, times[-1]), rtol=1e-5)
    # alone, without a video
    alone = _sessions(spikes, {'wheel': path})
    np.testing.assert_array_equal(alone.bins.times, centres)


def test_a_table_with_a_row_per_frame_needs_the_times_of_the_frames(
    spikes: Path,
    simulated: dict[str, np.ndarray],
    write_store: Callable[..., Path],
    tmp_path: Path,
) -> None:
    store = write_store('s1', simulated['features'], simulated['times'])
    path = _npy(pd.DataFrame({'ramp': np.arange(2400.0)}), tmp_path / 'wheel')
    session = _sessions(spikes, {'video': store, 'wheel': path})
    assert len(session.bins) == 2400
    with pytest.raises(BeastError, match="times of the frames of session 's1' are unknown"):
        _sessions(spikes, {'wheel': path})
    np.save(tmp_path / 'camera.npy', simulated['times'])
    got, known = _in_bins(spikes, path, session.bins, camera_times=str(tmp_path / 'camera.npy'))
    assert known.all()
    np.testing.assert_allclose(got[:, 0], np.arange(2400))
    short = _npy(pd.DataFrame({'ramp': np.arange(2300.0)}), tmp_path / 'short')
    with pytest.raises(BeastError, match=r'lengths \(video 2400, wheel 2300 frames\)'):
        _sessions(spikes, {'video': store, 'wheel': short})


def test_a_table_with_a_row_per_trial(
    spikes: Path,
    simulated: dict[str, np.ndarray],
    write_store: Callable[..., Path],
    tmp_path: Path,
) -> None:
    store = write_store('s1', simulated['features'], simulated['times'])
    events = np.arange(4, 116, 4.0)
    # in no order, one missing, and one too early to have a window
    events = np.r_[events[::-1], NAN, 0.2]
    values = np.arange(len(events), dtype=float)
    values[3] = NAN
    np.save(tmp_path / 'events.npy', events)
    path = _csv(pd.DataFrame({'contrast': values}), tmp_path / 'stimulus')
    trials = {'events': str(tmp_path / 'events.npy'), 'window': [-0.5, 1.0]}
    session = _sessions(spikes, {'video': store, 'stimulus': path}, trials=trials)
    # the trial without a contrast is left out
    assert len(np.unique(session.bins.group)) == 27 and events[3] == 100
    starts = session.bins.times.reshape(27, 30)[:, 0] - 0.025 + 0.5
    assert np.abs(starts - 100).min() > 3.9
    got, known = _in_bins(spikes, path, session.bins, events, trials=trials)
    assert known.all()
    expected = [values[np.nanargmin(np.abs(events - start))] for start in starts]
    np.testing.assert_array_equal(got.reshape(27, 30), np.repeat(expected, 30).reshape(27, 30))
    # alone, over the whole recording
    alone = _sessions(spikes, {'stimulus': path}, trials=trials)
    assert len(np.unique(alone.bins.group)) == 27


def test_a_folder_of_tables_has_one_for_each_session(tmp_path: Path) -> None:
    for name in ('s1', 's2'):
        _csv(TABLE, tmp_path / name)
    (source,) = find_sources([('t', tmp_path)])
    assert read_features(source, 's2', False, 'cls')[0].is_table
    with pytest.raises(BeastError, match="no features of session 's3', only of s1, s2"):
        read_features(source, 's3', False, 'cls')


def test_a_table_with_times_stands_alone(tmp_path: Path) -> None:
    timed = _csv(TABLE.assign(time=[0, 1, 2]), tmp_path / 'a')
    (source,) = find_sources([('t', Path(f'{timed},{_csv(TABLE, tmp_path / "b")}'))])
    with pytest.raises(BeastError, match='with times of its own beside other features'):
        read_features(source, 's1', True, 'cls')


def test_another_kind_of_file_holds_no_features(tmp_path: Path) -> None:
    (tmp_path / 'a.mat').touch()
    with pytest.raises(BeastError, match=r'a.mat holds no features; give .*a table \(.csv, .h5'):
        find_sources([('t', tmp_path / 'a.mat')])
