"""Neural activity as it is stored: ALF folders, NWB files, counts or traces in .npz."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from beast_lp.errors import BeastError

NO_REGION = ''


@dataclass(frozen=True)
class SpikeTimes:
    """Sorted spikes of some units.

    Attributes:
        source: where they come from, for messages.
        times: seconds, ascending.
        unit: row of `names` that fired.
        names: of the units.
        regions: of the units, empty where unknown.
    """

    source: Path
    times: Float[np.ndarray, ' spikes']
    unit: Int[np.ndarray, ' spikes']
    names: Shaped[np.ndarray, ' neurons']
    regions: Shaped[np.ndarray, ' neurons']
    is_counts: bool = True

    @property
    def span(self) -> tuple[float, float]:
        """Seconds of the first and the last spike."""
        return float(self.times[0]), float(self.times[-1])

    def count(
        self, starts: Float[np.ndarray, ' bins'], width: float,
    ) -> Float[np.ndarray, 'bins neurons']:
        """Count the spikes in [start, start + width) of bins that do not overlap, in order."""
        bins, neurons = len(starts), len(self.names)
        # a tenth of a microsecond: bin edges are sums of floats
        slack = 1e-7
        at = np.searchsorted(starts - slack, self.times, side='right') - 1
        inside = (at >= 0) & (self.times < starts[np.maximum(at, 0)] + width - slack)
        flat = at[inside] * neurons + self.unit[inside]
        return np.bincount(flat, minlength=bins * neurons).reshape(bins, neurons).astype(
            np.float32)


@dataclass(frozen=True)
class Binned:
    """Counts, or traces of calcium imaging, that come in bins of their own.

    Attributes:
        source: where they come from, for messages.
        values: spikes per bin, or trace values.
        times: centres of the bins in seconds, ascending.
        width: of a bin in seconds.
        names: of the neurons.
        regions: of the neurons, empty where unknown.
        is_counts: false for traces.
        frame_times: seconds of the camera's frames, where the file holds them too.
    """

    source: Path
    values: Float[np.ndarray, 'bins neurons']
    times: Float[np.ndarray, ' bins']
    width: float
    names: Shaped[np.ndarray, ' neurons']
    regions: Shaped[np.ndarray, ' neurons']
    is_counts: bool = True
    frame_times: Float[np.ndarray, ' frames'] | None = None

    @property
    def span(self) -> tuple[float, float]:
        """Seconds of the begin of the first bin and the end of the last."""
        return float(self.times[0] - self.width / 2), float(self.times[-1] + self.width / 2)


Activity = SpikeTimes | Binned


def read_activity(path: str | Path) -> Activity:
    """Read the neural activity of one session.

    Args:
        path: an ALF folder (or one that holds `alf/`) with `spikes.times.npy` and
            `spikes.clusters.npy`; an `.nwb` file with a table of units; or an `.npz` with
            `spike_counts` or `traces` (bins, neurons).

    Returns:
        spikes, or binned values.

    Raises:
        BeastError: if the file is missing, of another kind, or holds what cannot be used.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise BeastError(f'there is no neural recording at {path}; correct the path')
    if path.is_dir():
        return _read_alf(path)
    if path.suffix == '.npz':
        return _read_npz(path)
    if path.suffix == '.nwb':
        return _read_nwb(path)
    raise BeastError(
        f'{path} is no neural recording that can be read; give a folder with spikes.times.npy and '
        'spikes.clusters.npy, an .nwb file, or an .npz with spike_counts'
    )


# ---------------------------------------------------------------------------------------------
# formats
# ---------------------------------------------------------------------------------------------


def _read_alf(folder: Path) -> SpikeTimes:
    if not (folder / 'spikes.times.npy').exists() and (folder / 'alf').is_dir():
        folder = folder / 'alf'
    arrays = []
    for name in ('spikes.times.npy', 'spikes.clusters.npy'):
        if not (folder / name).exists():
            raise BeastError(
                f'the folder {folder} lacks {name}; an ALF folder needs spikes.times.npy and '
                'spikes.clusters.npy'
            )
        arrays.append(np.load(folder / name, allow_pickle=False).squeeze())
    times, clusters = arrays
    if times.shape != clusters.shape:
        raise BeastError(
            f'spikes.times.npy and spikes.clusters.npy in {folder} differ in length '
            f'({times.size} and {clusters.size}); export the session again'
        )
    names, unit = np.unique(clusters, return_inverse=True)
    return _spike_times(folder, times, unit, names, _alf_regions(folder, names))


