"""How much of the images is animal."""

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beast_lp.config import parse_config
from beast_lp.pretraining import animal_share
from beast_lp.pretraining.animal_share import animal_patches, warn_of_small_animals


def _slow(images: np.ndarray, patch: int) -> list[int]:
    """Count the patches one frame and one patch at a time."""
    median = np.median(images, axis=0)
    counts = []
    for frame in images:
        energies = sorted(
            (
                float(((frame - median) ** 2)[y : y + patch, x : x + patch].sum())
                for y in range(0, frame.shape[0], patch)
                for x in range(0, frame.shape[1], patch)
            ),
            reverse=True,
        )
        count = 0
        while sum(energies[:count]) < 0.8 * sum(energies):
            count += 1
        counts.append(count)
    return counts


def test_patches_are_counted_as_in_a_loop() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 24, 32, 3)).astype(np.uint8)
    images[3:, :16] = images[3, :16]
    assert animal_patches(images, 8).tolist() == _slow(images, 8)


class _Store:
    """A store of frames in which a spot of some size jumps about."""

    def __init__(self, spot: int, videos: int = 1) -> None:
        self.table = pd.DataFrame({'video_id': np.repeat([f'v{i}' for i in range(videos)], 60)})
        self.spot, self.reads = spot, 0

    def read(self, row: int, offsets: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
        assert offsets == (0,)
        self.reads += 1
        image = np.full((1, *size, 3), 180, np.uint8)
        y, x = np.random.default_rng(row).integers(0, size[0] - self.spot, 2)
        image[:, y : y + self.spot, x : x + self.spot] = 20
        return image


@pytest.mark.parametrize(('spot', 'warned'), [(6, True), (40, False)])
def test_only_a_small_animal_is_warned_of(
    spot: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store: Any = _Store(spot)
    with caplog.at_level(logging.INFO, 'lightning_pose'):
        warn_of_small_animals(parse_config({'preset': 'laptop'}), store)
    assert ('litpose motion_bbox' in caplog.text) == warned
    assert ('of 64 patches' in caplog.text) == warned


def test_the_share_of_images_without_the_animal_is_that_of_masking() -> None:
    hidden = np.random.default_rng(0).random((20_000, 64)).argsort(axis=1)[:, 16:]
    for count in (1, 2, 4):
        unseen = (np.sort(hidden, axis=1)[:, :count] == np.arange(count)).all(axis=1).mean()
        # drawn without replacement, so a little rarer
        assert unseen == pytest.approx(0.75**count, abs=0.02)


def test_the_frames_that_are_read_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animal_share, '_FRAMES', 100)
    store: Any = _Store(6, videos=50)
    warn_of_small_animals(parse_config({'preset': 'laptop'}), store)
    assert store.reads <= 120
