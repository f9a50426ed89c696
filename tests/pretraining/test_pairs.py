"""Split, sampler and dataset."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from beast_lp.errors import BeastError
from beast_lp.pretraining.pairs import (
    Pair,
    PairSampler,
    WindowPairs,
    split_windows,
    validation_pairs,
)

ANCHORS = np.arange(10, 33)
VIDEOS = np.array(['a'] * 12 + ['b'] * 11)


def _sampler(positive: str = 'adjacent', rank: int = 0, world_size: int = 1) -> PairSampler:
    return PairSampler(ANCHORS, VIDEOS, positive, 0, rank, world_size)


@pytest.mark.parametrize('epoch', [0, 1, 7])
def test_every_anchor_comes_once_an_epoch(epoch: int) -> None:
    sampler = _sampler()
    sampler.set_epoch(epoch)
    pairs = list(sampler)
    assert len(pairs) == len(sampler) == 23
    assert sorted(pair.anchor for pair in pairs) == ANCHORS.tolist()
    assert all(pair.window == pair.anchor and pair.offset in (-1, 1) for pair in pairs)


def test_epochs_differ_and_repeat() -> None:
    sampler = _sampler()
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_both_sides_are_drawn() -> None:
    counts: Counter[int] = Counter()
    sampler = _sampler()
    for epoch in range(50):
        sampler.set_epoch(epoch)
        counts.update(pair.offset for pair in sampler)
    assert counts[-1] / counts.total() == pytest.approx(0.5, abs=0.05)


def test_batches_mix_the_videos() -> None:
    anchors = [pair.anchor for pair in _sampler()]
    assert len({VIDEOS[a - 10] for a in anchors[:8]}) == 2


@pytest.mark.parametrize('world_size', [2, 4])
def test_ranks_share_without_overlap(world_size: int) -> None:
    shares = [[p.anchor for p in _sampler(rank=r, world_size=world_size)]
              for r in range(world_size)]
    assert {len(share) for share in shares} == {23 // world_size}
    everything = [a for share in shares for a in share]
    assert len(set(everything)) == len(everything) > 23 - world_size


def test_anywhere_pairs_with_another_anchor_of_the_same_video() -> None:
    for pair in _sampler('anywhere'):
        assert pair.window != pair.anchor
        assert VIDEOS[pair.window - 10] == VIDEOS[pair.anchor - 10]
        assert pair.offset == 0


def test_anywhere_needs_two_anchors_of_every_video() -> None:
    with pytest.raises(BeastError, match='anywhere needs two'):
        PairSampler(np.arange(3), np.array(['a', 'a', 'b']), 'anywhere', 0)


class _Store:
    """Frames that say who they are: (window, offset + 1, height)."""

    table = pd.DataFrame({
        'video_id': ['x'] * 6 + ['y'] * 6, 'frame': range(100, 112), 'step': [1] * 6 + [2] * 6,
    })

    def read(self, index: int, offsets: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
        frames = np.zeros((len(offsets), *size, 3), np.uint8)
        for frame, offset in zip(frames, offsets, strict=True):
            frame[:] = index, offset + 1, size[0]
        return frames


@pytest.mark.parametrize(
    'pair', [Pair(5, 5, -1), Pair(5, 5, 1), Pair(5, 3, 0), Pair(8, 8, 1), Pair(8, 9, 0)]
)
def test_the_dataset_reads_the_anchor_and_its_positive(pair: Pair) -> None:
    frames = WindowPairs(_Store(), (4, 6))[pair]  # type: ignore[arg-type]
    assert frames.pixels.shape == (2, 4, 6, 3)
    assert frames.pixels.dtype == torch.uint8
    assert frames.pixels[0, 0, 0].tolist() == [pair.anchor, 1, 4]
    assert frames.pixels[1, 0, 0].tolist() == [pair.window, pair.offset + 1, 4]
    step = 1 if pair.anchor < 6 else 2
    assert frames.time.tolist() == [100 + pair.anchor, 100 + pair.window + step * pair.offset]
    assert frames.video.tolist() == [int(pair.anchor >= 6), int(pair.window >= 6)]


def _table(*counts: int) -> pd.DataFrame:
    rows = [(f'video{v}', 3 * i + 1) for v, count in enumerate(counts) for i in range(count)]
    return pd.DataFrame(rows, columns=pd.Index(['video_id', 'frame']))


@pytest.mark.parametrize('seed', range(5))
def test_the_split_is_one_block_with_gaps_in_every_video(seed: int) -> None:
    table = _table(40, 20)
    train, held_out = split_windows(table, 0.1, seed)
    assert not set(train) & set(held_out)
    for video, size in (('video0', 4), ('video1', 2)):
        rows = table.index[table.video_id == video].to_numpy()
        block = sorted(set(held_out) & set(rows))
        assert len(block) == size
        assert block == list(range(block[0], block[0] + size))
        gap = {block[0] - 1, block[-1] + 1} & set(rows)
        assert not gap & set(train)
        assert set(rows) == (set(train) | set(held_out) | gap) & set(rows)


def test_nothing_is_held_out_of_short_videos_or_at_fraction_0() -> None:
    train, held_out = split_windows(_table(3, 2), 0.1, 0)
    assert (len(train), len(held_out)) == (5, 0)
    assert len(split_windows(_table(40), 0.0, 0)[1]) == 0


def test_too_few_anchors_get_a_sentence() -> None:
    with pytest.raises(BeastError, match='only 1 anchors'):
        split_windows(_table(1), 0.1, 0)


def test_validation_pairs_are_fixed() -> None:
    assert validation_pairs(ANCHORS, 0) == validation_pairs(ANCHORS, 0)
    assert {pair.offset for pair in validation_pairs(ANCHORS, 0)} == {-1, 1}
