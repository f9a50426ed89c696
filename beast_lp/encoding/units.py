"""Columns that describe units, and the quality filter that reads one of them."""

import io
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, Shaped

from beast_lp.config.encoding import number_of, split_filter
from beast_lp.encoding.activity import Activity, Binned, SpikeTimes
from beast_lp.errors import BeastError
from beast_lp.runs.foreign import column_separator, foreign_file, read_text

logger = logging.getLogger(f'lightning_pose.{__name__}')

Columns = Mapping[str, Shaped[np.ndarray, ' neurons']]


class Reading(NamedTuple):
    """A recording as a reader returns it.

    Attributes:
        activity: all its neurons.
        columns: reads what describes the neurons, by the names of the columns; most recordings
            are used without.
    """

    activity: Activity
    columns: Callable[[], Columns]


def keep_good(reading: Reading, quality: str | None) -> Activity:
    """Keep the neurons that a filter lets pass, and log how many they are.

    Args:
        reading: recording with the columns of its neurons.
        quality: filter; None keeps all.

    Raises:
        BeastError: if the recording has no such column, or no neuron is left.
    """
    activity = reading.activity
    if quality is None:
        return activity
    column, sign, wanted = split_filter(quality)
    columns = reading.columns()
    if column not in columns:
        raise BeastError(
            f'beast.encoding.quality={quality} names the column {column!r}, which the units of '
            f'{activity.source} do not have; they have {", ".join(sorted(columns)) or "none"}'
        )
    values = columns[column]
    kept = _passes(values, sign, wanted)
    total = len(kept)
    if not kept.any():
        found = ', '.join(dict.fromkeys(map(str, np.unique(values.astype(str))[:8])))
        raise BeastError(
            f'beast.encoding.quality={quality} leaves none of the {total} units of '
            f'{activity.source}, whose {column} is {found}; choose another value, or null'
        )
    logger.info(
        f'beast: {int(kept.sum())} of the {total} units of {activity.source} remain by '
        f'beast.encoding.quality={quality}'
    )
    return part_of(activity, kept)


def part_of(activity: Activity, kept: Bool[np.ndarray, ' neurons']) -> Activity:
    """Return the recording of some of its neurons."""
    names, regions = activity.names[kept], activity.regions[kept]
    if isinstance(activity, Binned):
        return replace(activity, values=activity.values[:, kept], names=names, regions=regions)
    inside = kept[activity.unit]
    number = np.cumsum(kept) - 1
    if not inside.any():
        raise BeastError(f'the units of {activity.source} that remain have no spikes')
    return SpikeTimes(
        activity.source, activity.times[inside], number[activity.unit[inside]], names, regions
    )


def _passes(values: Shaped[np.ndarray, ' units'], sign: str, wanted: str) -> Any:
    numbers = np.asarray(pd.to_numeric(pd.Series(values), errors='coerce'), np.float64)
    if sign == '>=':
        # labels are shares such as 2/3, of which tables hold some digits
        return numbers >= float(wanted) - 1e-3
    text = pd.Series(values).astype(str).str.strip().str.lower()
    passes = np.zeros(len(values), dtype=bool)
    for value in wanted.split(','):
        number = number_of(value)
        passes |= (text == value.strip().lower()).to_numpy()
        if number is not None:
            passes |= np.abs(numbers - number) < 1e-3
    return passes


def read_unit_table(path: Path, advice: str) -> dict[str, dict[int, object]]:
    """Read a table of units: for each column its values by the number of the unit.

    Args:
        path: text with commas, semicolons or tabs between its columns, or Parquet (`.pqt`,
            `.parquet`).
        advice: what the user can do, the end of messages.

    Raises:
        BeastError: if it cannot be read, or a number is none or stands twice.
    """
    with foreign_file(path, advice, 'a table of clusters'):
        rows = _rows(path)
        if rows.shape[1] < 2:
            raise ValueError('it has one column only')
    rows.columns = rows.columns.astype(str).str.strip()
    # tables that pandas wrote have an index of their own in front
    key = next((name for name in ('cluster_id', 'id') if name in rows), rows.columns[0])
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
    keys = numbers.astype(int).tolist()
    return {
        str(name): dict(zip(keys, rows[name].tolist(), strict=True))
        for name in rows.columns
        if name != key
    }


def _rows(path: Path) -> Any:
    if path.suffix in ('.pqt', '.parquet'):
        try:
            rows = pd.read_parquet(path)
        except ImportError as error:
            raise BeastError(
                f'reading {path} needs the package pyarrow; install it with pip install pyarrow, '
                'or write the table as .csv'
            ) from error
        return rows if 'cluster_id' in rows else rows.reset_index()
    text = read_text(path)
    mark = column_separator(text.split('\n', 1)[0])
    with warnings.catch_warnings():
        # rows that are longer than the header
        warnings.simplefilter('error', pd.errors.ParserWarning)
        return pd.read_csv(io.StringIO(text), sep=mark, index_col=False)


def of_units(
    table: Mapping[str, Mapping[int, object]],
    names: Int[np.ndarray, ' neurons'],
) -> dict[str, Shaped[np.ndarray, ' neurons']]:
    """Return the columns of a table for some units, NaN where it lacks one.

    Args:
        table: values by column and number of the unit.
        names: numbers of the units.

    Examples:
        >>> of_units({'group': {1: 'good', 3: 'mua'}}, np.array([3, 2]))['group'].tolist()
        ['mua', nan]
    """
    return {
        name: np.array([column.get(int(unit), np.nan) for unit in names], dtype=object)
        for name, column in table.items()
    }
