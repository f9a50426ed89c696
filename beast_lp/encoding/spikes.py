"""Read neural activity: ALF folders, NWB files, and counts or traces in .npz."""

import io
import logging
import sys
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from beast_lp.encoding.alf import alf_file, alf_folder, clock_of
from beast_lp.errors import BeastError
from beast_lp.runs.foreign import column_separator, foreign_file, read_text
from beast_lp.runs.readable import read_array, read_arrays

logger = logging.getLogger(f'lightning_pose.{__name__}')

NO_REGION = ''
# share by which the typical distance of bins may differ from their width: clocks of microscopes
# drift, and a bin may be lost here and there
_STEP_TOLERANCE = 0.05
# spikes of a neuron in a bin: more than any fires in a minute, the widest bin
_MOST_COUNT = 1e6


@dataclass(frozen=True)
class SpikeTimes:
    """Times of sorted spikes.

    Attributes:
        source: file or folder of the recording, for messages.
        times: seconds of the spikes, ascending.
        unit: index in `names` of the unit that fired each spike.
        names: names of the units.
        regions: brain regions of the units, empty where unknown.
        is_counts: always True.
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
        self,
        starts: Float[np.ndarray, ' bins'],
        width: float,
    ) -> Float[np.ndarray, 'bins neurons']:
        """Count the spikes in [start, start + width) of bins.

        Args:
            starts: starts of the bins in seconds, ascending, at least `width` apart.
            width: width of a bin in seconds.
        """
        bins, neurons = len(starts), len(self.names)
        # a tenth of a microsecond: bin edges are sums of floats
        slack = 1e-7
        at = np.searchsorted(starts - slack, self.times, side='right') - 1
        inside = (at >= 0) & (self.times < starts[np.maximum(at, 0)] + width - slack)
        flat = at[inside] * neurons + self.unit[inside]
        return (
            np.bincount(flat, minlength=bins * neurons).reshape(bins, neurons).astype(np.float32)
        )


@dataclass(frozen=True)
class Binned:
    """Spike counts, or traces of calcium imaging, in bins of their own.

    Attributes:
        source: file of the recording, for messages.
        values: spikes per bin, or trace values.
        times: centres of the bins in seconds, ascending.
        width: width of a bin in seconds.
        names: names of the neurons.
        regions: brain regions of the neurons, empty where unknown.
        is_counts: whether the values are spike counts; traces otherwise.
        frame_times: seconds of the camera's frames; None if the file does not hold them.
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
        """Seconds of the start of the first bin and the end of the last."""
        return float(self.times[0] - self.width / 2), float(self.times[-1] + self.width / 2)


Activity = SpikeTimes | Binned


