"""Choosing anchors, against slow loops and on data whose answer is known."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from beast_lp.config import AnchorConfig
from beast_lp.errors import BeastError
from beast_lp.video import anchors
from beast_lp.video.anchors import (
    CHUNK,
    LONG_VIDEO,
    STILL_LEVELS,
    first_of_identical,
    first_of_still,
    motion_energy,
    moving_frames,
    pick_farthest,
    pick_spaced,
    select_anchors,
)

PIXELS = 32 * 32


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads of the matrix library wait for each other for seconds where cores are shared."""
    with threadpool_limits(limits=1):
        yield


def _random_thumbnails(count: int, seed: int = 0, pixels: int = PIXELS) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, pixels), np.uint8)


@pytest.mark.parametrize('step', [1, 5])
@pytest.mark.parametrize('count', [1, 2, 7, CHUNK, CHUNK + 1, CHUNK + 2, 2 * CHUNK + 5])
def test_motion_energy_equals_a_loop(count: int, step: int) -> None:
    thumbnails = _random_thumbnails(count, pixels=12)
    expected = np.zeros(count)
    for frame in range(step, count):
        differences = [
            abs(int(now) - int(before))
            for now, before in zip(thumbnails[frame], thumbnails[frame - step], strict=True)
        ]
        expected[frame] = sum(differences) / len(differences)
    if count > step:
        expected[:step] = expected[step]
    energy = motion_energy(thumbnails, step)
    assert energy.dtype == np.float32
    np.testing.assert_allclose(energy, expected, rtol=1e-5)


def test_moving_frames_are_those_above_the_percentile() -> None:
    energy = np.random.default_rng(0).random(501).astype(np.float32)
    for percentile in (0.0, 30.0, 90.0):
        threshold = np.percentile([energy[frame] for frame in range(1, 500)], percentile)
        expected = [frame for frame in range(1, 500) if energy[frame] > threshold]
        assert moving_frames(energy, percentile).tolist() == expected


@pytest.mark.parametrize(('count', 'share'), [(LONG_VIDEO - 1, 0.5), (LONG_VIDEO, 0.25)])
def test_long_videos_keep_a_quarter(count: int, share: float) -> None:
    energy = np.random.default_rng(0).random(count)
    assert len(moving_frames(energy, None)) == pytest.approx(share * count, abs=2)


def test_even_motion_keeps_every_inner_frame() -> None:
    assert moving_frames(np.ones(6), None).tolist() == [1, 2, 3, 4]


def test_a_longer_step_keeps_its_distance_from_both_ends() -> None:
    assert moving_frames(np.ones(20), None, 4).tolist() == list(range(4, 16))


def test_first_of_still_equals_a_loop() -> None:
    random = np.random.default_rng(0)
    # a walk whose steps are seldom visible
    walk = np.cumsum(random.integers(-1, 2, (CHUNK + 900, 12)), axis=0)
    thumbnails = (walk - walk.min() + 3).astype(np.uint8)
    candidates = np.sort(random.choice(len(thumbnails), CHUNK + 300, replace=False))
    expected = [0]
    for position in range(1, len(candidates)):
        now, last = thumbnails[candidates[position]], thumbnails[candidates[expected[-1]]]
        if any(abs(int(a) - int(b)) > STILL_LEVELS for a, b in zip(now, last, strict=True)):
            expected.append(position)
    assert 100 < len(expected) < len(candidates) - 100
    assert first_of_still(thumbnails, candidates).tolist() == expected


def test_identical_thumbnails_count_once() -> None:
    random = np.random.default_rng(0)
    thumbnails = _random_thumbnails(40)[random.integers(0, 40, 3000)]
    candidates = np.sort(random.choice(3000, 2500, replace=False))
    seen: set[bytes] = set()
    expected = []
    for position, frame in enumerate(candidates):
        if thumbnails[frame].tobytes() not in seen:
            expected.append(position)
        seen.add(thumbnails[frame].tobytes())
    assert first_of_identical(thumbnails, candidates).tolist() == expected


def test_pick_spaced_equals_a_loop() -> None:
    random = np.random.default_rng(0)
    for spacing in (1, 3, 10):
        candidates = np.sort(random.choice(400, 250, replace=False))
        labels = random.integers(0, 40, 250)
        distances = random.random(250).astype(np.float32)
        taken: list[int] = []
        sizes = {label: int((labels == label).sum()) for label in range(40)}
        for label in sorted(sizes, key=lambda label: (sizes[label], label)):
            members = sorted(
                (at for at in range(250) if labels[at] == label), key=lambda at: distances[at]
            )
            for at in members:
                if all(abs(candidates[at] - candidates[other]) >= spacing for other in taken):
                    taken.append(at)
                    break
        assert pick_spaced(candidates, labels, distances, spacing).tolist() == sorted(taken)