def _alf_regions(folder: Path, names: Shaped[np.ndarray, ' neurons']) -> list[str]:
    """Look the clusters up in `clusters.acronym.npy`, or in the CSV of the same tables."""
    file, table = folder / 'clusters.acronym.npy', folder / 'clusters.table.csv'
    if file.exists():
        acronyms = np.load(file, allow_pickle=False).astype(str)
        return [acronyms[name] if name < len(acronyms) else NO_REGION for name in names]
    if table.exists():
        rows = pd.read_csv(table, index_col=0)
        if 'acronym' in rows:
            return [str(rows['acronym'].get(name, NO_REGION)) for name in names]
    return [NO_REGION] * len(names)


def _read_npz(path: Path) -> Binned:
    with np.load(path, allow_pickle=False) as data:
        content = {key: data[key] for key in data.files}
    kinds = [key for key in ('spike_counts', 'traces') if key in content]
    if len(kinds) != 1:
        raise BeastError(
            f'{path} must hold one of spike_counts and traces (bins, neurons), found '
            f'{", ".join(content) or "nothing"}'
        )
    is_counts = kinds[0] == 'spike_counts'
    values = content[kinds[0]]
    if values.ndim != 2 or not values.size:
        raise BeastError(f'{kinds[0]} in {path} must be (bins, neurons), found {values.shape}')
    width = float(_one_of(content, path, 'bin_width', 'bin_s'))
    times = next((content[key] for key in ('bin_times', 'time_s') if key in content), None)
    times = (np.arange(len(values)) + 0.5) * width if times is None else times.astype(np.float64)
    if len(times) != len(values):
        raise BeastError(
            f'{path} holds {len(values)} bins but {len(times)} bin times; write one for each'
        )
    _check_finite(path, kinds[0], values)
    _check_finite(path, 'bin times', times)
    if (np.diff(times) <= 0).any():
        raise BeastError(f'the bin times in {path} do not ascend; sort the bins by time')
    if is_counts and ((values < 0).any() or (values != np.round(values)).any()):
        raise BeastError(
            f'spike_counts in {path} must be whole numbers from 0 on; store calcium traces under '
            'the name `traces`'
        )
    count = values.shape[1]
    names = content.get('names', np.arange(count))
    regions = content.get('regions', np.full(count, NO_REGION))
    for key, column in (('names', names), ('regions', regions)):
        if len(column) != count:
            raise BeastError(f'{key} in {path} has {len(column)} entries for {count} neurons')
    frame_times = content.get('frame_times')
    return Binned(
        path, values.astype(np.float32), times, width, names, regions.astype(str), is_counts,
        None if frame_times is None else frame_times.astype(np.float64),
    )


def _read_nwb(path: Path) -> SpikeTimes:
    try:
        pynwb: Any = import_module('pynwb')
    except ImportError as error:
        raise BeastError(
            f'reading {path} needs the package pynwb; install it with '
            'pip install "beast-lp[nwb]"'
        ) from error
    try:
        with pynwb.NWBHDF5IO(str(path), 'r', load_namespaces=True) as file:
            units = file.read().units
            table: Any = None if units is None else units.to_dataframe()
    except (OSError, ValueError, KeyError) as error:
        raise BeastError(f'{path} cannot be read as NWB ({error}); export it again') from error
    if table is None or 'spike_times' not in table or not len(table):
        raise BeastError(f'{path} has no table of units with spike times; sort and add them')
    trains = [np.asarray(train, dtype=np.float64) for train in table['spike_times']]
    regions = [NO_REGION] * len(trains)
    for column in ('location', 'brain_region', 'region', 'acronym'):
        if column in table:
            regions = [str(value) for value in table[column]]
            break
    unit = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
    return _spike_times(path, np.concatenate(trains), unit, table.index.to_numpy(), regions)


def _spike_times(
    source: Path, times: Shaped[np.ndarray, ' spikes'], unit: Int[np.ndarray, ' spikes'],
    names: Shaped[np.ndarray, ' neurons'], regions: list[str],
) -> SpikeTimes:
    if not times.size:
        raise BeastError(f'{source} holds no spikes; give a sorted recording')
    _check_finite(source, 'spike times', times)
    order = np.argsort(times, kind='stable')
    return SpikeTimes(
        source, times[order].astype(np.float64), np.asarray(unit)[order], names,
        np.array(regions, dtype=str),
    )


def _one_of(content: dict[str, np.ndarray], path: Path, *names: str) -> np.ndarray:
    for name in names:
        if name in content:
            return content[name]
    raise BeastError(
        f'{path} does not say how long a bin is: it lacks {names[0]} (seconds); found '
        f'{", ".join(content)}'
    )


def _check_finite(source: Path, what: str, values: Shaped[np.ndarray, '...']) -> None:
    broken = int((~np.isfinite(values)).sum())
    if broken:
        raise BeastError(
            f'{broken} of {values.size} {what} in {source} are NaN or infinite; remove or mend '
            'them'
        )
