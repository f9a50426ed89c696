"""A small session: features, spikes that follow some of them, all on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beast_lp.features.info import FeatureInfo

WriteStore = Callable[..., Path]


@pytest.fixture
def write_store(tmp_path: Path) -> WriteStore:
    """Return a function that writes a feature store as `litpose embed` leaves it."""

    def write(
        name: str,
        features: np.ndarray,
        time: np.ndarray,
        source_hash: str = 'a1',
        patches: np.ndarray | None = None,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        grid = None if patches is None else (1, patches.shape[1])
        info = FeatureInfo(
            video=f'{folder.name}.mp4',
            source='backbone',
            source_kind='vit',
            source_hash=source_hash,
            dim=features.shape[1],
            frames=len(features),
            grid=grid,
            patch_dim=None if patches is None else patches.shape[2],
        )
        np.save(folder / 'cls.npy', features.astype(np.float32))
        np.save(folder / 'frame.npy', np.arange(len(features)))
        np.save(folder / 'time.npy', time.astype(np.float64))
        if patches is not None:
            np.save(folder / 'patches.npy', patches.astype(np.float16))
        (folder / 'info.json').write_text(info.to_json())
        return folder

    return write


@pytest.fixture
def simulated() -> dict[str, np.ndarray]:
    """Return 120 s at 20 Hz: smooth features, and 12 Poisson neurons that follow three of them."""
    rng = np.random.default_rng(0)
    bins = 2400
    white = rng.normal(size=(bins + 40, 6))
    kernel = np.hanning(21) / np.linalg.norm(np.hanning(21))
    features = np.stack([np.convolve(column, kernel, 'valid')[:bins] for column in white.T], 1)
    rates = np.exp(0.5 * features[:, :3] @ rng.normal(size=(3, 12)) - 0.5)
    return {
        'features': features,
        'rates': rates,
        'counts': rng.poisson(rates),
        'times': (np.arange(bins) + 0.5) / 20,
    }
