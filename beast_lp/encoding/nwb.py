"""Read sorted spikes, or traces of calcium imaging, from NWB files."""

import logging
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from beast_lp.encoding.activity import (
    NO_REGION,
    Binned,
    check_numbers,
    region_name,
    spike_times_of,
)
from beast_lp.encoding.units import Columns, Reading
from beast_lp.errors import BeastError
from beast_lp.runs.foreign import foreign_file

logger = logging.getLogger(f'lightning_pose.{__name__}')

_REGION_COLUMNS = ('location', 'brain_region', 'brain_area', 'region', 'acronym', 'structure')
# columns with the number of the electrode on which a unit is largest
_PEAK_COLUMNS = ('peak_channel_id', 'max_electrode', 'peak_electrode', 'max_channel')
# kinds of traces, the first that is there: those that the others were computed from come last
_TRACES = ('DfOverF', 'Fluorescence')


def read_nwb(path: Path) -> Reading:
    """Read an NWB file: its table of units, else the traces in its processing modules.

    Args:
        path: `.nwb` file.

    Raises:
        BeastError: if it holds neither, or several traces, or pynwb is not installed.
    """
    try:
        pynwb: Any = import_module('pynwb')
    except ImportError as error:
        raise BeastError(
            f'reading {path} needs the package pynwb; install it with pip install "beast-lp[nwb]"'
        ) from error
    with (
        foreign_file(path, 'export it again', 'NWB'),
        pynwb.NWBHDF5IO(str(path), 'r', load_namespaces=True) as file,
    ):
        content = file.read()
        units = content.units
        if units is not None and 'spike_times' in units.colnames and len(units):
            return _read_units(path, units, content.electrodes)
        series = _trace_series(path, content)
        if series is None:
            raise BeastError(
                f'{path} has no table of units with spike times, and no traces '
                '(RoiResponseSeries) in a processing module; sort and add them'
            )
        return _read_traces(path, series)


def _read_units(path: Path, units: Any, electrodes: Any) -> Reading:
    trains = [np.atleast_1d(np.asarray(train, np.float64)) for train in units['spike_times'][:]]
    unit = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
    columns = _columns(units)
    regions = _unit_regions(path, units, columns, electrodes)
    names = np.asarray(units.id[:])
    activity = spike_times_of(path, np.concatenate(trains), unit, names, regions)
    return Reading(activity, _known(columns))


def _known(columns: Columns) -> Callable[[], Columns]:
    return lambda: columns


def _columns(table: Any) -> dict[str, Shaped[np.ndarray, ' rows']]:
    """Return the columns of a table that have one number or text in each row."""
    columns = {}
    for name in table.colnames:
        data = getattr(table[name], 'data', None)
        if hasattr(table[name], 'target') or hasattr(table[name], 'table') or data is None:
            # a list in each row, or rows of another table
            continue
        shape = np.shape(data)
        if len(shape) == 1 and shape[0] == len(table):
            values = np.asarray(data[:])
            if values.dtype.kind == 'O':
                values = np.array([v.decode() if isinstance(v, bytes) else v for v in values], 'O')
            if values.dtype.kind in 'biufUS' or all(isinstance(v, str) for v in values):
                columns[name] = values
    return columns


def _unit_regions(path: Path, units: Any, columns: Columns, electrodes: Any) -> list[str]:
    """Return the region of each unit: its own column, else that of its electrodes."""
    own = next((columns[name] for name in _REGION_COLUMNS if name in columns), None)
    if own is not None:
        return [region_name(value) for value in own]
    places = [] if electrodes is None else _electrode_regions(electrodes)
    peak = next((columns[name] for name in _PEAK_COLUMNS if name in columns), None)
    if peak is not None and electrodes is not None and any(places):
        by_number = dict(zip(np.asarray(electrodes.id[:]).tolist(), places, strict=True))
        return [by_number.get(value, NO_REGION) for value in peak.tolist()]
    if 'electrodes' in units.colnames and any(places):
        return _listed_regions(path, units['electrodes'], places)
    if 'electrode_group' in units.colnames:
        groups = units['electrode_group'].data[:]
        return [region_name(getattr(group, 'location', None)) for group in groups]
    return [NO_REGION] * len(units)


