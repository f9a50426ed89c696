"""What holds for every split and every sequence."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from beast_lp.errors import BeastError
from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.sequences import (
    cut_sequences,
    read_batch,
    stretches,
    training_sequences,
)
from beast_lp.segmentation.split import fold_videos, hold_out_blocks
from beast_lp.segmentation.streams import Streams

MASKS = st.lists(
    st.lists(st.booleans(), min_size=1, max_size=80).map(np.array), min_size=1, max_size=3
)


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=4),
    st.integers(1, 30),
    st.integers(2, 5),
    st.integers(0, 20),
)
def test_no_frame_near_a_held_out_one_is_trained_on(
    lengths: list[int],
    block: int,
    every: int,
    gap: int,
) -> None:
    named = {str(number): length for number, length in enumerate(lengths)}
    try:
        fold = hold_out_blocks(named, every, block, gap)
    except BeastError:
        assume(False)
        raise
    for name, length in named.items():
        test, train = np.flatnonzero(fold.test[name]), np.flatnonzero(fold.train[name])
        assert len(fold.test[name]) == len(fold.train[name]) == length
        if len(test) and len(train):
            apart = np.abs(test[:, None] - train[None])
            assert apart.min() > gap
            # and no frame is given away for nothing
            neither = np.flatnonzero(~fold.test[name] & ~fold.train[name])
            assert all(np.abs(test - frame).min() <= gap for frame in neither)


@given(st.integers(2, 12), st.integers(2, 5), st.integers(0, 3))
def test_every_frame_is_held_out_in_one_fold_and_trained_on_in_the_others(
    videos: int,
    folds: int,
    seed: int,
) -> None:
    assume(videos >= folds)
    lengths = {f'v{number}': number + 1 for number in range(videos)}
    parts = fold_videos(lengths, folds, seed)
    for name in lengths:
        held_out = np.sum([fold.test[name] for fold in parts], axis=0)
        assert held_out.tolist() == [1] * lengths[name]
        assert all((fold.test[name] != fold.train[name]).all() for fold in parts)
    sizes = [sum(bool(fold.test[name].all()) for name in lengths) for fold in parts]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 20), st.integers(1, 90), st.integers(1, 25), st.integers(0, 30), st.data())
def test_each_frame_is_predicted_once_with_all_the_context_there_is(
    start: int,
    count: int,
    length: int,
    context: int,
    data: st.DataObject,
) -> None:
    stop = start + count
    sequences = cut_sequences(
        0, start, stop, length, context, data.draw(st.integers(0, length - 1))
    )
    frames = [frame for sequence in sequences for frame in range(sequence.start, sequence.stop)]
    assert frames == list(range(start, stop))
    for sequence in sequences:
        assert sequence.stop - sequence.start <= length
        assert (sequence.first, sequence.last) == (
            max(start, sequence.start - context),
            min(stop, sequence.stop + context),
        )


@given(MASKS, st.integers(1, 20), st.integers(0, 10), st.integers(0, 9))
def test_an_epoch_sees_each_training_frame_once_and_no_other(
    train: list[np.ndarray],
    length: int,
    context: int,
    seed: int,
) -> None:
    sequences = training_sequences(train, length, context, np.random.default_rng(seed))
    seen = [np.zeros(len(mask), int) for mask in train]
    for sequence in sequences:
        seen[sequence.video][sequence.start : sequence.stop] += 1
        assert train[sequence.video][sequence.first : sequence.last].all()
    assert [count.tolist() for count in seen] == [mask.astype(int).tolist() for mask in train]
    for mask in train:
        again = np.zeros(len(mask), bool)
        for first, last in stretches(mask):
            again[first:last] = True
            assert (first == 0 or not mask[first - 1]) and (last == len(mask) or not mask[last])
        assert (again == mask).all()


@given(
    st.integers(1, 60),
    st.integers(1, 15),
    st.integers(0, 8),
    st.integers(0, 5),
)
def test_a_batch_pairs_every_frame_with_its_own_label(
    count: int,
    length: int,
    context: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    # a frame's feature is its number, and so is its label
    numbers = np.arange(count)
    sequences = training_sequences([np.ones(count, bool)], length, context, rng)
    batch = read_batch(sequences, [Streams((numbers[:, None].astype(np.float32),))], [numbers])
    assert (batch.target[~batch.valid] == UNSCORED).all()
    assert (batch.features[0][~batch.valid] == 0).all()
    for row, sequence in enumerate(sequences):
        scored = batch.target[row] != UNSCORED
        labels = batch.target[row, scored]
        assert (labels == batch.features[0][row, scored, 0]).all()
        assert ((labels >= sequence.start) & (labels < sequence.stop)).all()
        shown = batch.features[0][row, batch.valid[row], 0]
        assert shown[0] == sequence.first and shown[-1] < sequence.last
        assert (shown.diff() >= 0).all()
