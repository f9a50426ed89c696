"""Read the spikes of an ALF folder, with the regions and the quality of its clusters."""

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Int

from beast_lp.encoding.activity import (
    NO_REGION,
    check_numbers,
    region_name,
    spike_times_of,
    texts_of,
)
from beast_lp.encoding.alf import alf_file, clock_of
from beast_lp.encoding.units import Columns, Reading, of_units, read_unit_table
from beast_lp.errors import BeastError
from beast_lp.runs.foreign import foreign_file
from beast_lp.runs.readable import read_array

logger = logging.getLogger(f'lightning_pose.{__name__}')

_AGAIN = 'export the session again'
_TABLE_ADVICE = 'export the session again, or delete the file to go without regions'
# regions of clusters, the first that is there
_ACRONYMS = ('clusters.acronym.npy', 'clusters.brainLocationAcronyms_ccf_2017.npy')
_TABLES = ('clusters.table.csv', 'clusters.metrics.csv')
_PARQUET = ('clusters.table.pqt', 'clusters.metrics.pqt')


def read_alf(folder: Path) -> Reading:
    """Read an ALF folder.

    Args:
        folder: folder that holds `spikes.times.npy` and `spikes.clusters.npy`, whose names may
            have optional parts.

    Raises:
        BeastError: if one is missing or holds something else.
    """
    arrays = []
    for name, what in (('spikes.times.npy', 'spike times'), ('spikes.clusters.npy', 'clusters')):
        file = alf_file(folder, name)
        if file is None:
            raise BeastError(
                f'the folder {folder} lacks {name}; an ALF folder needs spikes.times.npy and '
                'spikes.clusters.npy, one of phy spike_times.npy and spike_clusters.npy'
            )
        if clock_of(file):
            logger.warning(
                f'beast: the times in {file} are those of the clock {clock_of(file)}; the camera '
                'times must be of this clock as well'
            )
        array = np.atleast_1d(array_of(file).squeeze())
        check_numbers(file, what, array)
        arrays.append(array)
    times, clusters = arrays
    clusters = whole_numbers(clusters, f'spikes.clusters.npy in {folder}')
    if times.ndim != 1 or times.shape != clusters.shape:
        raise BeastError(
            f'spikes.times.npy and spikes.clusters.npy in {folder} differ in length '
            f'({times.size} and {clusters.size}); {_AGAIN}'
        )
    names, unit = np.unique(clusters, return_inverse=True)
    return Reading(
        spike_times_of(folder, times, unit, names, _regions(folder, names)),
        lambda: _columns(folder, names),
    )


def array_of(file: Path) -> np.ndarray:
    """Read an array of numbers or strings that another program wrote.

    Raises:
        BeastError: if it cannot be read.
    """
    with foreign_file(file, _AGAIN):
        return read_array(file)


def whole_numbers(clusters: np.ndarray, what: str) -> Int[np.ndarray, ' spikes']:
    """Return numbers of clusters as integers.

    Raises:
        BeastError: if they are none.
    """
    if (clusters != np.round(clusters)).any() or (clusters < 0).any():
        raise BeastError(
            f'{what} must hold whole numbers from 0 on, the cluster of each spike; {_AGAIN}'
        )
    return clusters.astype(np.int64)


def _regions(folder: Path, names: Int[np.ndarray, ' neurons']) -> list[str]:
    """Look up the region of each cluster; `NO_REGION` for those that no file has."""
    file = next((found for name in _ACRONYMS if (found := alf_file(folder, name))), None)
    if file is not None:
        acronyms = np.atleast_1d(array_of(file).squeeze())
        if acronyms.ndim != 1 or acronyms.dtype.kind not in 'US':
            raise BeastError(
                f'{file} must be one column of names of regions, found an array of '
                f'{acronyms.shape} with values of type {acronyms.dtype}; {_AGAIN}'
            )
        regions = dict(enumerate(texts_of(file, acronyms)))
        return [region_name(regions.get(int(name))) for name in names]
    for name in _TABLES:
        table = alf_file(folder, name)
        columns = {} if table is None else read_unit_table(table, _TABLE_ADVICE)
        if 'acronym' in columns:
            return [region_name(columns['acronym'].get(int(name))) for name in names]
    return [NO_REGION] * len(names)


def _columns(folder: Path, names: Int[np.ndarray, ' neurons']) -> Columns:
    """Return the columns of all tables and arrays of the clusters."""
    columns: dict[str, np.ndarray] = {}
    for name in (*_TABLES, *_PARQUET):
        file = alf_file(folder, name)
        # the same table in two formats is read once, and where only one can be read, that
        if file is not None and not (name in _PARQUET and columns):
            columns |= of_units(read_unit_table(file, _AGAIN), names)
    for file in sorted(folder.glob('*clusters.*.npy')):
        attribute = file.name.split('clusters.')[1].split('.')[0]
        array = array_of(file).squeeze()
        if array.ndim == 1 and array.dtype.kind in 'biufUS':
            columns |= of_units({attribute: dict(enumerate(array.tolist()))}, names)
    return columns
