"""Motion and differences of thumbnails, against slow loops."""

from pathlib import Path

import numpy as np
import pytest

from beast_lp.video import thumbnails
from beast_lp.video.thumbnails import (
    CHUNK,
    STILL_LEVELS,
    chunks,
    first_of_identical,
    first_of_still,
    motion_energy,
    moving_frames,
    rows_of,
)


def _random_thumbnails(count: int, seed: int = 0, pixels: int = 32 * 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, pixels), np.uint8)


@pytest.mark.parametrize('step', [1, 5])
@pytest.mark.parametrize('count', [1, 2, 7, CHUNK, CHUNK + 1, CHUNK + 2, 2 * CHUNK + 5])
def test_motion_energy_equals_a_loop(count: int, step: int) -> None:
    frames = _random_thumbnails(count, pixels=12)
    expected = np.zeros(count)
    for frame in range(step, count):
        differences = [
            abs(int(now) - int(before))
            for now, before in zip(frames[frame], frames[frame - step], strict=True)
        ]
        expected[frame] = sum(differences) / len(differences)
    if count > step:
        expected[:step] = expected[step]
    energy = motion_energy(frames, step)
    assert energy.dtype == np.float32
    np.testing.assert_allclose(energy, expected, rtol=1e-5)


@pytest.mark.parametrize(('long_video', 'percentile'), [(502, 50), (501, 75)])
def test_moving_frames_are_those_above_the_percentile(
    monkeypatch: pytest.MonkeyPatch, long_video: int, percentile: int
) -> None:
    monkeypatch.setattr(thumbnails, 'LONG_VIDEO', long_video)
    energy = np.random.default_rng(0).random(501).astype(np.float32)
    threshold = np.percentile([energy[frame] for frame in range(1, 500)], percentile)
    expected = [frame for frame in range(1, 500) if energy[frame] > threshold]
    assert moving_frames(energy).tolist() == expected


def test_even_motion_keeps_every_inner_frame() -> None:
    assert moving_frames(np.ones(6)).tolist() == [1, 2, 3, 4]


def test_a_longer_step_keeps_its_distance_from_both_ends() -> None:
    assert moving_frames(np.ones(20), 4).tolist() == list(range(4, 16))


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
    frames = _random_thumbnails(40)[random.integers(0, 40, 3000)]
    candidates = np.sort(random.choice(3000, 2500, replace=False))
    seen: set[bytes] = set()
    expected = []
    for position, ordinal in enumerate(candidates):
        if frames[ordinal].tobytes() not in seen:
            expected.append(position)
        seen.add(frames[ordinal].tobytes())
    assert first_of_identical(frames, candidates).tolist() == expected


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='only Linux tells it')
def test_rows_of_a_view_of_a_memory_map_are_released(tmp_path: Path) -> None:
    def resident() -> int:
        lines = Path('/proc/self/status').read_text().splitlines()
        (line,) = (line for line in lines if line.startswith('RssFile'))
        return int(line.split()[1]) * 1024

    shape = (64, 1024, 1024)
    (tmp_path / 'frames').write_bytes(bytes(64 * 1024 * 1024))
    frames = np.memmap(tmp_path / 'frames', np.uint8, 'r', shape=shape)
    before = resident()
    for view in (frames, frames.reshape(64, -1)):
        for start, stop in chunks(len(view), 8):
            rows_of(view, slice(start, stop))
        assert resident() - before < 16 * 1024 * 1024