@pytest.mark.parametrize('spacing', [1, 4])
def test_pick_farthest_equals_a_loop(monkeypatch: pytest.MonkeyPatch, spacing: int) -> None:
    random = np.random.default_rng(0)
    monkeypatch.setattr(anchors, 'CHUNK', 70)
    points = random.normal(size=(300, 5)).astype(np.float32)
    candidates = np.sort(random.choice(600, len(points), replace=False))
    found = pick_farthest(points, candidates, 12, spacing, seed=7)
    for start in found:
        taken = [int(start)]
        while len(taken) < 12:
            distances = [
                min(float(np.linalg.norm(point - points[other])) for other in taken)
                if all(abs(candidates[at] - candidates[other]) >= spacing for other in taken)
                else -1.0
                for at, point in enumerate(points)
            ]
            taken.append(int(np.argmax(distances)))
        if sorted(taken) == found.tolist():
            break
    else:
        pytest.fail('no first point leads to the points found')
    assert pick_farthest(points, candidates, 12, spacing, seed=7).tolist() == found.tolist()
    assert pick_farthest(points, candidates, 12, spacing, seed=8).tolist() != found.tolist()


def test_pick_farthest_stops_at_copies_and_at_the_spacing() -> None:
    points = np.array([[0], [0], [5], [9], [9]], np.float32)
    every = pick_farthest(points, np.arange(5), 5, 1, seed=0)
    assert sorted(points[every, 0]) == [0, 5, 9]
    for seed in range(5):
        apart = pick_farthest(points, np.arange(5), 5, 4, seed)
        assert len(apart) == (2 if set(apart) <= {0, 4} else 1)


