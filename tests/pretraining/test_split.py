"""What is held out for validation."""

import numpy as np
import pandas as pd
import pytest

from beast_lp.errors import BeastError
from beast_lp.pretraining.split import WHOLE_VIDEOS_FROM, split_windows


def _table(*counts: int) -> pd.DataFrame:
    rows = [(f'video{v}', 3 * i + 1) for v, count in enumerate(counts) for i in range(count)]
    return pd.DataFrame(rows, columns=pd.Index(['video_id', 'frame'])).assign(project='')


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


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('fps', [20.0, 100.0, np.nan])
def test_the_gap_is_a_second_between_the_frames_of_windows(fps: float, seed: int) -> None:
    step = 2
    table = _table(1000).assign(fps=fps, step=step)
    train, held_out = split_windows(table, 0.1, seed)
    distances = np.abs(table.frame[held_out].to_numpy()[:, None] - table.frame[train].to_numpy())
    # anchors are 3 frames apart; those of both sides have a window of 2 frames
    least = 6 if np.isnan(fps) else fps + 2 * step
    assert least < distances.min() <= least + 3 or np.isnan(fps) and distances.min() == least


def test_the_gap_of_a_short_video_leaves_most_of_it() -> None:
    # 5.7 seconds, of which two gaps of a second would be more than a third
    table = _table(20).assign(fps=10.0, step=1)
    for seed in range(5):
        train, held_out = split_windows(table, 0.1, seed)
        assert len(held_out) == 2 and len(train) >= 12
        assert not set(held_out + 1) & set(train) and not set(held_out - 1) & set(train)


def test_a_video_that_is_nothing_but_gap_is_trained_on() -> None:
    table = _table(10).assign(fps=25.0, step=20)
    train, held_out = split_windows(table, 0.1, 0)
    assert (len(train), len(held_out)) == (10, 0)


def test_nothing_is_held_out_of_short_videos_or_at_fraction_0() -> None:
    train, held_out = split_windows(_table(3, 2), 0.1, 0)
    assert (len(train), len(held_out)) == (5, 0)
    assert len(split_windows(_table(40), 0.0, 0)[1]) == 0


def test_too_few_anchors_get_a_sentence() -> None:
    with pytest.raises(BeastError, match='only 1 anchors'):
        split_windows(_table(1), 0.1, 0)


def _videos(table: pd.DataFrame, rows: np.ndarray) -> set[str]:
    return set(table.video_id[rows])


@pytest.mark.parametrize('seed', range(5))
def test_whole_videos_are_held_out_as_few_as_give_the_fraction(seed: int) -> None:
    table = _table(10, 30, 20, 10, 30)
    train, held_out = split_windows(table, 0.25, seed)
    assert sorted([*train, *held_out]) == list(range(100))
    assert not _videos(table, train) & _videos(table, held_out)
    assert len(held_out) >= 25
    # without the smallest of them, the fraction would be missed
    sizes = table.video_id[held_out].value_counts()
    assert len(held_out) - sizes.max() < 25


def test_a_video_that_is_just_the_fraction_is_enough() -> None:
    assert len(split_windows(_table(*[10] * 8), 0.125, 0)[1]) == 10


def test_the_seed_chooses_the_videos() -> None:
    table = _table(*[10] * 8)
    chosen = {
        tuple(sorted(_videos(table, split_windows(table, 0.1, seed)[1]))) for seed in range(10)
    }
    assert len(chosen) > 3
    assert all(len(videos) == 1 for videos in chosen)


def test_few_videos_give_blocks() -> None:
    table = _table(*[40] * (WHOLE_VIDEOS_FROM - 1))
    train, held_out = split_windows(table, 0.1, 0)
    assert _videos(table, train) == _videos(table, held_out) == set(table.video_id)


def test_one_video_is_always_left_to_train_on() -> None:
    table = _table(100, 1, 1, 1, 1)
    for seed in range(5):
        train, held_out = split_windows(table, 0.5, seed)
        assert len(train) > 0 and len(held_out) > 0
        assert not _videos(table, train) & _videos(table, held_out)


def test_every_project_is_split_by_itself() -> None:
    table = _table(*[10] * 5, 40, 40)
    table['project'] = ['many'] * 50 + ['few'] * 80
    train, held_out = split_windows(table, 0.1, 0)
    many, few = (set(table.index[table.project == name]) for name in ('many', 'few'))
    assert len(_videos(table, np.array(sorted(many & set(held_out))))) == 1
    assert len(many & set(held_out)) == 10
    assert len(_videos(table, np.array(sorted(few & set(held_out))))) == 2
    assert len(few & set(held_out)) == 8
    assert not set(train) & set(held_out)
