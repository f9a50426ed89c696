"""Read the neural activity of a session: which reader, which units, and several probes as one.

Adding a new format:

1. write a reader in a file of its own that returns a `Reading`; test it
2. call it in `_read_one`, by the suffix of the file or the names in the folder
3. name it in the help of `beast.encoding.spikes` in `beast_lp/config/encoding.py`
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from beast_lp.encoding.activity import Activity, SpikeTimes
from beast_lp.encoding.alf import alf_folders
from beast_lp.encoding.alf_spikes import read_alf
from beast_lp.encoding.counts import read_npz
from beast_lp.encoding.nwb import read_nwb
from beast_lp.encoding.phy import is_phy, read_phy
from beast_lp.encoding.suite2p import read_suite2p, suite2p_folders
from beast_lp.encoding.units import keep_good
from beast_lp.errors import BeastError
from beast_lp.runs.names import name_of, split_paths

logger = logging.getLogger(f'lightning_pose.{__name__}')


def read_activity(path: str | Path, quality: str | None = None) -> Activity:
    """Read the neural activity of one session.

    Args:
        path: folder of ALF (of a session, its `alf/`, or a probe), of phy or Kilosort, or of
            suite2p; `.nwb` file with a table of units or with traces; or `.npz` file with
            `spike_counts` or `traces` (bins, neurons). Several paths, joined by commas, are the
            probes of one session; so are several probes below `alf/`. Their units are then named
            for their probes.
        quality: filter of units as `encoding.units` describes it; None for all.

    Returns:
        spikes, or binned values.

    Raises:
        BeastError: if a file is missing, of another kind, or its content cannot be used.
    """
    paths = split_recordings(path)
    for one in paths:
        if not one.exists():
            raise BeastError(f'there is no neural recording at {one}; correct the path')
    recordings = {
        label: recording
        for name, one in zip(_distinct_names(paths), paths, strict=True)
        for label, recording in _read_one(one, name, quality).items()
    }
    return next(iter(recordings.values())) if len(recordings) == 1 else _joined(recordings)


def split_recordings(path: str | Path) -> list[Path]:
    """Return the paths of `PATH,PATH`, absolute where the first is.

    Args:
        path: one path or several, joined by commas.

    Raises:
        BeastError: if one stands twice.

    Examples:
        >>> split_recordings('/data/probe00,/data/probe01')
        [PosixPath('/data/probe00'), PosixPath('/data/probe01')]
    """
    paths = [Path(item).expanduser() for item in split_paths(str(path))]
    doubled = next((one for one in paths if paths.count(one) > 1), None)
    if doubled is not None:
        raise BeastError(f'{doubled} stands twice in {path}; name each probe once')
    return paths


def _distinct_names(paths: list[Path]) -> list[str]:
    """Name paths by the last of their parts in which all differ."""
    if len(paths) > 1:
        for depth in range(1, min(len(path.parts) for path in paths)):
            names = [path.parts[-depth] for path in paths]
            if len(set(names)) == len(names):
                return [name_of(path) for path in paths] if depth == 1 else names
    return [f'{name_of(path)}{number or ""}' for number, path in enumerate(paths)]


def _read_one(path: Path, name: str, quality: str | None) -> Mapping[str, Activity]:
    """Return the recordings at a path, by the names of their probes."""
    if path.is_dir():
        if is_phy(path):
            return {name: keep_good(read_phy(path), quality)}
        planes = suite2p_folders(path)
        if len(planes) > 1:
            raise BeastError(
                f'{path} holds several planes, whose frames have times of their own; give '
                f'{" or ".join(map(str, planes))}'
            )
        if planes:
            return {name: keep_good(read_suite2p(planes[0], quality is not None), quality)}
        folders = alf_folders(path)
        alone = len(folders) == 1
        return {
            name if alone else probe: keep_good(read_alf(folder), quality)
            for probe, folder in folders.items()
        }
    if path.suffix == '.npz':
        return {name: keep_good(read_npz(path), quality)}
    if path.suffix == '.nwb':
        return {name: keep_good(read_nwb(path), quality)}
    raise BeastError(
        f'{path} is no readable neural recording; give a folder of ALF (spikes.times.npy and '
        'spikes.clusters.npy), phy or suite2p, an .nwb file, or an .npz with spike_counts'
    )


def _joined(recordings: Mapping[str, Activity]) -> SpikeTimes:
    """Return the spikes of several probes as those of one recording, named `PROBE_UNIT`."""
    probes: list[SpikeTimes] = []
    for activity in recordings.values():
        if not isinstance(activity, SpikeTimes):
            raise BeastError(
                f'{activity.source} holds binned values, which cannot be joined with another '
                'recording; give it alone'
            )
        probes.append(activity)
    starts = np.cumsum([0, *(len(probe.names) for probe in probes)])
    times = np.concatenate([probe.times for probe in probes])
    unit = np.concatenate([p.unit + start for p, start in zip(probes, starts[:-1], strict=True)])
    order = np.argsort(times, kind='stable')
    logger.info(
        f'beast: {len(probes)} probes were joined, as of one clock: '
        + ', '.join(f'{name} {len(p.names)} units' for name, p in recordings.items())
    )
    return SpikeTimes(
        probes[0].source,
        times[order],
        unit[order],
        np.array([f'{name}_{unit}' for name, p in recordings.items() for unit in p.names]),
        np.concatenate([probe.regions for probe in probes]),
    )
