"""What the report of a pretraining run reads from the run's directory."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from beast_lp.config import parse_config
from beast_lp.pretraining.module import BeastModule
from beast_lp.reports import pretraining_run
from beast_lp.vit.pixels import network_input


def test_only_the_first_videos_and_spread_anchors_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pretraining_run, 'MAX_SHEETS', 2)
    monkeypatch.setattr(pretraining_run, 'MAX_SHEET_IMAGES', 3)
    table = pd.DataFrame({'video': ['b'] * 2 + ['a'] * 5 + ['c'], 'frame': 10 * np.arange(8)})
    store: Any = SimpleNamespace(
        table=table,
        clip_size=lambda row: (4, 6),
        read=lambda row, offsets, size: np.full((1, *size, 3), row, np.uint8),
    )
    sheets = pretraining_run._sheets(store)
    assert list(sheets) == ['a', 'b']
    images, captions = sheets['a']
    assert images.shape == (3, 4, 6, 3)
    assert images[:, 0, 0, 0].tolist() == [2, 4, 6]
    assert captions == ['frame 20', 'frame 40', 'frame 60']


def test_pictures_are_read_no_larger_than_they_are_drawn() -> None:
    read: list[tuple[int, tuple[int, int]]] = []

    def record(row: int, offsets: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
        read.append((row, size))
        return np.zeros((1, *size, 3), np.uint8)

    table = pd.DataFrame({'video': ['a'] * 533, 'frame': np.arange(533)})
    store: Any = SimpleNamespace(table=table, clip_size=lambda row: (192, 256), read=record)
    images, captions = pretraining_run._sheets(store)['a']
    assert images.shape == (32, 135, 180, 3) and len(read) == len(captions) == 32
    assert {size for _, size in read} == {(135, 180)}


def test_near_copies_are_found_on_whole_frames_by_what_has_learned_nothing() -> None:
    config = parse_config(
        {'init': 'random', 'model': {'image_size': 32, 'hidden_size': 64, 'num_layers': 1}}
    )
    module = BeastModule(config).eval()
    draw = torch.Generator().manual_seed(0)
    anchors = torch.randint(0, 256, (6, 32, 32, 3), dtype=torch.uint8, generator=draw)
    images = network_input(torch.stack([anchors, anchors], dim=1))
    with torch.inference_mode():
        shares = pretraining_run.retrieval_shares(module, images)
    assert shares == {
        'projection of this model': 1.0,
        'CLS of this model': 1.0,
        'CLS of random weights': 1.0,
        '16 x 16 grey pixels': 1.0,
    }
