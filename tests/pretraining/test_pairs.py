"""Split, sampler and dataset."""

import tracemalloc
from collections import Counter
from dataclasses import fields

import numpy as np
import pytest
import torch

from beast_lp.config import PairConfig
from beast_lp.config.setting import declaration
from beast_lp.errors import BeastError
from beast_lp.pretraining.pairs import (
    POSITIVES,
    Pair,
    PairSampler,
    WindowPairs,
    validation_pairs,
)
from beast_lp.runs.seeds import numpy_generator

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
    shares = [
        [p.anchor for p in _sampler(rank=r, world_size=world_size)] for r in range(world_size)
    ]
    assert {len(share) for share in shares} == {23 // world_size}
    everything = [a for share in shares for a in share]
    assert len(set(everything)) == len(everything) > 23 - world_size


def test_anywhere_pairs_with_another_anchor_of_the_same_video() -> None:
    for pair in _sampler('anywhere'):
        assert pair.window != pair.anchor
        assert VIDEOS[pair.window - 10] == VIDEOS[pair.anchor - 10]
        assert pair.offset == 0


def test_anywhere_draws_from_the_others_of_the_video() -> None:
    draw = np.random.default_rng(1)
    # three videos, whose anchors are mixed and not in order
    anchors = draw.permutation(np.arange(100, 160))
    videos = np.array(['b', 'a', 'c'])[draw.integers(0, 3, 60)]
    found: set[tuple[int, int]] = set()
    for epoch in range(3):
        sampler = PairSampler(anchors, videos, 'anywhere', 5)
        sampler.set_epoch(epoch)
        generator = numpy_generator(5, 'pairs', epoch)
        order = generator.permutation(anchors)
        generator.choice((-1, 1), size=60)
        for pair, anchor, choice in zip(sampler, order, generator.random(60), strict=True):
            video = videos[anchors == anchor][0]
            others = anchors[(videos == video) & (anchors != anchor)]
            assert pair == Pair(anchor, others[int(choice * len(others))], 0)
            found.add((pair.anchor, pair.window))
    assert len(found) > 100


def test_the_partners_of_many_anchors_take_no_more_memory_than_the_anchors() -> None:
    tracemalloc.start()
    PairSampler(np.arange(5000), np.array(['a'] * 5000), 'anywhere', 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 5000 copies of 5000 numbers would be 200 MB
    assert peak < 10e6


def test_anywhere_needs_two_anchors_of_every_video() -> None:
    with pytest.raises(BeastError, match='anywhere needs two'):
        PairSampler(np.arange(3), np.array(['a', 'a', 'b']), 'anywhere', 0)


def test_the_choices_of_the_positive_are_those_of_the_schema() -> None:
    (positive,) = (item for item in fields(PairConfig) if item.name == 'positive')
    assert (declaration(positive).choices or {}).keys() == POSITIVES.keys()


class _Store:
    """Frames that say who they are: (window, offset + 1, height)."""

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
    assert frames.shape == (2, 4, 6, 3)
    assert frames.dtype == torch.uint8
    assert frames[0, 0, 0].tolist() == [pair.anchor, 1, 4]
    assert frames[1, 0, 0].tolist() == [pair.window, pair.offset + 1, 4]


@pytest.mark.parametrize('positive', POSITIVES)
def test_validation_pairs_are_fixed_by_the_seed(positive: str) -> None:
    pairs = validation_pairs(ANCHORS, VIDEOS, positive, 0)
    assert pairs == validation_pairs(ANCHORS, VIDEOS, positive, 0)
    assert pairs != validation_pairs(ANCHORS, VIDEOS, positive, 1)
    assert [pair.anchor for pair in pairs] == ANCHORS.tolist()


def test_validation_pairs_follow_the_rule_of_the_training() -> None:
    adjacent = validation_pairs(ANCHORS, VIDEOS, 'adjacent', 0)
    assert all(pair.window == pair.anchor for pair in adjacent)
    assert {pair.offset for pair in adjacent} == {-1, 1}
    for pair in validation_pairs(ANCHORS, VIDEOS, 'anywhere', 0):
        assert pair.window != pair.anchor and pair.offset == 0
        assert pair.window in ANCHORS
        assert VIDEOS[pair.window - 10] == VIDEOS[pair.anchor - 10]


def test_the_only_held_out_anchor_of_a_video_is_paired_with_its_neighbour() -> None:
    pairs = validation_pairs(np.array([4, 7, 9]), np.array(['a', 'b', 'a']), 'anywhere', 0)
    assert [(pair.anchor, pair.window) for pair in pairs] == [(4, 9), (7, 7), (9, 4)]
    assert [abs(pair.offset) for pair in pairs] == [0, 1, 0]


# three projects of very different sizes
PROJECTS = np.array(['small'] * 3 + ['large'] * 20 + ['middle'] * 7)


def _joint(rank: int = 0, world_size: int = 1) -> PairSampler:
    return PairSampler(
        np.arange(100, 130), np.array(['a'] * 30), 'adjacent', 0, rank, world_size, PROJECTS
    )


def _project(pair: Pair) -> str:
    return PROJECTS[pair.anchor - 100]


def test_places_are_rounded_up_to_equal_shares() -> None:
    sampler = PairSampler(
        np.arange(31), np.array(['a'] * 31), 'adjacent', 0, projects=np.append(PROJECTS, 'small')
    )
    assert len(sampler) == len(list(sampler)) == 33


@pytest.mark.parametrize('epoch', [0, 3])
def test_every_project_has_the_same_share_of_every_stretch(epoch: int) -> None:
    sampler = _joint()
    sampler.set_epoch(epoch)
    pairs = list(sampler)
    assert len(pairs) == len(sampler) == 30
    for start in range(0, 30, 3):
        assert len({_project(pair) for pair in pairs[start : start + 3]}) == 3
    # not always in the same order, or two ranks would see different projects
    assert len({tuple(_project(p) for p in pairs[i : i + 3]) for i in range(0, 30, 3)}) > 2


def test_the_anchors_of_a_project_all_come_before_any_comes_again() -> None:
    sampler = _joint()
    seen: dict[str, list[int]] = {'small': [], 'large': [], 'middle': []}
    for epoch in range(14):
        sampler.set_epoch(epoch)
        for pair in sampler:
            seen[_project(pair)].append(pair.anchor)
    for project, anchors in seen.items():
        size = PROJECTS.tolist().count(project)
        assert len(anchors) == 140
        for start in range(0, 140 - size + 1, size):
            assert len(set(anchors[start : start + size])) == size, project


def test_a_joint_epoch_repeats_and_can_be_entered_anywhere() -> None:
    sampler = _joint()
    sampler.set_epoch(5)
    whole = list(sampler)
    again = _joint()
    again.set_epoch(5)
    again.skip_once(11)
    assert again.left == 19
    assert list(again) == whole[11:]
    assert again.left == 30


def test_ranks_share_a_joint_epoch_and_each_sees_all_projects() -> None:
    shares = [list(_joint(rank, 3)) for rank in range(3)]
    assert [len(share) for share in shares] == [10, 10, 10]
    assert all(len({_project(pair) for pair in share}) == 3 for share in shares)
    together = [pair for turn in zip(*shares, strict=True) for pair in turn]
    assert together == list(_joint())


@pytest.mark.parametrize(('epoch_pairs', 'projects'), [(7, 1), (60, 1), (10, 2)])
def test_an_epoch_of_another_length_takes_the_anchors_in_turns(
    epoch_pairs: int, projects: int
) -> None:
    names = np.where(np.arange(23) < 12, 'x', 'y' if projects == 2 else 'x')
    sampler = PairSampler(ANCHORS, VIDEOS, 'adjacent', 0, projects=names, epoch_pairs=epoch_pairs)
    taken: list[int] = []
    for epoch in range(30):
        sampler.set_epoch(epoch)
        pairs = [pair.anchor for pair in sampler]
        assert len(pairs) == len(sampler) == epoch_pairs
        taken += pairs
    for project in set(names.tolist()):
        anchors = ANCHORS[names == project]
        own = Counter(anchor for anchor in taken if anchor in anchors)
        assert own.keys() == set(anchors.tolist())
        assert max(own.values()) - min(own.values()) <= 1
        assert own.total() == len(taken) // projects
