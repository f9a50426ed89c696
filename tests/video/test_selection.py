"""Selecting anchors, on data whose answer is known."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from beast_lp.config import AnchorConfig
from beast_lp.config.retired import RETIRED
from beast_lp.errors import BeastError
from beast_lp.video import anchors
from beast_lp.video.anchors import MIN_SPACING, STRATEGIES
from beast_lp.video.selection import select_anchors
from beast_lp.video.thumbnails import motion_energy, moving_frames
from beast_lp.video.window_clip import CRF

pytestmark = pytest.mark.usefixtures('one_thread')

PIXELS = 32 * 32


def _random_thumbnails(count: int, seed: int = 0, pixels: int = PIXELS) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, pixels), np.uint8)


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
    monkeypatch.setattr(anchors, 'MIN_SPACING', 1)
    config = AnchorConfig(per_video=12)
    energy = motion_energy(thumbnails)
    found = select_anchors(thumbnails, energy, config, seed=0)
    assert sorted(posture[found.frame]) == list(range(12))
    np.testing.assert_array_equal(found.motion_energy, energy[found.frame])
    assert len(set(found.cluster.tolist())) == 12
    assert found.distance.shape == (12,)
    if not exact:
        return
    # k-means centres are the groups' means, in the space that the candidates span
    candidates = moving_frames(energy)
    plain = PCA(32, svd_solver='full').fit(thumbnails[candidates].astype(float))
    for frame, distance in zip(found.frame, found.distance, strict=True):
        group = candidates[posture[candidates] == posture[frame]]
        points = plain.transform(thumbnails[group].astype(float))
        lengths = [float(np.linalg.norm(point - points.mean(0))) for point in points]
        assert frame == group[int(np.argmin(lengths))]
        assert distance == pytest.approx(min(lengths), rel=1e-3)


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize(('spacing', 'step'), [(1, 1), (3, 1), (7, 1), (3, 4)])
@pytest.mark.parametrize(('inner', 'wanted'), [(1, 5), (2, 1), (7, 4), (298, 20), (298, 500)])
def test_every_choice_is_complete_spaced_and_repeatable(
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
    spacing: int,
    step: int,
    inner: int,
    wanted: int,
) -> None:
    count = inner + 2 * step
    thumbnails = _random_thumbnails(count)
    monkeypatch.setattr(anchors, 'MIN_SPACING', spacing)
    config = AnchorConfig(strategy=strategy, per_video=wanted)
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
    np.testing.assert_array_equal(np.isnan(found.distance), found.cluster == -1)
    if strategy in ('farthest', 'random', 'uniform'):
        assert set(found.cluster) == {-1}
    if strategy in ('distinct', 'farthest', 'random') and (inner, wanted) == (298, 20):
        other = select_anchors(thumbnails, energy, config, 4, step)
        assert other.frame.tolist() != frames.tolist()


def test_constants_have_the_values_of_the_settings_that_they_replace() -> None:
    assert RETIRED['beast.anchors.min_spacing'] == MIN_SPACING
    assert RETIRED['beast.windows.crf'] == CRF


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
    assert len(frames) > 0.8 * min(wanted, moves.sum() / MIN_SPACING)
    assert moves[frames].mean() > 0.9
    # one for each rest would do
    assert (~moves[frames]).sum() <= max(3, bouts)


def test_distinct_ignores_the_still_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, 'MIN_SPACING', 1)
    thumbnails, _ = _postures(400, 40)
    thumbnails[200:] = thumbnails[200]
    config = AnchorConfig(per_video=500)
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


@pytest.mark.parametrize('strategy', STRATEGIES)
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


@pytest.mark.parametrize('strategy', ['distinct', 'farthest'])
def test_where_the_moving_frames_are_too_few_all_frames_are_candidates(strategy: str) -> None:
    # the second half moves most, and has room for 25 anchors
    count = 150
    steps = np.random.default_rng(0).integers(-90, 91, (count, PIXELS))
    steps[: count // 2] //= 3
    thumbnails = (128 + steps).astype(np.uint8)
    energy = motion_energy(thumbnails)
    few = select_anchors(thumbnails, energy, AnchorConfig(strategy, per_video=8), seed=0)
    assert len(few) == 8
    assert few.frame.min() >= count // 2
    many = select_anchors(thumbnails, energy, AnchorConfig(strategy, per_video=45), seed=0)
    assert len(many) > 30
    assert (many.frame < count // 2).sum() > 10
