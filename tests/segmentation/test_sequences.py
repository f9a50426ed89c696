"""Windows for training and prediction."""

import numpy as np

from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.sequences import (
    Window,
    balanced_windows,
    cut,
    read_batch,
    stretches,
    training_windows,
)


def test_stretches_are_the_runs_of_true() -> None:
    assert stretches(np.array([1, 1, 0, 1, 0, 1], dtype=bool)) == [(0, 2), (3, 4), (5, 6)]
    assert stretches(np.zeros(3, dtype=bool)) == []


def test_windows_cover_a_stretch_once_with_context_inside_it() -> None:
    for offset in range(10):
        windows = cut(0, 5, 48, 10, 4, offset)
        frames = [frame for window in windows for frame in range(window.start, window.stop)]
        assert frames == list(range(5, 48))
        for window in windows:
            assert len(range(window.start, window.stop)) <= 10
            assert window.first == max(5, window.start - 4)
            assert window.last == min(48, window.stop + 4)


def test_an_epoch_visits_every_training_frame_once() -> None:
    rng = np.random.default_rng(0)
    train = [rng.random(100) < 0.9, np.ones(57, dtype=bool)]
    windows = training_windows(train, 20, 3, rng)
    seen = [np.zeros(len(mask), dtype=int) for mask in train]
    for window in windows:
        seen[window.video][window.start : window.stop] += 1
        assert train[window.video][window.first : window.last].all()
    for count, mask in zip(seen, train, strict=True):
        np.testing.assert_array_equal(count, mask.astype(int))
    again = training_windows(train, 20, 3, np.random.default_rng(5))
    assert again == training_windows(train, 20, 3, np.random.default_rng(5))
    assert again != windows


def test_balanced_windows_show_a_rare_class_as_often() -> None:
    rng = np.random.default_rng(0)
    train = [np.ones(2000, dtype=bool)]
    target = np.zeros(2000, dtype=int)
    target[700:710] = 1
    target[1000:1100] = UNSCORED
    drawn = [window for _ in range(60) for window in balanced_windows(train, [target], 50, 5, rng)]
    assert len(drawn) == 60 * 40
    with_rare = np.mean([(target[w.start : w.stop] == 1).any() for w in drawn])
    # half are drawn around it, a few meet it by chance
    assert 0.45 < with_rare < 0.6
    assert all(w.stop - w.start == 50 for w in drawn)


def test_balanced_windows_lie_around_trained_frames_of_all_videos() -> None:
    rng = np.random.default_rng(0)
    train = [rng.random(300) < 0.98, np.zeros(40, dtype=bool), np.ones(90, dtype=bool)]
    targets = [np.zeros(300, dtype=int), np.ones(40, dtype=int), np.full(90, UNSCORED)]
    targets[2][60:63] = 2
    drawn = [w for _ in range(40) for w in balanced_windows(train, targets, 20, 5, rng)]
    for window in drawn:
        assert train[window.video][window.first : window.last].all()
        assert window.stop - window.start <= 20
    last = [window for window in drawn if window.video == 2]
    # class 1 is in no frame that is trained on; half are drawn around class 2
    assert 0.4 < len(last) / len(drawn) < 0.6
    assert all(window.start < 63 and window.stop > 60 for window in last)


def test_a_batch_holds_the_frames_and_pads_the_rest() -> None:
    features = [np.arange(40, dtype=np.float16).reshape(20, 2), np.ones((9, 2), np.float16)]
    targets = [np.arange(20) % 3, np.zeros(9, dtype=int)]
    batch = read_batch([Window(0, 5, 8, 4, 11), Window(1, 0, 3, 0, 3)], features, targets)
    assert batch.features.shape == (2, 7, 2)
    assert batch.features[0].tolist() == features[0][4:11].tolist()
    assert batch.valid.tolist() == [[True] * 7, [True] * 3 + [False] * 4]
    # the context is seen and not scored
    assert batch.target[0].tolist() == [-1, 2, 0, 1, -1, -1, -1]
    assert batch.target[1].tolist() == [0, 0, 0, -1, -1, -1, -1]
    assert (batch.features[1, 3:] == 0).all()


def test_stretched_windows_take_their_labels_along() -> None:
    features, target = np.arange(100, dtype=np.float32)[:, None], np.arange(100)
    for speed in (0.7, 1.0, 1.3):
        batch = read_batch([Window(0, 20, 60, 10, 70)], [features], [target], [speed])
        scored = batch.target[0] != UNSCORED
        np.testing.assert_array_equal(batch.features[0, scored, 0], batch.target[0, scored])
        assert abs(batch.features.shape[1] - 60 / speed) <= 1
        assert batch.target[0, scored].min() >= 20 and batch.target[0, scored].max() < 60
        if speed == 1:
            assert batch.features[0, :, 0].tolist() == list(range(10, 70))
