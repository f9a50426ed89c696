"""Neural activity of one session in memory, and checks that all its readers share."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Shaped

from beast_lp.errors import BeastError
from beast_lp.runs.foreign import foreign_file

NO_REGION = ''


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


def spike_times_of(
    source: Path,
    times: Shaped[np.ndarray, ' spikes'],
    unit: Int[np.ndarray, ' spikes'],
    names: Shaped[np.ndarray, ' neurons'],
    regions: list[str],
) -> SpikeTimes:
    """Return spikes in the order of time.

    Args:
        source: file or folder of the recording, for messages.
        times: seconds of the spikes, in any order.
        unit: index in `names` of the unit that fired each spike.
        names: names of the units.
        regions: brain regions of the units, empty where unknown.

    Raises:
        BeastError: if there are no spikes, or times are no numbers.
    """
    if not times.size:
        raise BeastError(f'{source} holds no spikes; give a sorted recording')
    check_numbers(source, 'spike times', times)
    order = np.argsort(times, kind='stable')
    return SpikeTimes(
        source,
        times[order].astype(np.float64),
        np.asarray(unit)[order],
        names,
        np.array(regions, dtype=str),
    )


def region_name(value: object) -> str:
    """Return the name of a region, `NO_REGION` for what other programs write instead of none.

    Examples:
        >>> region_name('CA1'), region_name(float('nan')), region_name(None)
        ('CA1', '', '')
    """
    name = value.decode() if isinstance(value, bytes) else str(value)
    return (
        NO_REGION if name.strip().lower() in ('', 'nan', 'none', 'n/a', '<na>') else name.strip()
    )


def texts_of(path: Path, names: Shaped[np.ndarray, ' names']) -> list[str]:
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


def check_numbers(source: Path, what: str, values: Shaped[np.ndarray, '...']) -> None:
    """Check that values are finite numbers.

    Args:
        source: file or folder of the values, for messages.
        what: noun for the values, for messages.
        values: array of any shape.

    Raises:
        BeastError: if they are not.
    """
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
