"""One vector per frame from whatever holds such: a feature store or predicted keypoints."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from beast_lp.errors import BeastError
from beast_lp.features.keypoints import keypoint_features, read_keypoints
from beast_lp.features.store import FeatureStore


@dataclass(frozen=True)
class Features:
    """One vector per frame of one video.

    Attributes:
        name: for tables and figures.
        values: float32; of a store, a memory map.
        frame: ordinals in the video, rising.
        time: seconds since the video's first frame; None where only the ordinals are known.
        source_hash: of the weights that made them; empty for keypoints.
    """

    name: str
    values: Float[np.ndarray, 'frames dim']
    frame: Int[np.ndarray, ' frames']
    time: Float[np.ndarray, ' frames'] | None
    source_hash: str = ''


def load_features(
    path: str | Path, fps: float | None = None, velocities: bool = False,
) -> Features:
    """Load the features of one video.

    Args:
        path: the folder of the video in the output directory of `litpose embed` (gives its `cls`
            vectors), or a CSV file of keypoints that `litpose predict` wrote.
        fps: frames per second of the video, from which the times of keypoints follow; without it
            they have none. A store brings its own times.
        velocities: of keypoints, take the steps between frames too.

    Raises:
        BeastError: if there is neither at the path, or it cannot be read.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() == '.csv':
        positions, _ = read_keypoints(path)
        frame = np.arange(len(positions), dtype=np.int64)
        name = 'keypoints + velocities' if velocities else 'keypoints'
        return Features(
            name, keypoint_features(positions, velocities), frame, frame / fps if fps else None
        )
    if not path.exists():
        raise BeastError(
            f'there are no features at {path}; give the folder of a video in the output directory '
            'of `litpose embed`, or a CSV file of `litpose predict`'
        )
    store = FeatureStore.open(path)
    name = Path(store.info.source).name
    return Features(name, store.cls, store.frame, store.time, store.info.source_hash)
