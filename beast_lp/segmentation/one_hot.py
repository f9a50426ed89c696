"""One-hot tables: a row per frame and a column per class."""

from pathlib import Path

import numpy as np
import pandas as pd

from beast_lp.errors import BeastError
from beast_lp.segmentation.classes import BACKGROUND, UNSCORED, Labels


def read_one_hot(path: Path) -> Labels:
    """Read a table with one row per frame and one column per class.

    This is the layout of DeepEthogram, daart and lightning-action: an index column, then the
    classes, `background` first where there is one. A row without any 1, or with -1 in all columns,
    is unscored.

    Args:
        path: table, separated by commas, semicolons or tabs.

    Raises:
        BeastError: if it is not such a table, or a frame has two labels.
    """
    try:
        table = pd.read_csv(path, sep=_header_separator(path), index_col=0)
        values = table.to_numpy(dtype=np.float64, na_value=np.nan)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise BeastError(
            f'{path} cannot be read as a one-hot table ({" ".join(str(error).split())}); it needs '
            f'an index column, then {BACKGROUND} and one column of 0 and 1 per class'
        ) from error
    classes = tuple(str(name).strip() for name in table.columns)
    _check_header(path, classes)
    if not np.array_equal(table.index.to_numpy(), np.arange(len(table))):
        raise BeastError(
            f'the first column of {path} does not count the frames 0, 1, 2, ... '
            f'(it starts with {table.index[:3].tolist()}); write one row per frame, in order'
        )
    unscored = (np.isnan(values) | (values == 0)).all(axis=1) | (values == -1).all(axis=1)
    wrong = ~np.isin(values, (0, 1)).all(axis=1) & ~unscored
    if wrong.any():
        frame = int(np.flatnonzero(wrong)[0])
        raise BeastError(
            f'{path}, frame {frame}: expected 0 or 1 in every column, found '
            f'{values[frame].tolist()}'
        )
    twice = np.flatnonzero((values == 1).sum(axis=1) > 1)
    if len(twice):
        names = [classes[i] for i in np.flatnonzero(values[twice[0]] == 1)]
        raise BeastError(
            f'{path}, frame {twice[0]}: two labels on one frame ({" and ".join(names[:2])}; '
            f'{len(twice)} such frames in all); a frame has one behaviour, so keep one of them'
        )
    target = np.where(unscored, UNSCORED, np.argmax(values == 1, axis=1))
    return Labels(classes, target.astype(np.int64))


def _header_separator(path: Path) -> str:
    with path.open(encoding='utf-8-sig') as file:
        return column_separator(file.readline())


def _check_header(path: Path, classes: tuple[str, ...]) -> None:
    if not classes:
        raise BeastError(f'{path} has an index column only; add one column of 0 and 1 per class')
    if BACKGROUND in classes[1:]:
        raise BeastError(
            f'{path}: {BACKGROUND} must be the first column after the index, found the columns '
            f'{", ".join(classes)}'
        )
    repeated = sorted({name for name in classes if classes.count(name) > 1})
    if repeated:
        raise BeastError(f'{path} has two columns named {repeated[0]}; keep one of them')


def check_length(labels: int, frames: int, source: Path, video: Path) -> None:
    """Refuse labels that are longer or shorter than their video.

    Args:
        labels: number of rows.
        frames: number of frames.
        source: file of the labels, for the message.
        video: path of the video, for the message.

    Raises:
        BeastError: if the two numbers differ.
    """
    if labels != frames:
        how = 'longer' if labels > frames else 'shorter'
        raise BeastError(
            f'{source} is {how} than its video: {labels} rows, but {video} has {frames} frames; '
            'give one row per frame (frames that were not scored are rows without a 1)'
        )


def column_separator(line: str) -> str:
    """Return the column separator that occurs most often in a line.

    >>> column_separator('Time;Behavior, or else;Status')
    ';'
    """
    return max(',;\t', key=line.count)
