"""A run of seconds, which the tests of the stage and of its parts share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beast_lp.config import BeastConfig, parse_config

SECTION: dict[str, Any] = {
    'init': 'random',
    'anchors': {'per_video': 12},
    'windows': {'longest_side': 48},
    'model': {
        'image_size': 32,
        'patch_size': 16,
        'hidden_size': 32,
        'num_layers': 1,
        'mask_ratio': 0.5,
        'decoder_hidden_size': 16,
        'decoder_num_layers': 1,
    },
    'training': {
        'epochs': 4,
        'batch_size': 8,
        'peak_learning_rate': 3.125e-4,
        'precision': 'fp32',
        'num_workers': 0,
        'checkpoint_minutes': 1e-9,
    },
}


@pytest.fixture
def tiny_section() -> Callable[..., dict[str, Any]]:
    """Return a function that returns the `beast:` section of a tiny run, with changes."""

    def section(**changes: Any) -> dict[str, Any]:
        result = {**SECTION}
        for key, value in changes.items():
            base = SECTION.get(key, {})
            result[key] = {**base, **value} if isinstance(value, dict) else value
        return result

    return section


@pytest.fixture
def tiny_config(tiny_section: Callable[..., dict[str, Any]]) -> Callable[..., BeastConfig]:
    """Return a function that returns the settings of a tiny run, with changes."""
    return lambda **changes: parse_config(tiny_section(**changes))


@pytest.fixture
def videos(write_video: Callable[..., Path]) -> list[Path]:
    """Return two short videos of a square that jumps about."""
    return [jumping_square(write_video, seed) for seed in range(2)]


@pytest.fixture
def five_videos(write_video: Callable[..., Path]) -> list[Path]:
    """Return enough short videos to hold whole ones out."""
    return [jumping_square(write_video, seed) for seed in range(5)]


def jumping_square(write_video: Callable[..., Path], seed: int) -> Path:
    """Write a video of a square that jumps about; each seed has its own grey."""
    draw = np.random.default_rng(seed)
    frames = []
    for _ in range(60):
        frame = np.full((48, 64, 3), 90 + 60 * seed % 160, np.uint8)
        y, x = draw.integers(0, 32), draw.integers(0, 48)
        frame[y : y + 16, x : x + 16] = draw.integers(0, 256, 3)
        frames.append(frame)
    return write_video(f'video {seed}.mp4', frames)