def _postures(count: int, groups: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Frames that jump among clearly different postures, with a little noise."""
    random = np.random.default_rng(seed)
    centres = random.integers(20, 236, (groups, PIXELS))
    posture = random.integers(0, groups, count)
    noise = random.integers(-3, 4, (count, PIXELS))
    return (centres[posture] + noise).astype(np.uint8), posture


@pytest.mark.parametrize('exact', [True, False])
def test_each_posture_gives_its_most_typical_frame(
    monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    if not exact:
        monkeypatch.setattr(anchors, 'EXACT_CANDIDATES', 100)
    thumbnails, posture = _postures(900, 12)
    config = AnchorConfig(per_video=12, min_spacing=1, motion_percentile=0)
    energy = motion_energy(thumbnails)
    found = select_anchors(thumbnails, energy, config, seed=0)
    assert sorted(posture[found.frame]) == list(range(12))
    np.testing.assert_array_equal(found.motion_energy, energy[found.frame])
    assert len(set(found.cluster.tolist())) == 12
    assert found.distance.shape == (12,)
    if not exact:
        return
    # k-means centres are the groups' means, in the space that the candidates span
    candidates = moving_frames(energy, 0)
    plain = PCA(32, svd_solver='full').fit(thumbnails[candidates].astype(float))
    for frame, distance in zip(found.frame, found.distance, strict=True):
        group = candidates[posture[candidates] == posture[frame]]
        points = plain.transform(thumbnails[group].astype(float))
        lengths = [float(np.linalg.norm(point - points.mean(0))) for point in points]
        assert frame == group[int(np.argmin(lengths))]
        assert distance == pytest.approx(min(lengths), rel=1e-3)


@pytest.mark.parametrize('strategy', ['distinct', 'farthest', 'random', 'uniform'])
@pytest.mark.parametrize(('spacing', 'step'), [(1, 1), (3, 1), (7, 1), (3, 4)])
@pytest.mark.parametrize(('inner', 'wanted'), [(1, 5), (2, 1), (7, 4), (298, 20), (298, 500)])
def test_every_choice_is_complete_spaced_and_repeatable(
    strategy: str, spacing: int, step: int, inner: int, wanted: int
) -> None:
    count = inner + 2 * step
    thumbnails = _random_thumbnails(count)
    config = AnchorConfig(strategy=strategy, per_video=wanted, min_spacing=spacing)
    energy = motion_energy(thumbnails, step)
    found = select_anchors(thumbnails, energy, config, 3, step)
    frames = found.frame
    assert 1 <= len(found) <= wanted
    assert frames.min() >= step
    assert frames.max() <= count - 1 - step
    assert (np.diff(frames) >= spacing * step).all()
    assert len(frames) == len(found.cluster) == len(found.distance) == len(found.motion_energy)
    again = select_anchors(thumbnails, energy, config, 3, step)
    np.testing.assert_array_equal(frames, again.frame)
    np.testing.assert_array_equal(found.distance, again.distance)
    if strategy != 'distinct':
        assert set(found.cluster) == {-1}
        assert np.isnan(found.distance).all()
    if strategy != 'uniform' and (inner, wanted) == (298, 20):
        other = select_anchors(thumbnails, energy, config, 4, step)
        assert other.frame.tolist() != frames.tolist()


@pytest.mark.parametrize('strategy', ['distinct', 'farthest'])
@pytest.mark.parametrize(
    ('noise', 'wanted'),
    [
        (0.3, 60),
        (1.5, 60),
        # more than the moves can give: copies of the still picture must not fill the rest
        (0.3, 500),
    ],
)
@pytest.mark.parametrize('bouts', [1, 10])
def test_a_still_animal_does_not_swallow_the_anchors(
    strategy: str, noise: float, wanted: int, bouts: int
) -> None:
    random = np.random.default_rng(0)
    count = 4000
    pictures = np.full((count, 32, 32), 90.0) + np.linspace(0, 60, 32)
    moves = np.zeros(count, bool)
    for bout in np.array_split(np.arange(count), bouts):
        middle = bout[len(bout) * 45 // 100 :][: len(bout) // 10]
        moves[middle] = True
    # the animal is a bright square, which is at the same place whenever it rests
    for frame in range(count):
        top, left = random.integers(0, 26, 2) if moves[frame] else (20, 4)
        pictures[frame, top : top + 6, left : left + 6] = 230
    pictures += random.normal(0, noise, pictures.shape)
    thumbnails = np.clip(np.round(pictures), 0, 255).astype(np.uint8).reshape(count, -1)
    config = AnchorConfig(strategy=strategy, per_video=wanted)
    frames = select_anchors(thumbnails, motion_energy(thumbnails), config, 0).frame
    assert moves.mean() == 0.1
    assert len(frames) > 0.8 * min(wanted, moves.sum() / config.min_spacing)
    assert moves[frames].mean() > 0.9
    # one for each rest would do
    assert (~moves[frames]).sum() <= max(3, bouts)


def test_distinct_ignores_the_still_half() -> None:
    thumbnails, _ = _postures(400, 40)
    thumbnails[200:] = thumbnails[200]
    config = AnchorConfig(per_video=500, min_spacing=1)
    found = select_anchors(thumbnails, motion_energy(thumbnails), config, 0)
    assert found.frame.max() <= 200
    assert len(found) == pytest.approx(199, abs=2)


def test_uniform_is_even_and_reaches_both_ends() -> None:
    config = AnchorConfig(strategy='uniform', per_video=7)
    thumbnails = _random_thumbnails(100)
    frames = select_anchors(thumbnails, motion_energy(thumbnails), config, 0).frame
    assert (frames[0], frames[-1], len(frames)) == (1, 98, 7)
    assert set(np.diff(frames)) <= {16, 17}


def test_random_leaves_out_the_motion_rule() -> None:
    thumbnails, _ = _postures(400, 40)
    thumbnails[200:] = thumbnails[200]
    config = AnchorConfig(strategy='random', per_video=100)
    frames = select_anchors(thumbnails, motion_energy(thumbnails), config, 0).frame
    assert 20 < (frames > 200).sum() < 80


@pytest.mark.parametrize('count', [0, 1, 2])
def test_too_few_frames_are_said(count: int) -> None:
    thumbnails = _random_thumbnails(count)
    with pytest.raises(BeastError, match=f'found {count} frame.*at least 3'):
        select_anchors(thumbnails, motion_energy(thumbnails), AnchorConfig(), 0)


def test_windows_too_long_for_the_video_are_said() -> None:
    thumbnails = _random_thumbnails(10)
    with pytest.raises(BeastError, match='found 10 frames.*5 before.*at least 11.*beast.pairs'):
        select_anchors(thumbnails, motion_energy(thumbnails, 5), AnchorConfig(), 0, 5)


@pytest.mark.parametrize('strategy', ['distinct', 'farthest', 'random', 'uniform'])
def test_a_motionless_video_is_said_whatever_its_coding_noise(strategy: str) -> None:
    random = np.random.default_rng(0)
    thumbnails = np.full((3000, PIXELS), 77, np.uint8)
    thumbnails += random.integers(0, 2, thumbnails.shape, np.uint8)
    config = AnchorConfig(strategy=strategy)
    with pytest.raises(BeastError, match='nothing moves'):
        select_anchors(thumbnails, motion_energy(thumbnails), config, 0)
    thumbnails[2900, 5] += 40
    assert len(select_anchors(thumbnails, motion_energy(thumbnails), config, 0)) > 0


@pytest.mark.parametrize('strategy', ['distinct', 'farthest'])
def test_memory_does_not_follow_the_length(tmp_path: Path, strategy: str) -> None:
    count = 60_000
    random = np.random.default_rng(0)
    with (tmp_path / 'thumbnails').open('wb') as file:
        for _ in range(count // 1000):
            file.write(random.integers(0, 256, (1000, PIXELS), np.uint8).tobytes())
    thumbnails = np.memmap(tmp_path / 'thumbnails', np.uint8, 'r', shape=(count, PIXELS))
    tracemalloc.start()
    try:
        energy = motion_energy(thumbnails)
        config = AnchorConfig(strategy=strategy, per_video=50)
        found = select_anchors(thumbnails, energy, config, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == pytest.approx(50, abs=5)
    # 61 MB of thumbnails, 245 MB as the floats that PCA and k-means work on
    assert peak < 50e6
