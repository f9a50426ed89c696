"""Packets of pairs, copied from the clips of a window store without decoding them."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.video.packets import EncodedPairs
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import WindowStore


@pytest.fixture
def store(write_counted: Callable[..., Path], tmp_path: Path) -> WindowStore:
    """Store windows of two numbered videos."""
    videos = [write_counted(f'video {i}.mp4', 90, first=1000 * i) for i in range(2)]
    return prepare_windows(
        videos,
        tmp_path / 'out',
        AnchorConfig(strategy='uniform', per_video=14),
        WindowConfig(processes=1),
        seed=0,
        progress=False,
    )


def test_a_batch_is_divided_among_two_streams(store: WindowStore) -> None:
    dataset = EncodedPairs(store)
    rows = np.random.default_rng(0).permutation(len(store)).tolist()
    for count in (1, 2, 9, len(store)):
        pairs = [(row, row, 1 if row % 2 else -1) for row in rows[:count]]
        batch = dataset[pairs]
        assert len(batch.streams) == len(batch.lengths) == min(count, 2)
        # two or three frames a pair, each place of one frame alone
        assert 2 * count <= sum(batch.lengths) <= 3 * count
        assert len(np.unique(batch.places)) == 2 * count
        assert batch.places.max() < sum(batch.lengths)
        np.testing.assert_array_equal(batch.pairs, pairs)


def test_datasets_can_be_sent_to_other_processes(store: WindowStore) -> None:
    dataset = EncodedPairs(store)
    there = pickle.loads(pickle.dumps(dataset))
    pairs = [(0, 0, 1), (2, 1, 0)]
    for here, other in zip(dataset[pairs].streams, there[pairs].streams, strict=True):
        np.testing.assert_array_equal(here, other)
