"""Small stores with made-up features, for the tests of this room and of those that read stores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beast_lp.features.info import FeatureInfo

MakeInfo = Callable[..., FeatureInfo]


@pytest.fixture
def make_info(tmp_path: Path) -> MakeInfo:
    """Return a function that describes features of 4 channels with 2 x 3 patches of 5."""

    def make(**changes: Any) -> FeatureInfo:
        values: dict[str, Any] = {
            'video': str(tmp_path / 'a.mp4'),
            'source': 'a backbone',
            'source_kind': 'vit',
            'source_hash': 'abc',
            'dim': 4,
            'image_size': (32, 48),
            'grid': (2, 3),
            'patch_dim': 5,
            'video_key': 'def',
            'fps': 25.0,
        }
        return FeatureInfo(**{**values, **changes})

    return make


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    """Return the rows of 10 frames for it."""
    random = np.random.default_rng(0)
    return {
        'cls': random.normal(size=(10, 4)).astype(np.float32),
        'patches': random.normal(size=(10, 6, 5)).astype(np.float16),
        'frame': np.arange(10) * 3,
        'time': np.arange(10) * 0.12,
    }
