"""What holds for every set of anchors: held out means apart, and each comes once an epoch."""

from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from beast_lp.errors import BeastError
from beast_lp.pretraining.pairs import POSITIVES, Pair, PairSampler
from beast_lp.pretraining.split import split_windows


@st.composite
def stores(draw: DrawFn) -> pd.DataFrame:
    """Draw the table of a store, its rows in any order, perhaps of several projects."""
    counts = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    rows = [(f'v{video}', 3 * i + 1) for video, count in enumerate(counts) for i in range(count)]
    order = draw(st.randoms(use_true_random=False))
    order.shuffle(rows)
    table = pd.DataFrame(rows, columns=pd.Index(['video_id', 'frame'])).assign(project='')
    if draw(st.booleans()):
        table['project'] = [int(name[1:]) % 2 for name in table['video_id']]
    return table


@given(
    stores(),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.integers(0, 3),
)
def test_held_out_anchors_have_no_neighbour_in_training(
    table: pd.DataFrame,
    fraction: float,
    seed: int,
) -> None:
    try:
        train, held_out = split_windows(table, fraction, seed)
    except BeastError:
        assume(False)
        raise
    both = np.concatenate([train, held_out])
    assert len(set(both.tolist())) == len(both)
    assert fraction > 0 or len(held_out) == 0 and len(train) == len(table)
    left_out = set(range(len(table))) - set(both.tolist())
    for _, group in table.groupby('video_id'):
        place = {int(row): at for at, row in enumerate(group.sort_values('frame').index)}
        mine = [
            {place[row] for row in map(int, part) if row in place}
            for part in (train, held_out, sorted(left_out))
        ]
        trained, tested, gap = mine
        if not tested:
            assert not gap
            continue
        # one block in the order of time, with one anchor of distance on both sides
        assert max(tested) - min(tested) + 1 == len(tested)
        if trained:
            assert gap == {min(tested) - 1, max(tested) + 1} & set(place.values())
        assert not trained & {at + side for at in tested for side in (-1, 1)}


@st.composite
def samplers(
    draw: DrawFn, positive: str | None = None
) -> tuple[list[PairSampler], dict[int, str], dict[int, int] | None]:
    """Draw the samplers of all ranks of a run, the video and the project of each anchor."""
    counts = draw(st.lists(st.integers(2, 15), min_size=1, max_size=4))
    anchors = draw(st.integers(0, 1000)) + np.arange(sum(counts))
    videos = np.repeat([f'v{number}' for number in range(len(counts))], counts)
    joint = len(counts) > 1 and draw(st.booleans())
    projects = np.repeat(np.arange(len(counts)) % 2, counts) if joint else None
    positive = positive or draw(st.sampled_from(list(POSITIVES)))
    ranks, seed = draw(st.integers(1, 4)), draw(st.integers(0, 3))
    epoch = draw(st.integers(0, 5))
    made = [
        PairSampler(anchors, videos, positive, seed, rank, ranks, projects)
        for rank in range(ranks)
    ]
    for sampler in made:
        sampler.set_epoch(epoch)
    return (
        made,
        dict(zip(anchors.tolist(), videos.tolist(), strict=True)),
        None if projects is None else dict(zip(anchors.tolist(), projects.tolist(), strict=True)),
    )


@given(samplers())
def test_ranks_part_the_anchors_and_each_comes_once(
    drawn: tuple[list[PairSampler], dict[int, str], dict[int, int] | None],
) -> None:
    ranks, videos, projects = drawn
    shares = [list(sampler) for sampler in ranks]
    assert {len(share) for share in shares} == {len(sampler) for sampler in ranks}
    seen = Counter(pair.anchor for share in shares for pair in share)
    assert set(seen) <= set(videos)
    # as many places as anchors, but for what does not divide by the ranks
    assert seen.total() > len(videos) - len(ranks)
    if projects is None:
        assert set(seen.values()) <= {1}
        return
    # equal places for both projects, but for what the ranks leave over
    places = Counter(projects[anchor] for anchor in seen.elements())
    assert max(places.values()) - min(places.values()) <= len(ranks)
    for project, count in places.items():
        own = [seen[anchor] for anchor in videos if projects[anchor] == project]
        # a pass is over before the next begins, and an epoch may lie across two passes more
        assert max(own) <= -(-count // len(own)) + 1


@given(samplers('adjacent'))
def test_an_adjacent_positive_is_a_neighbour(
    drawn: tuple[list[PairSampler], dict[int, str], dict[int, int] | None],
) -> None:
    for pair in (pair for sampler in drawn[0] for pair in sampler):
        assert pair.window == pair.anchor and pair.offset in (-1, 1)


@given(samplers('anywhere'))
def test_a_positive_from_anywhere_is_another_anchor_of_the_same_video(
    drawn: tuple[list[PairSampler], dict[int, str], dict[int, int] | None],
) -> None:
    ranks, videos, _ = drawn
    for pair in (pair for sampler in ranks for pair in sampler):
        assert pair.offset == 0 and pair.window != pair.anchor
        assert videos[pair.window] == videos[pair.anchor]


@given(samplers(), st.integers(0, 70))
def test_an_epoch_can_be_entered_anywhere_and_then_is_whole_again(
    drawn: tuple[list[PairSampler], dict[int, str], dict[int, int] | None],
    skipped: int,
) -> None:
    for sampler in drawn[0]:
        whole: list[Pair] = list(sampler)
        sampler.skip_once(skipped)
        assert list(sampler) == whole[skipped:]
        assert list(sampler) == whole
