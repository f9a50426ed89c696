"""The clock of the recording, where the video file has another."""

from pathlib import Path

import numpy as np
import pytest

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.segmentation.clock import recording_times

FILE = np.arange(300) / 25
VIDEO = Path('whisker.mp4')


def test_a_touch_at_frame_256_of_a_1000_hz_video_is_at_256_ms() -> None:
    times = recording_times(SegmentationConfig(fps=1000), None, VIDEO, FILE)
    assert times[256] == pytest.approx(0.256)
    np.testing.assert_array_equal(recording_times(SegmentationConfig(), None, VIDEO, FILE), FILE)


@pytest.mark.parametrize('suffix', ['.npy', '.csv', 'folder'])
def test_camera_times_take_precedence_over_the_file(tmp_path: Path, suffix: str) -> None:
    wanted = 100 + np.sort(np.random.default_rng(0).random(300))
    path = tmp_path / ('whisker.npy' if suffix == 'folder' else f't{suffix}')
    if suffix == '.csv':
        lines = ['frame,seconds', *(f'{i},{x!r}' for i, x in enumerate(wanted.tolist()))]
        path.write_text('\n'.join(lines))
    else:
        np.save(path, wanted)
    given = tmp_path if suffix == 'folder' else path
    np.testing.assert_allclose(
        recording_times(SegmentationConfig(), given, VIDEO, FILE), wanted, rtol=1e-12
    )


def test_times_that_cannot_be_those_of_the_frames_are_refused(tmp_path: Path) -> None:
    path, config = tmp_path / 't.npy', SegmentationConfig()
    with pytest.raises(BeastError, match='there are no camera times at'):
        recording_times(config, path, VIDEO, FILE)
    for values, message in (
        (FILE[:-1], '299 camera times, but whisker.mp4 has 300 frames'),
        (FILE[::-1], 'do not rise'),
        (np.where(FILE == 2, np.nan, FILE), 'do not rise'),
        (np.array(['a'] * 300), 'holds no camera times'),
    ):
        np.save(path, values)
        with pytest.raises(BeastError, match=message):
            recording_times(config, path, VIDEO, FILE)
    with pytest.raises(BeastError, match='both say when a frame was taken'):
        SegmentationConfig(fps=30, camera_times='t.npy')
