"""Read spike counts, or traces of calcium imaging, from `.npz` files."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from beast_lp.encoding.activity import NO_REGION, Binned, check_numbers, region_name, texts_of
from beast_lp.encoding.units import Reading
from beast_lp.errors import BeastError
from beast_lp.runs.foreign import foreign_file
from beast_lp.runs.readable import read_arrays

# share by which the typical distance of bins may differ from their width: clocks of microscopes
# drift, and a bin may be lost here and there
_STEP_TOLERANCE = 0.05
# spikes of a neuron in a bin: more than any fires in a minute, the widest bin
_MOST_COUNT = 1e6
# factor within which camera and microscope run for one time
_SAME_LENGTH = 1.5

logger = logging.getLogger(f'lightning_pose.{__name__}')


def read_npz(path: Path) -> Reading:
    """Read a `.npz` file with `spike_counts` or `traces`, (bins, neurons).

    Arrays of (neurons, bins), as suite2p and facemap have them, are transposed where the other
    arrays of the file tell.

    Args:
        path: file to read.

    Raises:
        BeastError: if it holds something else.
    """
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
    check_numbers(path, kinds[0], values)
    width = _bin_width(content, path)
    times = next((content[key] for key in ('bin_times', 'time_s') if key in content), None)
    if _is_transposed(values.shape, content, times, width):
        logger.info(f'beast: {kinds[0]} in {path} are (neurons, bins), and were transposed')
        values = values.T
    times = (np.arange(len(values)) + 0.5) * width if times is None else times
    if times.ndim != 1 or len(times) != len(values):
        raise BeastError(
            f'{path} holds {len(values)} bins but {times.size} bin times; write one for each'
        )
    check_numbers(path, 'bin times', times)
    if (np.diff(times) <= 0).any():
        raise BeastError(f'the bin times in {path} do not ascend; sort the bins by time')
    _check_steps(path, times, width)
    if is_counts:
        _check_counts(path, values)
    count = values.shape[1]
    names, regions = _names_and_regions(content, count, path)
    frame_times = _frame_times(content, path)
    activity = Binned(
        path,
        values.astype(np.float32),
        times.astype(np.float64),
        width,
        names,
        regions,
        is_counts,
        frame_times,
    )
    columns = {
        key: array
        for key, array in content.items()
        if array.shape == (count,) and array.dtype.kind in 'biufUS'
    }
    return Reading(activity, lambda: columns)


def _names_and_regions(
    content: Mapping[str, np.ndarray], count: int, path: Path
) -> tuple[np.ndarray, np.ndarray]:
    names = content['names'] if 'names' in content else np.arange(count)
    regions = content['regions'] if 'regions' in content else np.full(count, NO_REGION)
    for key, column in (('names', names), ('regions', regions)):
        if column.shape != (count,):
            raise BeastError(f'{key} in {path} has {column.size} entries for {count} neurons')
        if column.dtype.kind not in 'iufUS':
            raise BeastError(
                f'{key} in {path} must be text or numbers, found values of type {column.dtype}'
            )
    return (
        np.array(texts_of(path, names)) if names.dtype.kind in 'US' else names,
        np.array([region_name(region) for region in texts_of(path, regions)], dtype=str),
    )


def _frame_times(content: Mapping[str, np.ndarray], path: Path) -> np.ndarray | None:
    frame_times = content.get('frame_times')
    if frame_times is not None and (frame_times.ndim != 1 or frame_times.dtype.kind not in 'iuf'):
        raise BeastError(
            f'frame_times in {path} must be one column of seconds, found an array of '
            f'{frame_times.shape} with values of type {frame_times.dtype}'
        )
    return None if frame_times is None else frame_times.astype(np.float64)


def _is_transposed(
    shape: tuple[int, ...],
    content: Mapping[str, np.ndarray],
    times: np.ndarray | None,
    width: float,
) -> bool:
    """Return whether the other arrays of a file tell that values are (neurons, bins).

    Args:
        shape: shape of the values.
        content: arrays of the file.
        times: times of the bins; None if the file lacks them.
        width: width of a bin in seconds.

    Examples:
        >>> _is_transposed((5, 100), {'frame_times': np.arange(40) * 0.1}, None, 0.04)
        True
    """
    if times is not None:
        return times.shape == shape[1:] != shape[:1]
    named = next((content[key] for key in ('names', 'regions') if key in content), None)
    if named is not None:
        return named.shape == shape[:1] != shape[1:]
    frames = content.get('frame_times')
    if frames is None or frames.ndim != 1 or len(frames) < 2 or frames.dtype.kind not in 'iuf':
        return False
    filmed = float(frames[-1] - frames[0])
    if not 0 < filmed < np.inf:
        return False
    as_bins, as_neurons = (abs(np.log(size * width / filmed)) for size in shape)
    return bool(as_neurons < np.log(_SAME_LENGTH) < as_bins)


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
