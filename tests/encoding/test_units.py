"""The quality filter on the columns of every format."""

import logging
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beast_lp.config import parse_config
from beast_lp.encoding.bins import Bins, responses_in
from beast_lp.encoding.spikes import read_activity
from beast_lp.encoding.units import read_unit_table
from beast_lp.errors import BeastError


def _alf(folder: Path) -> Path:
    folder.mkdir()
    np.save(folder / 'spikes.times.npy', np.arange(4.0))
    np.save(folder / 'spikes.clusters.npy', np.array([0, 1, 2, 0]))
    return folder


def _metrics(folder: Path) -> Path:
    (_alf(folder) / 'clusters.metrics.csv').write_text(
        'cluster_id,label,ks2_label\n0,1.0,good\n1,0.3333,mua\n2,0.6667,good\n'
    )
    return folder


def _arrays(folder: Path) -> Path:
    _alf(folder)
    np.save(folder / 'clusters.label.npy', np.array([1, 1 / 3, 2 / 3]))
    np.save(folder / '_ks2_clusters.ks2_label.npy', np.array(['good', 'mua', 'good']))
    return folder


def _phy(folder: Path) -> Path:
    folder.mkdir()
    np.save(folder / 'spike_times.npy', np.arange(4, dtype=np.uint64)[:, None] * 30_000)
    np.save(folder / 'spike_clusters.npy', np.array([0, 1, 2, 0], np.int32))
    (folder / 'params.py').write_text('dtype = "int16"\nsample_rate = 30000.\n')
    (folder / 'cluster_label.tsv').write_text('cluster_id\tlabel\n0\t1\n1\t0.3333\n2\t0.6667\n')
    (folder / 'cluster_info.tsv').write_text(
        'cluster_id\tks2_label\tgroup\n0\tgood\tgood\n1\tmua\tnoise\n2\tgood\t\n'
    )
    return folder


def _nwb(folder: Path) -> Path:
    pynwb = pytest.importorskip('pynwb')
    folder.mkdir()
    file = pynwb.NWBFile('a session', 'id', datetime(2026, 1, 1, tzinfo=timezone.utc))
    file.add_unit_column('label', 'quality')
    file.add_unit_column('ks2_label', 'quality')
    for train, label, text in (
        ([0.0, 3.0], 1.0, 'good'),
        ([1.0], 0.3333, 'mua'),
        ([2.0], 0.6667, 'good'),
    ):
        file.add_unit(spike_times=train, label=label, ks2_label=text)
    with pynwb.NWBHDF5IO(str(folder / 's.nwb'), 'w') as io:
        io.write(file)
    return folder / 's.nwb'


def _npz(folder: Path) -> Path:
    folder.mkdir()
    counts = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    labels = {'label': np.array([1, 1 / 3, 2 / 3]), 'ks2_label': np.array(['good', 'mua', 'good'])}
    np.savez(folder / 'c.npz', spike_counts=counts, bin_width=1, **labels)  # type: ignore[arg-type]
    return folder / 'c.npz'


FORMATS: dict[str, Callable[[Path], Path]] = {
    'a table of ALF': _metrics,
    'arrays of ALF': _arrays,
    'phy': _phy,
    'NWB': _nwb,
    'npz': _npz,
}


@pytest.mark.parametrize(
    ('quality', 'kept'),
    [
        ('label>=1', [0]),
        ('label>=0.5', [0, 2]),
        ('label=0.333', [1]),
        ('ks2_label=good', [0, 2]),
        ('ks2_label = Good, mua', [0, 1, 2]),
        (None, [0, 1, 2]),
    ],
)
@pytest.mark.parametrize('name', FORMATS)
def test_units_are_kept_by_a_column(
    name: str,
    quality: str | None,
    kept: list[int],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = FORMATS[name](tmp_path / 'a')
    with caplog.at_level(logging.INFO):
        activity = read_activity(path, quality)
    assert activity.names.tolist() == kept
    said = f'{len(kept)} of the 3 units of {path} remain by beast.encoding.quality={quality}'
    assert (said in caplog.text) == (quality is not None)
    counts = responses_in(activity, Bins(np.arange(4) + 0.5, 1.0, np.zeros(4, int)))
    expected = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])[:, kept]
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize('name', FORMATS)
def test_a_filter_that_cannot_be_used_names_what_is_there(name: str, tmp_path: Path) -> None:
    path = FORMATS[name](tmp_path / 'a')
    with pytest.raises(
        BeastError, match="column 'KSLabel', .* have; they have .*ks2_label, label"
    ):
        read_activity(path, 'KSLabel=good')
    with pytest.raises(BeastError, match='leaves none of the 3 units .* ks2_label is good, mua'):
        read_activity(path, 'ks2_label=excellent')


def test_a_recording_without_columns_has_none(tmp_path: Path) -> None:
    with pytest.raises(BeastError, match='do not have; they have none'):
        read_activity(_alf(tmp_path / 'a'), 'label>=1')


@pytest.mark.parametrize('quality', ['good', 'label', 'label>1', 'label>=good', '=good', ''])
def test_a_filter_has_a_column_and_a_value(quality: str) -> None:
    with pytest.raises(BeastError, match='quality must be COLUMN=VALUE'):
        parse_config({'encoding': {'quality': quality}})
    assert parse_config({'encoding': {'quality': 'label>=1'}}).encoding.quality == 'label>=1'


def test_parquet_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path) -> None:
        raise ImportError

    monkeypatch.setattr(pd, 'read_parquet', missing)
    (_alf(tmp_path / 'a') / 'clusters.metrics.pqt').write_bytes(b'PAR1')
    # nobody asked for it
    read_activity(tmp_path / 'a')
    with pytest.raises(BeastError, match='metrics.pqt needs the package pyarrow; install it'):
        read_activity(tmp_path / 'a', 'label>=1')


def test_parquet_may_have_the_clusters_as_its_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in (
        pd.DataFrame({'label': [1.0, 0.5]}, pd.Index([2, 0], name='cluster_id')),
        pd.DataFrame({'label': [1.0, 0.5], 'cluster_id': [2, 0]}),
    ):
        monkeypatch.setattr(pd, 'read_parquet', lambda path, table=table: table)
        (tmp_path / 'clusters.metrics.pqt').touch()
        columns = read_unit_table(tmp_path / 'clusters.metrics.pqt', 'export it again')
        assert columns['label'] == {2: 1.0, 0: 0.5}
