"""The pictures that reconstructions have to beat."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from beast_lp.config import parse_config
from beast_lp.pretraining import backgrounds
from beast_lp.pretraining.backgrounds import read_backgrounds
from beast_lp.pretraining.split import split_windows


class _Store:
    """A store whose frames are of one grey each."""

    def __init__(self, videos: int, anchors: int) -> None:
        draw = np.random.default_rng(videos)
        self.table = pd.DataFrame(
            {
                'video_id': np.repeat([f'v{i}' for i in range(videos)], anchors),
                'frame': np.tile(np.arange(anchors), videos),
                'project': '',
            }
        )
        self.greys = draw.integers(0, 256, len(self.table))
        self.read_rows: list[int] = []

    def read(self, row: int, offsets: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
        assert offsets == (0,)
        self.read_rows.append(row)
        return np.full((1, *size, 3), self.greys[row], np.uint8)


def _config(**training: float) -> Any:
    return parse_config({'model': {'image_size': 32}, 'training': training})


@pytest.mark.parametrize('videos', [2, 6])
def test_pictures_are_those_of_the_training_anchors(videos: int) -> None:
    store: Any = _Store(videos, 20)
    config = _config(validation_fraction=0.2)
    found = read_backgrounds(config, store)
    assert found is not None
    training, held_out = split_windows(store.table, 0.2, 0)
    assert found.mean.shape == (32, 32, 3)
    assert found.mean[0, 0, 0] == round(store.greys[training].mean())
    names = store.table['video_id'].to_numpy()
    assert len(found.video) == len(held_out)
    for place, row in enumerate(held_out):
        own = training[names[training] == names[row]]
        if videos == 6:
            # the whole video is held out
            assert not len(own)
            own = held_out[names[held_out] == names[row]]
        median = found.medians[found.video[place]]
        assert median[5, 5, 1] == int(np.median(store.greys[own]))


def test_the_frames_that_are_read_are_bounded_and_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backgrounds, '_MEAN_FRAMES', 10)
    monkeypatch.setattr(backgrounds, '_MEDIAN_FRAMES', 8)
    monkeypatch.setattr(backgrounds, '_LEAST_MEDIAN_FRAMES', 3)
    store: Any = _Store(2, 500)
    read_backgrounds(_config(), store)
    assert len(store.read_rows) == 10 + 2 * 4
    mean = store.read_rows[-10:]
    assert mean == sorted(mean) and max(np.diff(mean)) < 160


def test_nothing_is_read_where_nothing_is_held_out() -> None:
    store: Any = SimpleNamespace(table=_Store(2, 5).table)
    assert read_backgrounds(_config(validation_fraction=0.0), store) is None


def test_a_fixed_camera_is_explained_by_its_background() -> None:
    frames = torch.full((3, 32, 32, 3), 90, dtype=torch.uint8)
    hidden = torch.tensor([[0, 3]]).expand(3, -1)
    target = backgrounds.take(backgrounds.patchify(backgrounds.network_input(frames), 16), hidden)
    for norm_pix in (False, True):
        assert backgrounds.picture_error(frames[:1], target, hidden, 16, norm_pix) == 0
