"""Read the spikes of a folder that phy or Kilosort wrote.

| file | content |
|---|---|
| `spike_times.npy` | samples of the spikes |
| `spike_clusters.npy` | cluster of each spike; without it, `spike_templates.npy` |
| `params.py` | `sample_rate` in Hz; it is read as text and never run |
| `cluster_*.tsv` | columns by `cluster_id`, such as `group` and `KSLabel` |
"""

import logging
import re
from pathlib import Path

import numpy as np

from beast_lp.encoding.activity import NO_REGION, check_numbers, region_name, spike_times_of
from beast_lp.encoding.alf_spikes import array_of, whole_numbers
from beast_lp.encoding.units import Reading, of_units, read_unit_table
from beast_lp.errors import BeastError
from beast_lp.runs.foreign import foreign_file, read_text

logger = logging.getLogger(f'lightning_pose.{__name__}')

_TIMES = 'spike_times.npy'
_CLUSTERS = ('spike_clusters.npy', 'spike_templates.npy')
_RATE = re.compile(r'^[ \t]*sample_rate[ \t]*=[ \t]*([0-9][0-9._]*(?:[eE]\+?[0-9]+)?)', re.M)
_REGIONS = ('acronym', 'brain_region', 'region', 'location')
_ADVICE = 'save the sorting again from phy'
# what phy and Kilosort call units that are none
_NOISE = 'noise'


def is_phy(folder: Path) -> bool:
    """Return whether a folder is one of phy."""
    return (folder / _TIMES).exists()


def read_phy(folder: Path) -> Reading:
    """Read a folder of phy.

    Args:
        folder: folder that holds `spike_times.npy`.

    Raises:
        BeastError: if a file is missing, or holds something else.
    """
    file = next((folder / name for name in _CLUSTERS if (folder / name).exists()), None)
    if file is None:
        raise BeastError(
            f'the folder {folder} lacks {_CLUSTERS[0]}, the cluster of each spike; {_ADVICE}'
        )
    samples, clusters = (
        np.atleast_1d(array_of(path).squeeze()) for path in (folder / _TIMES, file)
    )
    for path, what, values in (
        (folder / _TIMES, 'spike times', samples),
        (file, 'clusters', clusters),
    ):
        check_numbers(path, what, values)
    if samples.ndim != 1 or samples.shape != clusters.shape:
        raise BeastError(
            f'{_TIMES} and {file.name} in {folder} differ in length ({samples.size} and '
            f'{clusters.size}); {_ADVICE}'
        )
    names, unit = np.unique(whole_numbers(clusters, str(file)), return_inverse=True)
    columns = of_units(_tables(folder), names)
    regions = next(
        ([region_name(value) for value in columns[name]] for name in _REGIONS if name in columns),
        [NO_REGION] * len(names),
    )
    noise = int((np.asarray(columns.get('group', names)).astype(str) == _NOISE).sum())
    if noise:
        logger.warning(
            f'beast: {noise} of the {len(names)} clusters in {folder} are called noise; '
            'beast.encoding.quality="group=good" leaves them out'
        )
    times = samples.astype(np.float64) / _sample_rate(folder)
    return Reading(spike_times_of(folder, times, unit, names, regions), lambda: columns)


def _sample_rate(folder: Path) -> float:
    path = folder / 'params.py'
    missing = (
        f'the spikes in {folder} are counted in samples, and no line `sample_rate = ...` in '
        'params.py says how many make a second; copy that file of phy beside them'
    )
    if not path.exists():
        raise BeastError(missing)
    with foreign_file(path, _ADVICE):
        found = _RATE.search(read_text(path))
    rate = float(found[1]) if found else 0.0
    if not 0 < rate < np.inf:
        raise BeastError(missing)
    return rate


def _tables(folder: Path) -> dict[str, dict[int, object]]:
    """Return the columns of all tables, that of `cluster_info.tsv` where there are two."""
    tables = sorted({*folder.glob('cluster_*.tsv'), *folder.glob('cluster_*.csv')})
    columns: dict[str, dict[int, object]] = {}
    for path in sorted(tables, key=lambda table: table.stem == 'cluster_info'):
        columns |= read_unit_table(path, _ADVICE)
    return columns
