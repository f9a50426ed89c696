"""Sequences for training and prediction."""

import numpy as np

from beast_lp.segmentation.sequences import (
    FrameSequence,
    cut_sequences,
    read_batch,
    stretches,
    training_sequences,
)
from beast_lp.segmentation.streams import Streams


def test_stretches_are_the_runs_of_true() -> None:
    assert stretches(np.array([1, 1, 0, 1, 0, 1], dtype=bool)) == [(0, 2), (3, 4), (5, 6)]
    assert stretches(np.zeros(3, dtype=bool)) == []


def test_sequences_cover_a_stretch_once_with_context_inside_it() -> None:
    for offset in range(10):
        sequences = cut_sequences(0, 5, 48, 10, 4, offset)
        frames = [
            frame for sequence in sequences for frame in range(sequence.start, sequence.stop)
        ]
        assert frames == list(range(5, 48))
        for sequence in sequences:
            assert len(range(sequence.start, sequence.stop)) <= 10
            assert sequence.first == max(5, sequence.start - 4)
            assert sequence.last == min(48, sequence.stop + 4)


def test_an_epoch_visits_every_training_frame_once() -> None:
    rng = np.random.default_rng(0)
    train = [rng.random(100) < 0.9, np.ones(57, dtype=bool)]
    sequences = training_sequences(train, 20, 3, rng)
    seen = [np.zeros(len(mask), dtype=int) for mask in train]
    for sequence in sequences:
        seen[sequence.video][sequence.start : sequence.stop] += 1
        assert train[sequence.video][sequence.first : sequence.last].all()
    for count, mask in zip(seen, train, strict=True):
        np.testing.assert_array_equal(count, mask.astype(int))
    again = training_sequences(train, 20, 3, np.random.default_rng(5))
    assert again == training_sequences(train, 20, 3, np.random.default_rng(5))
    assert again != sequences


def test_a_batch_holds_the_frames_and_pads_the_rest() -> None:
    features = [np.arange(40, dtype=np.float16).reshape(20, 2), np.ones((9, 2), np.float16)]
    streams = [Streams((own,)) for own in features]
    targets = [np.arange(20) % 3, np.zeros(9, dtype=int)]
    batch = read_batch(
        [FrameSequence(0, 5, 8, 4, 11), FrameSequence(1, 0, 3, 0, 3)], streams, targets
    )
    assert batch.features[0].shape == (2, 7, 2)
    assert batch.features[0][0].tolist() == features[0][4:11].tolist()
    assert batch.valid.tolist() == [[True] * 7, [True] * 3 + [False] * 4]
    # the context is seen and not scored
    assert batch.target[0].tolist() == [-1, 2, 0, 1, -1, -1, -1]
    assert batch.target[1].tolist() == [0, 0, 0, -1, -1, -1, -1]
    assert (batch.features[0][1, 3:] == 0).all()
