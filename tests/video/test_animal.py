"""Places of what moves before a fixed camera."""

import numpy as np
import pytest

from beast_lp.video.animal import (
    NoAnimalError,
    Track,
    background_of,
    difference,
    find_animal,
    track_animal,
)

FPS = 25.0
SHAPE = (72, 96)
SPOT = 10


def _path(count: int, seed: int = 0) -> np.ndarray:
    """Return the upper left corner (x, y) of a spot that wanders smoothly, in px."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, 2)
    times = np.linspace(0, 4 * np.pi, count)[:, None]
    room = np.array([SHAPE[1] - SPOT, SHAPE[0] - SPOT])
    return ((1 + np.sin(times * [1, 1.3] + phase)) / 2 * room).round().astype(int)


def _footage(*paths: np.ndarray, noise: float = 2.0) -> np.ndarray:
    """Draw dark spots on a textured floor, with noise."""
    random = np.random.default_rng(1)
    count = len(paths[0]) if paths else 200
    floor = random.uniform(140, 220, SHAPE)
    frames = np.repeat(floor[None], count, axis=0)
    for path in paths:
        for frame, (x, y) in zip(frames, path, strict=True):
            frame[y : y + SPOT, x : x + SPOT] = 40
    return np.clip(frames + random.normal(0, noise, frames.shape), 0, 255).astype(np.uint8)


def _track(frames: np.ndarray) -> Track:
    return track_animal(frames, background_of(frames), FPS)


def test_the_background_is_what_stands_still() -> None:
    frames = _footage(_path(400), noise=0)
    expected = _footage(noise=0)[0]
    assert np.abs(background_of(frames).median.astype(int) - expected).max() <= 1


def test_noise_and_light_are_no_difference() -> None:
    frames = _footage(_path(400))
    background = background_of(frames)
    bright = np.clip(frames[:20].astype(int) + 15, 0, 255).astype(np.uint8)
    for seen in (frames[:20], bright):
        found = difference(seen, background)
        # the spot, and hardly anything beside it
        area = (found > 0).sum((1, 2))
        assert (np.abs(area - SPOT**2) <= 5).all(), area


@pytest.mark.parametrize('noise', [0.0, 2.0, 5.0])
def test_the_box_holds_the_animal_in_nearly_every_frame(noise: float) -> None:
    path = _path(600)
    track = _track(_footage(path, noise=noise))
    whole = np.array([SHAPE[1], SHAPE[0]])
    centre, size = track.centre * whole, track.size * whole
    assert (size >= SPOT).all()
    assert (size <= 2.2 * SPOT).all(), size
    offset = np.abs(centre - (path + SPOT / 2))
    assert (offset <= size / 2 - SPOT / 2 + 1).all(1).mean() > 0.98
    assert track.seen > 0.99


def test_frames_without_the_animal_keep_the_place_of_their_neighbours() -> None:
    path = _path(400)
    frames = _footage(path)
    frames[200:230] = _footage()[:30]
    track = _track(frames)
    whole = np.array([SHAPE[1], SHAPE[0]])
    middle = (path[199] + path[230]) / 2 + SPOT / 2
    assert np.abs(track.centre[215] * whole - middle).max() < 4
    assert np.isfinite(track.centre).all()


def test_one_flash_elsewhere_does_not_move_the_box() -> None:
    path = _path(400)
    frames = _footage(path)
    frames[200, :6, :6] = 255
    calm = _track(_footage(path)).centre
    assert np.abs(_track(frames).centre - calm).max() < 0.05


def test_the_noise_of_a_pixel_is_its_own() -> None:
    frames = _footage(_path(400), noise=3)
    flickers = np.arange(400) % 5 < 3
    frames[flickers, 40:42] = np.where(np.arange(400) % 3, 255, 120)[flickers, None, None]
    noise = background_of(frames).noise
    quiet = np.delete(noise, [40, 41], axis=0)
    # the spot is over each pixel in a small part of the frames
    assert np.median(quiet) == pytest.approx(3, abs=0.5)
    assert quiet.max() < 8
    assert noise[40:42].min() > 15


def test_an_edge_that_flickers_is_not_the_animal() -> None:
    path = _path(400)
    frames = _footage(path)
    # bright dashes at the lower edge of an arena that vibrates, which the animal touches, too
    random = np.random.default_rng(2)
    dashes = random.random(SHAPE[1]) < 0.4
    glare = np.where(dashes, random.uniform(-70, 70, (400, 1)), 0)
    frames[:, -2:] = np.clip(frames[:, -2:] + glare[:, None], 0, 255)
    whole = np.array([SHAPE[1], SHAPE[0]])
    track = _track(frames)
    steady = _track(_footage(path))
    assert (track.size * whole <= 2.2 * SPOT).all(), track.size * whole
    assert np.abs((track.centre - steady.centre) * whole).max() < 3


def test_a_single_frame_is_searched_with_the_background_of_its_camera() -> None:
    path = _path(40)
    frames = _footage(path)
    frames[7] = _footage()[7]
    places = find_animal(frames, background_of(frames))
    assert np.isnan(places[7]).all() and np.isnan(places).sum() == 2
    found = np.delete(places * [SHAPE[1], SHAPE[0]], 7, axis=0)
    assert np.abs(found - np.delete(path + SPOT / 2, 7, axis=0)).max() < 1.5


def _pan() -> np.ndarray:
    """Return what a camera sees that moves over a textured floor."""
    floor = np.random.default_rng(2).uniform(40, 220, (SHAPE[0], SHAPE[1] + 200))
    return np.stack([floor[:, t : t + SHAPE[1]] for t in range(200)]).astype(np.uint8)


@pytest.mark.parametrize(
    ('frames', 'sentence'),
    [
        (_footage(), 'nothing stands out'),
        (_footage(_path(600), _path(600, seed=5)), 'several things move apart'),
        (_pan(), 'the camera moves'),
    ],
    ids=['a still animal', 'two animals', 'a moving camera'],
)
def test_where_there_is_no_single_place_a_sentence_says_why(
    frames: np.ndarray, sentence: str
) -> None:
    with pytest.raises(NoAnimalError, match=sentence):
        _track(frames)
