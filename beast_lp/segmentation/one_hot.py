"""One-hot and multi-hot tables: a row per frame and a column per class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from beast_lp.errors import BeastError
from beast_lp.runs.foreign import column_separator
from beast_lp.segmentation.classes import Labels
from beast_lp.segmentation.labelling import BACKGROUND, EXCLUSIVE, UNSCORED, Labelling
from beast_lp.segmentation.text_tables import (
    check_decimals,
    fitted_row,
    read_text,
    split_rows,
    to_number,
)

# text of a cell that nobody filled
_MISSING = ('', 'nan', 'na')
# how Python writes a column of truth values
_TRUTH = {'true': 1.0, 'false': 0.0}


def read_one_hot(path: Path, labelling: Labelling = EXCLUSIVE) -> Labels:
    """Read a table with one row per frame and one column per class.

    This is the layout of DeepEthogram, daart and lightning-action: an index column, then the
    classes, `background` first where there is one. A row of empty cells, or with -1 in all
    columns, is unscored. So is a row of 0, unless a frame may show no class and the table has no
    `background` to say so.

    Args:
        path: table, separated by commas, semicolons or tabs.
        labelling: whether a row may have one 1 or several.

    Raises:
        BeastError: if it is not such a table, or a frame has two labels.
    """
    text = read_text(path)
    head = next((line for line in text.splitlines() if line.strip()), '')
    separator = column_separator(head)
    rows = split_rows(path, text, separator)
    if not rows:
        raise _no_table(path, 'it is empty')
    classes = _class_names(path, rows[0], [row[len(rows[0]) - 1 :] for row in rows[1:]])
    cells = [fitted_row(path, row, len(classes) + 1) for row in rows[1:]]
    decimal_comma = separator != ','
    if decimal_comma:
        check_decimals(path, (cell for row in cells for cell in row))
    numbers = np.array(
        [
            [_TRUTH.get(cell.lower(), to_number(cell, decimal_comma)) for cell in row]
            for row in cells
        ],
        dtype=np.float64,
    ).reshape(len(cells), len(classes) + 1)
    no_number = next(
        (
            cell
            for row, own in zip(cells, numbers, strict=True)
            for cell, number in zip(row, own, strict=True)
            if np.isnan(number) and cell.lower() not in _MISSING
        ),
        None,
    )
    if no_number is not None:
        raise _no_table(path, f'it holds {no_number!r}')
    index, values = numbers[:, 0], numbers[:, 1:]
    if not np.array_equal(index, np.arange(len(index))):
        found = [int(x) if x == np.rint(x) else float(x) for x in index[:3]]
        raise BeastError(
            f'the first column of {path} does not count the frames 0, 1, 2, ... '
            f'(it starts with {found}); write one row per frame, in order'
        )
    unscored = (np.isnan(values) | (values == 0)).all(axis=1) | (values == -1).all(axis=1)
    if labelling.allows_none and classes[0] != BACKGROUND:
        unscored &= (values != 0).any(axis=1)
    wrong = ~np.isin(values, (0, 1)).all(axis=1) & ~unscored
    if wrong.any():
        frame = int(np.flatnonzero(wrong)[0])
        raise BeastError(
            f'{path}, frame {frame}: expected 0 or 1 in every column, found '
            f'{values[frame].tolist()}'
        )
    _check_several(path, classes, values == 1, labelling)
    target = np.where(unscored, UNSCORED, labelling.from_flags(values == 1))
    return Labels(classes, target, labelling)


def _check_several(
    path: Path,
    classes: Sequence[str],
    ones: Bool[np.ndarray, 'frames classes'],
    labelling: Labelling,
) -> None:
    """Refuse frames with two labels that cannot both be right."""
    twice = ones.sum(axis=1) > 1
    remedy = (
        'a frame has one behaviour, so keep one of them, or set '
        'beast.segmentation.multi_label=true if they can be shown at once'
    )
    if labelling.allows_several:
        twice &= ones[:, 0] & (classes[0] == BACKGROUND)
        remedy = f'{BACKGROUND} means that no behaviour is shown, so keep one of them'
    if twice.any():
        frame = int(np.flatnonzero(twice)[0])
        names = [classes[int(i)] for i in np.flatnonzero(ones[frame])]
        raise BeastError(
            f'{path}, frame {frame}: two labels on one frame ({" and ".join(names[:2])}; '
            f'{int(twice.sum())} such frames in all); {remedy}'
        )


def _class_names(
    path: Path,
    header: Sequence[str],
    last_cells: Sequence[Sequence[str]],
) -> tuple[str, ...]:
    """Return the names of the columns after the index.

    Args:
        path: file of the table, for the messages.
        header: cells of its first row.
        last_cells: cells of each other row from the last column on.
    """
    classes = tuple(header[1:])
    # a separator at the end of each line makes an empty column
    if classes and not classes[-1] and not any(map(any, last_cells)):
        classes = classes[:-1]
    if not classes:
        raise BeastError(f'{path} has an index column only; add one column of 0 and 1 per class')
    if BACKGROUND in classes[1:]:
        raise BeastError(
            f'{path}: {BACKGROUND} must be the first column after the index, found the columns '
            f'{", ".join(classes)}'
        )
    repeated = sorted({name for name in classes if classes.count(name) > 1})
    if repeated:
        raise BeastError(
            f'{path} has two columns named {repeated[0] or "nothing"}; keep one of them'
        )
    return classes


def _no_table(path: Path, why: str) -> BeastError:
    return BeastError(
        f'{path} cannot be read as a one-hot table ({why}); it needs an index column, then '
        f'{BACKGROUND} and one column of 0 and 1 per class'
    )


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