def _electrode_regions(electrodes: Any) -> list[str]:
    columns = _columns(electrodes)
    own = next((columns[name] for name in _REGION_COLUMNS if name in columns), None)
    return [] if own is None else [_place(value) for value in own]


def _place(value: object) -> str:
    """Return the region of an electrode; NWB wants a text, and has `unknown` for none."""
    name = region_name(value)
    return NO_REGION if name.lower() == 'unknown' else name


def _listed_regions(path: Path, listed: Any, places: list[str]) -> list[str]:
    """Return the region in which most electrodes of each unit lie."""
    rows = listed.target.data[:] if hasattr(listed, 'target') else listed.data[:]
    ends = listed.data[:] if hasattr(listed, 'target') else np.arange(1, len(rows) + 1)
    regions, mixed = [], 0
    for electrodes in np.split(np.asarray(rows, int), np.asarray(ends, int)[:-1]):
        counts = Counter(places[electrode] for electrode in electrodes)
        mixed += len(counts) > 1
        regions.append(counts.most_common(1)[0][0] if counts else NO_REGION)
    if mixed:
        logger.warning(
            f'beast: {mixed} of the {len(regions)} units in {path} have electrodes in several '
            'regions, and are counted to that of most of them'
        )
    return regions


def _trace_series(path: Path, content: Any) -> Any:
    """Return the traces of a file; None if it has none.

    Raises:
        BeastError: if there are several of one kind.
    """
    kinds: dict[str, list[Any]] = {kind: [] for kind in (*_TRACES, '')}
    for module in content.processing.values():
        for interface in module.data_interfaces.values():
            held = getattr(interface, 'roi_response_series', None)
            found = [interface] if held is None else list(held.values())
            kind = type(interface).__name__
            kinds[kind if kind in _TRACES else ''] += [
                series for series in found if type(series).__name__ == 'RoiResponseSeries'
            ]
    for found in kinds.values():
        if len(found) > 1:
            names = ', '.join(f'{series.parent.name}/{series.name}' for series in found)
            raise BeastError(
                f'{path} holds {len(found)} traces ({names}), and beast cannot tell which are '
                'meant; write those of one plane and kind to an .npz with traces and bin_width'
            )
        if found:
            return found[0]
    return None


def _read_traces(path: Path, series: Any) -> Reading:
    values = np.asarray(series.data[:])
    rois = np.asarray(series.rois.data[:], int)
    if values.ndim == 1:
        values = values[:, None]
    times = _trace_times(path, series, values, len(rois))
    if values.shape[0] != len(times):
        logger.info(f'beast: the traces in {path} are (neurons, times), and were transposed')
        values = values.T
    check_numbers(path, 'traces', values)
    check_numbers(path, 'times of the traces', times)
    if len(times) < 2 or (np.diff(times) <= 0).any():
        raise BeastError(f'the times of the traces in {path} do not ascend; export it again')
    table = series.rois.table
    place = region_name(getattr(getattr(table, 'imaging_plane', None), 'location', None))
    columns = {name: column[rois] for name, column in _columns(table).items()}
    activity = Binned(
        path,
        values.astype(np.float32),
        times,
        float(np.median(np.diff(times))),
        np.asarray(table.id[:])[rois],
        np.full(len(rois), place),
        is_counts=False,
    )
    return Reading(activity, _known(columns))


def _trace_times(
    path: Path, series: Any, values: Shaped[np.ndarray, '...'], count: int
) -> Float[np.ndarray, ' times']:
    """Return the seconds of the traces, whichever of their axes is time."""
    if values.ndim != 2 or count not in values.shape:
        raise BeastError(
            f'the traces in {path} must be (times, {count} neurons), found {values.shape}; '
            'export it again'
        )
    if series.timestamps is not None:
        times = np.asarray(series.timestamps[:], np.float64)
        if len(times) not in values.shape:
            raise BeastError(
                f'the traces in {path} are {values.shape}, but have {len(times)} times; export '
                'it again'
            )
        return times
    length = values.shape[0] if values.shape[1] == count else values.shape[1]
    return float(series.starting_time or 0.0) + np.arange(length) / float(series.rate)
