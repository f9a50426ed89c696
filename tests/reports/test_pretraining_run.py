"""What the report of a pretraining run reads from the run's directory."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beast_lp.reports import pretraining_run


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