def read_activity(path: str | Path) -> Activity:
    """Read the neural activity of one session.

    Args:
        path: ALF folder (or a folder that holds `alf/`) with `spikes.times.npy` and
            `spikes.clusters.npy`, as `encoding.alf` finds them; `.nwb` file with a table of units;
            or `.npz` file with `spike_counts` or `traces` (bins, neurons).

    Returns:
        spikes, or binned values.

    Raises:
        BeastError: if the file is missing, of another kind, or its content cannot be used.
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
        f'{path} is no readable neural recording; give a folder with spikes.times.npy and '
        'spikes.clusters.npy, an .nwb file, or an .npz with spike_counts'
    )


def load_array(path: Path) -> np.ndarray:
    """Read an array of numbers or strings from a .npy file.

    Args:
        path: file to read.

    Raises:
        ValueError: if it holds something else, or cannot be read.
    """
    return read_array(path)


# ---------------------------------------------------------------------------------------------
# formats
# ---------------------------------------------------------------------------------------------


def _read_alf(folder: Path) -> SpikeTimes:
    folder = alf_folder(folder)
    arrays = []
    for name, what in (('spikes.times.npy', 'spike times'), ('spikes.clusters.npy', 'clusters')):
        file = alf_file(folder, name)
        if file is None:
            raise BeastError(
                f'the folder {folder} lacks {name}; an ALF folder needs spikes.times.npy and '
                'spikes.clusters.npy'
            )
        if clock_of(file):
            logger.warning(
                f'beast: the times in {file} are those of the clock {clock_of(file)}; the camera '
                'times must be of this clock as well'
            )
        array = np.atleast_1d(_of_alf(file).squeeze())
        _check_numbers(file, what, array)
        arrays.append(array)
    times, clusters = arrays
    if (clusters != np.round(clusters)).any() or (clusters < 0).any():
        raise BeastError(
            f'spikes.clusters.npy in {folder} must hold whole numbers from 0 on, the cluster of '
            'each spike; export the session again'
        )
    clusters = clusters.astype(np.int64)
    if times.ndim != 1 or times.shape != clusters.shape:
        raise BeastError(
            f'spikes.times.npy and spikes.clusters.npy in {folder} differ in length '
            f'({times.size} and {clusters.size}); export the session again'
        )
    names, unit = np.unique(clusters, return_inverse=True)
    return _spike_times(folder, times, unit, names, _alf_regions(folder, names))


def _of_alf(file: Path) -> np.ndarray:
    with foreign_file(file, 'export the session again'):
        return load_array(file)


def _alf_regions(folder: Path, names: Int[np.ndarray, ' neurons']) -> list[str]:
    """Look up the regions of clusters in `clusters.acronym.npy` or `clusters.table.csv`.

    Args:
        folder: ALF folder.
        names: numbers of the clusters.

    Returns:
        the region of each cluster; `NO_REGION` for those that the file does not have.
    """
    file, table = (alf_file(folder, f'clusters.{name}') for name in ('acronym.npy', 'table.csv'))
    if file is not None:
        acronyms = np.atleast_1d(_of_alf(file).squeeze())
        if acronyms.ndim != 1 or acronyms.dtype.kind not in 'US':
            raise BeastError(
                f'{file} must be one column of names of regions, found an array of '
                f'{acronyms.shape} with values of type {acronyms.dtype}; export the session again'
            )
        regions = dict(enumerate(_texts(file, acronyms)))
    elif table is not None:
        regions = _table_regions(table)
    else:
        return [NO_REGION] * len(names)
    return [_region(regions.get(int(name))) for name in names]


def _table_regions(path: Path) -> dict[int, object]:
    """Read the acronyms of a table of clusters, by the number of the cluster."""
    advice = 'export the session again, or delete the file to go without regions'
    with foreign_file(path, advice, 'a table of clusters'):
        text = read_text(path)
        mark = column_separator(text.split('\n', 1)[0])
        with warnings.catch_warnings():
            # rows that are longer than the header
            warnings.simplefilter('error', pd.errors.ParserWarning)
            rows: Any = pd.read_csv(io.StringIO(text), sep=mark, index_col=False)
        if rows.shape[1] < 2:
            raise ValueError('it has one column only')
    rows.columns = rows.columns.str.strip()
    # tables that pandas wrote have an index of their own in front
    key = 'cluster_id' if 'cluster_id' in rows else rows.columns[0]
    if 'acronym' not in rows:
        return {}
    numbers = np.asarray(pd.to_numeric(rows[key], errors='coerce'), np.float64)
    odd = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.round(numbers)))
    if len(odd):
        raise BeastError(
            f'{path} holds {rows[key].iloc[odd[0]]} as the number of a cluster in row {odd[0]}, '
            f'and not a whole number; {advice}'
        )
    found, counts = np.unique(numbers, return_counts=True)
    if (counts > 1).any():
        raise BeastError(
            f'{path} has {counts.max()} rows for cluster {found[counts.argmax()]:.0f}; keep one '
            'of them'
        )
    return dict(zip(numbers.astype(int).tolist(), rows['acronym'].tolist(), strict=True))


def _region(value: object) -> str:
    """Return the name of a region, `NO_REGION` for what other programs write instead of none.

    Examples:
        >>> _region('CA1'), _region(float('nan')), _region(None)
        ('CA1', '', '')
    """
    name = value.decode() if isinstance(value, bytes) else str(value)
    return (
        NO_REGION if name.strip().lower() in ('', 'nan', 'none', 'n/a', '<na>') else name.strip()
    )


def _texts(path: Path, names: Shaped[np.ndarray, ' names']) -> list[str]:
    """Return names as text; bytes must be UTF-8, and characters such as exist."""
    with foreign_file(path, 'write its names as UTF-8'):
        # numpy makes strings of any bytes, and only what uses them fails
        if names.dtype.kind == 'U':
            characters = names.astype(names.dtype.newbyteorder('=')).view(np.uint32)
            if (characters > sys.maxunicode).any():
                raise ValueError(
                    f'it holds the character {characters.max()}, which does not exist'
                )
        texts = [
            name.decode() if isinstance(name, bytes) else str(name) for name in names.tolist()
        ]
        for text in texts:
            text.encode()
        return texts


def _read_npz(path: Path) -> Binned:
    content = _arrays_of(path)
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
    _check_numbers(path, kinds[0], values)
    width = _bin_width(content, path)
    times = next((content[key] for key in ('bin_times', 'time_s') if key in content), None)
    times = (np.arange(len(values)) + 0.5) * width if times is None else times
    if times.ndim != 1 or len(times) != len(values):
        raise BeastError(
            f'{path} holds {len(values)} bins but {times.size} bin times; write one for each'
        )
    _check_numbers(path, 'bin times', times)
    if (np.diff(times) <= 0).any():
        raise BeastError(f'the bin times in {path} do not ascend; sort the bins by time')
    _check_steps(path, times, width)
    if is_counts:
        _check_counts(path, values)
    count = values.shape[1]
    names = content['names'] if 'names' in content else np.arange(count)
    regions = content['regions'] if 'regions' in content else np.full(count, NO_REGION)
    for key, column in (('names', names), ('regions', regions)):
        if column.shape != (count,):
            raise BeastError(f'{key} in {path} has {column.size} entries for {count} neurons')
        if column.dtype.kind not in 'iufUS':
            raise BeastError(
                f'{key} in {path} must be text or numbers, found values of type {column.dtype}'
            )
    frame_times = content.get('frame_times')
    if frame_times is not None and (frame_times.ndim != 1 or frame_times.dtype.kind not in 'iuf'):
        raise BeastError(
            f'frame_times in {path} must be one column of seconds, found an array of '
            f'{frame_times.shape} with values of type {frame_times.dtype}'
        )
    return Binned(
        path,
        values.astype(np.float32),
        times.astype(np.float64),
        width,
        np.array(_texts(path, names)) if names.dtype.kind in 'US' else names,
        np.array([_region(region) for region in _texts(path, regions)], dtype=str),
        is_counts,
        None if frame_times is None else frame_times.astype(np.float64),
    )


def _read_nwb(path: Path) -> SpikeTimes:
    try:
        pynwb: Any = import_module('pynwb')
    except ImportError as error:
        raise BeastError(
            f'reading {path} needs the package pynwb; install it with pip install "beast-lp[nwb]"'
        ) from error
    with foreign_file(path, 'export it again', 'NWB'):
        with pynwb.NWBHDF5IO(str(path), 'r', load_namespaces=True) as file:
            units = file.read().units
            table: Any = None if units is None else units.to_dataframe()
        if table is None or 'spike_times' not in table or not len(table):
            raise BeastError(f'{path} has no table of units with spike times; sort and add them')
        trains = [
            np.atleast_1d(np.asarray(train, dtype=np.float64)) for train in table['spike_times']
        ]
        regions = [NO_REGION] * len(trains)
        for column in ('location', 'brain_region', 'region', 'acronym'):
            if column in table:
                regions = [_region(value) for value in table[column]]
                break
        unit = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
        times, names = np.concatenate(trains), table.index.to_numpy()
    return _spike_times(path, times, unit, names, regions)


def _spike_times(
    source: Path,
    times: Shaped[np.ndarray, ' spikes'],
    unit: Int[np.ndarray, ' spikes'],
    names: Shaped[np.ndarray, ' neurons'],
    regions: list[str],
) -> SpikeTimes:
    if not times.size:
        raise BeastError(f'{source} holds no spikes; give a sorted recording')
    _check_numbers(source, 'spike times', times)
    order = np.argsort(times, kind='stable')
    return SpikeTimes(
        source,
        times[order].astype(np.float64),
        np.asarray(unit)[order],
        names,
        np.array(regions, dtype=str),
    )


def _arrays_of(path: Path) -> dict[str, np.ndarray]:
    with foreign_file(path, 'write it again with numpy.savez, from arrays of numbers and strings'):
        return read_arrays(path)


def _bin_width(content: dict[str, np.ndarray], path: Path) -> float:
    width = next((content[key] for key in ('bin_width', 'bin_s') if key in content), None)
    if width is None:
        raise BeastError(
            f'{path} does not say how long a bin is: it lacks bin_width (seconds); found '
            f'{", ".join(content)}'
        )
    if width.size != 1 or width.dtype.kind not in 'iuf' or not 0 < width.item() < np.inf:
        raise BeastError(
            f'bin_width in {path} must be one number of seconds above 0, found '
            f'{width.item() if width.size == 1 else f"an array of {width.shape}"}'
        )
    return float(width.item())


def _check_steps(path: Path, times: Shaped[np.ndarray, ' bins'], width: float) -> None:
    """Refuse bins that are not as far apart as they are long, such as those in milliseconds."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else width
    if abs(step / width - 1) > _STEP_TOLERANCE:
        raise BeastError(
            f'the bins in {path} are {width:g} s long (bin_width), but their times (bin_times) '
            f'are {step:g} s apart; write both in seconds, and the centre of every bin'
        )


def _check_counts(path: Path, values: Shaped[np.ndarray, 'bins neurons']) -> None:
    if (values < 0).any() or (values != np.round(values)).any():
        raise BeastError(
            f'spike_counts in {path} must be whole numbers from 0 on; store calcium traces under '
            'the name `traces`'
        )
    if (values > _MOST_COUNT).any():
        raise BeastError(
            f'spike_counts in {path} reach {values.max():g} in one bin, which no neuron does; '
            'store other activity under the name `traces`'
        )


def _check_numbers(source: Path, what: str, values: Shaped[np.ndarray, '...']) -> None:
    if values.dtype.kind not in 'biuf':
        raise BeastError(
            f'{what} in {source} must be numbers, found values of type {values.dtype}; store them '
            'as numbers'
        )
    broken = int((~np.isfinite(values)).sum())
    if broken:
        raise BeastError(
            f'{broken} of {values.size} {what} in {source} are NaN or infinite; remove or mend '
            'them'
        )
