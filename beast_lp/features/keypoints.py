"""Keypoints that the host predicted, as features of frames."""

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from beast_lp.errors import BeastError


def read_keypoints(path: Path) -> tuple[Float[np.ndarray, 'frames keypoints 2'], list[str]]:
    """Read the host's predictions for a video.

    Args:
        path: CSV file with the header rows scorer, bodyparts and coords, an index column, and for
            every keypoint x, y and other columns, which are left out.

    Returns:
        positions in px, one row per frame of the video, and names of the keypoints.

    Raises:
        BeastError: if it is no such file, or a position is not a number.
    """
    try:
        table = pd.read_csv(path, header=[0, 1, 2], index_col=0)
    except (OSError, ValueError, IndexError) as error:
        raise BeastError(
            f'{path} cannot be read as predicted keypoints ({error}); give a CSV '
            'file that `litpose predict` wrote'
        ) from error
    values = table.apply(pd.to_numeric, errors='coerce').to_numpy(np.float64)
    by_name: dict[str, dict[str, np.ndarray]] = {}
    for number, column in enumerate(table.columns):
        name, coordinate = str(column[1]), str(column[2])
        by_name.setdefault(name, {})[coordinate] = values[:, number]
    names = [name for name, parts in by_name.items() if {'x', 'y'} <= parts.keys()]
    if not names or not len(table):
        raise BeastError(
            f'{path} holds no keypoints: the columns x and y under a name are missing; give a CSV '
            'file that `litpose predict` wrote, with the header rows scorer, bodyparts and coords'
        )
    positions = np.stack(
        [np.stack([by_name[name]['x'], by_name[name]['y']], axis=1) for name in names], axis=1
    )
    missing = ~np.isfinite(positions).all(axis=(1, 2))
    if missing.any():
        raise BeastError(
            f'{path} has {int(missing.sum())} frames in which a position is not a number (frame '
            f'{int(missing.argmax())} is the first); fill the gaps, or predict the video again'
        )
    return positions, names


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
        float32.

    >>> keypoint_features(np.array([[[1.0, 2.0]], [[4.0, 6.0]]]), velocities=True).tolist()
    [[1.0, 2.0, 0.0, 0.0], [4.0, 6.0, 3.0, 4.0]]
    """
    flat = positions.reshape(len(positions), -1)
    if velocities:
        flat = np.concatenate([flat, np.diff(flat, axis=0, prepend=flat[:1])], axis=1)
    return flat.astype(np.float32)
