"""Tables of keypoints as Lightning Pose, DeepLabCut and SLEAP write them.

| suffix | content |
|---|---|
| `.csv` | the header rows scorer, bodyparts and coords, with several animals also individuals |
| `.h5` | the same as a table of pandas, or an analysis file of SLEAP |
| `.slp` | predictions of SLEAP |
"""

import csv
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from beast_lp.errors import BeastError
from beast_lp.runs.foreign import column_separator, foreign_file, read_text
from beast_lp.runs.hdf import SUFFIXES as HDF_SUFFIXES
from beast_lp.runs.hdf import open_hdf, read_hdf
from beast_lp.runs.readable import check_readable

_HEADER = ('scorer', 'bodyparts', 'coords')
# row of several animals between the first two
_ANIMALS = 'individuals'
SUFFIXES = ('.csv', *HDF_SUFFIXES, '.slp')
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
    """Read a table of keypoints; those of several animals are named for the animal, too.

    Columns other than `x`, `y` and `visible` are left out; a point that is not `visible` is
    missing. Commas, semicolons or tabs may separate the columns; where it is no comma, decimals
    may have one.

    Args:
        path: file with one of `SUFFIXES`.
        what: noun for the table, for messages.
        advice: what the user should give, the end of messages.

    Raises:
        BeastError: if it is no such file, a column stands twice or lacks its other half, or a
            value is not a number.
    """
    if leaves_frames_out(path):
        return _read_sleap(path, what, advice)
    if path.suffix.lower() in HDF_SUFFIXES:
        return _read_pandas(path, what, advice)
    with (
        foreign_file(path, advice, what),
        path.open(encoding='utf-8-sig', newline='') as file,
    ):
        lines = [file.readline() for _ in _HEADER]
        if lines[1].strip().lower().startswith(_ANIMALS):
            lines.append(file.readline())
        mark = column_separator(lines[-1])
        header = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark)]
        if any(len(row) < 2 for row in header):
            raise ValueError(f'it lacks the header rows {", ".join(_HEADER)}')
        header = _one_name(path, header, advice)
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

    return _keypoints(path, table, columns, mark != ',')


def is_keypoint_file(path: Path) -> bool:
    """Return whether a file is a table of keypoints, by its suffix and first bytes.

    Args:
        path: file, which may be unreadable; a `.csv` that is none counts as keypoints, so that
            their reader says what is wrong with it.
    """
    suffix = path.suffix.lower()
    if suffix == '.slp':
        return True
    check_readable(path)
    try:
        if suffix == '.csv':
            return _begins_like_keypoints(read_text(path))
        if suffix in HDF_SUFFIXES:
            return leaves_frames_out(path) or read_hdf(path).columns.nlevels >= len(_HEADER)
    except BeastError:
        raise
    except Exception:  # h5py and the text reader raise errors of many kinds for damaged files
        return suffix == '.csv'
    return False


def _begins_like_keypoints(text: str) -> bool:
    """Return whether a row below the first names coordinates."""
    lines = text.splitlines()[: len(_HEADER) + 1]
    rows = [[cell.strip(' "') for cell in line.split(column_separator(line))] for line in lines]
    if not rows or rows[0][0].lower() == _HEADER[0]:
        return True
    return any({'x', 'y'} & set(row[1:]) for row in rows[1:])


def _one_name(path: Path, header: list[list[str]], advice: str) -> list[list[str]]:
    """Return three header rows; keypoints of several animals are named `ANIMAL KEYPOINT`."""
    if len(header) == len(_HEADER):
        return header
    scorers, animals, names, coordinates = header
    if len({len(row) for row in header}) > 1:
        found = ', '.join(str(len(row)) for row in header)
        raise BeastError(f'the header rows of {path} differ in length ({found} columns); {advice}')
    joined = [f'{animal} {name}'.strip() for animal, name in zip(animals, names, strict=True)]
    return [scorers, joined, coordinates]


def _read_pandas(path: Path, what: str, advice: str) -> KeypointTable:
    """Read a table that pandas wrote, as DeepLabCut keeps its predictions."""
    with foreign_file(path, advice, what):
        table: Any = read_hdf(path)
        levels = table.columns.nlevels
        if levels not in (len(_HEADER), len(_HEADER) + 1):
            raise ValueError(f'its columns lack the levels {", ".join(_HEADER)}')
        header = [['', *map(str, table.columns.get_level_values(n))] for n in range(levels)]
        table.columns = range(1, table.shape[1] + 1)
        table.insert(0, 0, table.index)
    columns = _columns(path, _one_name(path, header, advice), advice)
    return _keypoints(path, table, columns, decimal_comma=False)


def leaves_frames_out(path: Path) -> bool:
    """Return whether a file is one of SLEAP, which may end before the video does.

    Args:
        path: file, which may be missing or unreadable.
    """
    if path.suffix.lower() == '.slp':
        return True
    if path.suffix.lower() not in HDF_SUFFIXES:
        return False
    check_readable(path)
    try:
        with open_hdf(path) as file:
            return 'tracks' in file and 'node_names' in file
    except OSError:
        # its reader says what is wrong
        return False


def _read_sleap(path: Path, what: str, advice: str) -> KeypointTable:
    """Read predictions of SLEAP; frames without an animal are missing."""
    try:
        sleap_io: Any = import_module('sleap_io')
    except ImportError as error:
        raise BeastError(
            f'reading {path} needs the package sleap-io; install it with pip install sleap-io, '
            "or export the predictions in SLEAP as DeepLabCut's .csv"
        ) from error
    with foreign_file(path, advice, what):
        if path.suffix.lower() == '.slp':
            labels = sleap_io.load_slp(str(path), open_videos=False)
        else:
            labels = sleap_io.load_analysis_h5(str(path))
        if len(labels.videos) > 1:
            raise ValueError(f'it holds {len(labels.videos)} videos, and must hold one')
        nodes = [str(node) for node in labels.skeleton.node_names]
        tracks = [track.name for track in labels.tracks]
        positions = np.asarray(labels.numpy(untracked=not tracks), np.float64)
    frames, animals = positions.shape[:2]
    if not frames:
        raise BeastError(f'{path} holds no frame with an animal; {advice}')
    if animals > 1 and len(tracks) != animals:
        raise BeastError(
            f'{path} holds {animals} animals that are not told apart by tracks; track them in '
            'SLEAP, and export them again'
        )
    names = [f'{track} {node}' for track in tracks for node in nodes] if animals > 1 else nodes
    return KeypointTable(
        np.arange(frames), tuple(names), positions.reshape(frames, animals * len(nodes), 2)
    )


def _keypoints(
    path: Path, table: Any, columns: dict[tuple[str, str], int], decimal_comma: bool
) -> KeypointTable:
    """Return the positions in a table, NaN where a point is missing or not visible."""
    values = {
        key: _numbers(path, table[number], key, decimal_comma) for key, number in columns.items()
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
