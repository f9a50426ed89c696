"""Held-out frames are held out."""

import numpy as np
import pytest

from beast_lp.errors import BeastError
from beast_lp.segmentation.split import fold_videos, hold_out_blocks, hold_out_videos


def test_blocks_with_gaps_are_those_of_a_loop() -> None:
    lengths = {'a': 100, 'b': 37}
    fold = hold_out_blocks(lengths, every=4, block=10, gap=3)
    for name, frames in lengths.items():
        test = [(frame // 10) % 4 == 3 for frame in range(frames)]
        train = [not any(test[max(0, frame - 3) : frame + 4]) for frame in range(frames)]
        assert fold.test[name].tolist() == test
        assert fold.train[name].tolist() == train


def test_too_short_a_video_for_blocks_gets_a_sentence() -> None:
    with pytest.raises(BeastError, match=r'longest video has 30 frames.*every 4. block of 10'):
        hold_out_blocks({'a': 30}, every=4, block=10, gap=0)


def test_videos_are_held_out_whole() -> None:
    fold = hold_out_videos({'a': 5, 'b': 6}, ['b'])
    assert fold.train['a'].all() and fold.test['b'].all()
    assert not fold.train['b'].any() and not fold.test['a'].any()
    assert not any(mask.any() for mask in hold_out_videos({'a': 5}, []).test.values())


def test_folds_hold_out_every_video_once() -> None:
    lengths = dict.fromkeys('abcdefg', 4)
    folds = fold_videos(lengths, 3, seed=1)
    held_out = np.sum([[fold.test[name].all() for name in lengths] for fold in folds], axis=0)
    assert held_out.tolist() == [1] * 7
    for fold in folds:
        assert all((fold.train[name] != fold.test[name]).all() for name in lengths)
    assert len({fold.name for fold in folds}) == 3
    with pytest.raises(BeastError, match=r'folds=9 needs as many videos with labels, found 7'):
        fold_videos(lengths, 9, seed=1)
