"""Tables of keypoints as Lightning Pose and DeepLabCut write them: labels and predictions."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from beast_lp.errors import BeastError
from beast_lp.runs.foreign import column_separator, foreign_file

_HEADER = ('scorer', 'bodyparts', 'coords')
# value of the host's column `visible` for a point whose position counts; those of 0 (not
# labelled) and 1 (occluded) are ignored
_VISIBLE, _VISIBILITIES = 2, (0, 1, 2)


@dataclass(frozen=True)
class KeypointTable:
    """Content of a table of keypoints.

    Attributes:
        rows: first column: paths of images, or numbers of frames.
        keypoints: name of each keypoint.
        positions: x and y in px; NaN where a point is missing.
    """

    rows: Shaped[np.ndarray, ' rows']
    keypoints: tuple[str, ...]
    positions: Float[np.ndarray, 'rows keypoints 2']


def read_points(path: Path, what: str, advice: str) -> KeypointTable:
    """Read a table with the header rows scorer, bodyparts and coords.

    Columns other than `x`, `y` and `visible` are left out; a point that is not `visible` is
    missing. Commas, semicolons or tabs may separate the columns; where it is no comma, decimals
    may have one.

    Args:
        path: CSV file.
        what: noun for the table, for messages.
        advice: what the user should give, the end of messages.

    Raises:
        BeastError: if it is no such file, a column stands twice or lacks its other half, or a
            value is not a number.
    """
    with (
        foreign_file(path, advice, what),
        path.open(encoding='utf-8-sig', newline='') as file,
    ):
        lines = [file.readline() for _ in _HEADER]
        mark = column_separator(lines[-1])
        header = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark)]
        if any(len(row) < 2 for row in header):
            raise ValueError(f'it lacks the header rows {", ".join(_HEADER)}')
        columns = _columns(path, header, advice)
        try:
            # without a header of its own, pandas takes no row for the name of the first column
            table: Any = pd.read_csv(file, header=None, sep=mark, low_memory=False)
        except pd.errors.EmptyDataError as error:
            raise ValueError('it has no rows below its header') from error
    width = max(len(row) for row in header)
    if table.shape[1] < width or table.iloc[:, width:].notna().any(axis=None):
        raise BeastError(
            f'{path} has {width} columns in its header and {table.shape[1]} below it; {advice}'
        )

    values = {
        key: _numbers(path, table[number], key, mark != ',') for key, number in columns.items()
    }
    names = tuple(dict.fromkeys(name for name, _ in columns))
    positions = np.stack(
        [np.stack([values[name, 'x'], values[name, 'y']], axis=1) for name in names], axis=1
    )
    for number, name in enumerate(names):
        if (name, 'visible') in values:
            visible = values[name, 'visible']
            odd = ~np.isin(visible, _VISIBILITIES) & ~np.isnan(visible)
            if odd.any():
                raise BeastError(
                    f'{path} holds {visible[odd][0]:g} as visible of {name} in row '
                    f'{int(odd.argmax())}; write 0 (not labelled), 1 (occluded) or 2 (visible)'
                )
            positions[visible != _VISIBLE, number] = np.nan
    return KeypointTable(table[0].to_numpy(), names, positions)


def _columns(path: Path, header: list[list[str]], advice: str) -> dict[tuple[str, str], int]:
    """Return the numbers of the columns that are read, by keypoint and coordinate."""
    if len({len(row) for row in header}) > 1:
        found = ', '.join(str(len(row)) for row in header)
        raise BeastError(f'the header rows of {path} differ in length ({found} columns); {advice}')
    scorers, names, coordinates = header
    columns: dict[tuple[str, str], int] = {}
    for number, key in enumerate(zip(names, coordinates, strict=True)):
        name, coordinate = key
        if not number or coordinate not in ('x', 'y', 'visible'):
            continue
        if not name:
            raise BeastError(f'{path} has a column {coordinate} without a bodypart; {advice}')
        if key in columns:
            both = list(dict.fromkeys([scorers[columns[key]], scorers[number]]))
            by = f'of the scorers {" and ".join(both)}' if len(both) > 1 else f'of {both[0]}'
            raise BeastError(
                f'{path} has two columns {coordinate} for {name}, {by}; keep one of them'
            )
        columns[key] = number
    if not columns:
        raise BeastError(
            f'{path} holds no keypoints: the columns x and y under a name are missing; {advice}, '
            f'with the header rows {", ".join(_HEADER)}'
        )
    for name in dict.fromkeys(name for name, _ in columns):
        lacking = [axis for axis in ('x', 'y') if (name, axis) not in columns]
        if lacking:
            raise BeastError(
                f'{path} has no column {lacking[0]} for {name}, only others (it holds no '
                f'keypoints without both x and y); {advice}'
            )
    return columns


def _numbers(
    path: Path, column: Any, key: tuple[str, str], decimal_comma: bool
) -> Float[np.ndarray, ' rows']:
    """Return the numbers of a column, NaN where it is empty."""
    if column.dtype.kind in 'iuf':
        values = np.asarray(column, np.float64)
    else:
        text = column.astype(str)
        if decimal_comma:
            text = text.str.replace(',', '.', regex=False)
        values = np.asarray(pd.to_numeric(text, errors='coerce'), np.float64)
    bad = (~np.isfinite(values) & column.notna().to_numpy()).nonzero()[0]
    if len(bad):
        raise BeastError(
            f'{path} holds {str(column.iloc[bad[0]])!r} as {key[1]} of {key[0]} in row {bad[0]}, '
            'which is not a number; correct it, or leave it empty'
        )
    return values
