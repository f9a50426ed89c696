"""What the report of a pretraining run is drawn from: its tables, pictures and sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, UInt8
from pandas.api.types import is_numeric_dtype

from beast_lp.errors import BeastError

# columns of a damaged table that are named
_MOST_SHOWN = 8


@dataclass(frozen=True)
class PretrainingPictures:
    """Pictures and embeddings that the report draws beside the run's tables.

    Pictures are RGB. Any of the arrays may have length 0, where a run has nothing to show (no
    reconstructions without a decoder, no retrieval without the contrastive term): its section
    then says so.
    """

    # video (as in videos.csv) → anchor pictures and one caption for each
    anchor_sheets: Mapping[str, tuple[UInt8[np.ndarray, 'n height width 3'], Sequence[str]]]
    # in [0, 1]
    originals: Float[np.ndarray, 'examples 3 height width']
    masked: Float[np.ndarray, 'examples 3 height width']
    reconstructed: Float[np.ndarray, 'examples 3 height width']
    # epochs trained → reconstructions of the same examples at that time, 0 to 255
    snapshots: Mapping[int, UInt8[np.ndarray, 'examples 3 height width']]
    retrieval_anchors: Float[np.ndarray, 'pairs 3 height width']
    retrieval_nearest: Float[np.ndarray, 'pairs 3 height width']
    retrieval_correct: Bool[np.ndarray, ' pairs']
    retrieval_captions: Sequence[str]
    # by what frames are compared, in words → share of positives found, on whole frames; and the
    # number of pairs among which they were sought
    retrieval_shares: Mapping[str, float]
    retrieval_pairs: int
    # CLS tokens
    embeddings: Float[np.ndarray, 'tokens dim']
    embedding_video: Sequence[str]
    # share of the video that lies before the frame, 0 to 1
    embedding_time: Float[np.ndarray, ' tokens']


@dataclass(frozen=True)
class PretrainingRun:
    """The tables and pictures of one run."""

    summary: Mapping[str, str]
    metrics: pd.DataFrame
    videos: pd.DataFrame
    anchors: pd.DataFrame
    # short runs that chose the contrastive weight; None if there were none
    tuning: pd.DataFrame | None
    warnings: Sequence[str]
    # trains a pose model; empty where the run was started otherwise than by its command
    next_command: str
    pictures: PretrainingPictures


def read_table(
    path: Path,
    needed: Sequence[str] = (),
    numbers: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a table; names and identifiers stay text even where they look like numbers.

    Args:
        path: CSV file that pretraining wrote.
        needed: columns that it must have.
        numbers: columns of numbers that it must have; it then needs a row, too.

    Raises:
        BeastError: if the table is missing or damaged.
    """
    restore = 'restore the file that pretraining wrote, or run pretraining again'
    try:
        table = pd.read_csv(path, dtype={'video': str, 'video_id': str})
    except (FileNotFoundError, pd.errors.EmptyDataError) as error:
        raise BeastError(
            f'the report needs the table {path}, which is missing or empty; run the pretraining '
            'again, or give its output directory'
        ) from error
    except ValueError as error:
        raise BeastError(
            f'the table {path} cannot be read ({" ".join(str(error).split())}); {restore}'
        ) from error
    missing = [name for name in (*needed, *numbers) if name not in table]
    if missing:
        found = ', '.join(map(str, table.columns[:_MOST_SHOWN]))
        raise BeastError(f'the table {path} lacks {", ".join(missing)} (found {found}); {restore}')
    texts = [name for name in numbers if not is_numeric_dtype(table[name])]
    if texts or (numbers and table.empty):
        found = 'no rows' if table.empty else f'no numbers in {", ".join(texts)}'
        raise BeastError(f'the table {path} has {found}; {restore}')
    return table
