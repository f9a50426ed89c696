"""Predicted keypoints as features of frames."""

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from beast_lp.errors import BeastError
from beast_lp.video.keypoint_table import read_points


def read_keypoints(path: Path) -> tuple[Float[np.ndarray, 'frames keypoints 2'], list[str]]:
    """Read the predictions for a video.

    Args:
        path: table that `video.keypoint_table` reads, with one row for each frame; where SLEAP
            left frames out, they are missing.

    Returns:
        positions in px, one row per frame of the video, NaN where a point is missing, and names
        of the keypoints.

    Raises:
        BeastError: if it is no such file, frames are left out or in disorder, or a keypoint is
            missing in all of them.
    """
    table = read_points(
        path,
        'predicted keypoints',
        'give a file that `litpose predict`, DeepLabCut or SLEAP wrote',
    )
    _check_frames(path, table.rows)
    missing = np.asarray(~np.isfinite(table.positions).all(axis=2))
    never = [name for name, gaps in zip(table.keypoints, missing.T, strict=True) if gaps.all()]
    if never:
        raise BeastError(
            f'{path} has no position of {", ".join(never)} in any frame; leave out keypoints that '
            'are never seen'
        )
    # a point without one of its coordinates has none
    return np.where(missing[:, :, None], np.nan, table.positions), list(table.keypoints)


def _check_frames(path: Path, index: Shaped[np.ndarray, ' rows']) -> None:
    """Refuse rows that are not the frames 0, 1, 2, ...: by their order they would move in time."""
    expected = np.arange(len(index))
    numbers = np.asarray(pd.to_numeric(pd.Series(index), errors='coerce'), np.float64)
    wrong = np.flatnonzero(numbers != expected)
    if len(wrong):
        first = wrong[0]
        raise BeastError(
            f'the first column of {path} does not count the frames 0, 1, 2, ...: it holds '
            f'{index[first]} where {first} is expected ({len(wrong)} of {len(index)} rows are not '
            'at their place); write one row per frame, in order, also for frames without an animal'
        )


def keypoint_features(
    positions: Float[np.ndarray, 'frames keypoints 2'],
    velocities: bool = False,
) -> Float[np.ndarray, 'frames dim']:
    """Flatten positions to one vector per frame.

    Args:
        positions: positions in px.
        velocities: whether to append the steps from the frame before, in px per frame; those of
            the first frame are 0.

    Returns:
        x and y of the first keypoint, the second, ..., then the steps in the same order, as
        float32; NaN where a position, or that of the frame before, is missing.

    Examples:
        >>> keypoint_features(np.array([[[1.0, 2.0]], [[4.0, 6.0]]]), velocities=True).tolist()
        [[1.0, 2.0, 0.0, 0.0], [4.0, 6.0, 3.0, 4.0]]
    """
    flat = positions.reshape(len(positions), -1)
    if velocities:
        flat = np.concatenate([flat, np.diff(flat, axis=0, prepend=flat[:1])], axis=1)
    return flat.astype(np.float32)
