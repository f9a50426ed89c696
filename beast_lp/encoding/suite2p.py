"""Read the traces of a folder that suite2p wrote.

| file | content |
|---|---|
| `F.npy`, `Fneu.npy` | (neurons, frames) fluorescence of the cells and of what surrounds them |
| `iscell.npy` | for each neuron whether it is a cell, and its probability |
| `frame_times.npy` | seconds of the microscope's frames, which suite2p does not know |
"""

import logging
from pathlib import Path

import numpy as np

from beast_lp.encoding.activity import NO_REGION, Binned, check_numbers
from beast_lp.encoding.alf_spikes import array_of
from beast_lp.encoding.number_files import read_numbers
from beast_lp.encoding.units import Columns, Reading, part_of
from beast_lp.errors import BeastError

logger = logging.getLogger(f'lightning_pose.{__name__}')

_TRACES, _AROUND, _CELLS = 'F.npy', 'Fneu.npy', 'iscell.npy'
_TIMES = ('frame_times.npy', 'frame_times.csv')
# share of the fluorescence around a cell that is subtracted (suite2p's `neucoeff`)
_AROUND_SHARE = 0.7


def suite2p_folders(path: Path) -> list[Path]:
    """Return the folders of planes that a path means, its own or those below it."""
    places = [path, *sorted(path.glob('plane*')), *sorted(path.glob('suite2p/plane*'))]
    found = [place for place in places if (place / _TRACES).exists()]
    return found[:1] if found[:1] == [path] else found


def read_suite2p(folder: Path, quality: bool) -> Reading:
    """Read the traces of one plane.

    Args:
        folder: folder that holds `F.npy`.
        quality: whether the user chooses the neurons; else those are read that suite2p calls
            cells.

    Raises:
        BeastError: if the times are missing, or a file does not fit the others.
    """
    values = array_of(folder / _TRACES)
    check_numbers(folder / _TRACES, 'traces', values)
    if (folder / _AROUND).exists():
        around = array_of(folder / _AROUND)
        if around.shape != values.shape:
            raise BeastError(
                f'{_TRACES} and {_AROUND} in {folder} differ in shape ({values.shape} and '
                f'{around.shape}); run suite2p again'
            )
        values = values - _AROUND_SHARE * around
    times = _frame_times(folder)
    if values.ndim != 2 or len(times) not in values.shape:
        raise BeastError(
            f'{folder / _TRACES} is {values.shape}, but there are {len(times)} frame times; '
            'write one for each frame of the microscope'
        )
    # suite2p writes (neurons, frames)
    values = values.T if values.shape[1] == len(times) else values
    if (np.diff(times) <= 0).any() or not np.isfinite(times).all() or len(times) < 2:
        raise BeastError(f'the frame times of {folder} do not ascend; mend them')
    count = values.shape[1]
    columns = _columns(folder, count)
    activity = Binned(
        folder,
        values.astype(np.float32),
        times,
        float(np.median(np.diff(times))),
        np.arange(count),
        np.full(count, NO_REGION),
        is_counts=False,
    )
    if quality or 'iscell' not in columns:
        return Reading(activity, lambda: columns)
    kept = columns['iscell'] > 0
    if not kept.any():
        raise BeastError(f'by {_CELLS} none of the {count} traces in {folder} is a cell')
    logger.info(f'beast: {int(kept.sum())} of the {count} traces in {folder} are cells')
    return Reading(part_of(activity, kept), lambda: {})


def _frame_times(folder: Path) -> np.ndarray:
    places = [folder, folder.parent, folder.parent.parent]
    files = [place / name for place in places for name in _TIMES]
    file = next((file for file in files if file.exists()), None)
    if file is None:
        raise BeastError(
            f'the times of the traces in {folder} are unknown; write {_TIMES[0]} there, the '
            "seconds of the microscope's frames on the clock of the camera times"
        )
    return read_numbers(file, 'frame times')


def _columns(folder: Path, count: int) -> Columns:
    if not (folder / _CELLS).exists():
        return {}
    cells = array_of(folder / _CELLS)
    if cells.ndim != 2 or cells.shape != (count, 2):
        raise BeastError(
            f'{folder / _CELLS} must be ({count}, 2), whether each neuron is a cell and its '
            f'probability, found {cells.shape}; run suite2p again'
        )
    return {'iscell': cells[:, 0], 'iscell_probability': cells[:, 1]}
