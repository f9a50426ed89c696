from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beast_lp.errors import BeastError
from beast_lp.features.keypoints import keypoint_features, read_keypoints


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Return a file as the host writes it for a video of 5 frames and two keypoints."""
    columns = pd.MultiIndex.from_product(
        [['heatmap_tracker'], ['nose', 'tail base'], ['x', 'y', 'likelihood']],
        names=['scorer', 'bodyparts', 'coords'],
    )
    values = np.random.default_rng(0).uniform(0, 100, (5, 6))
    pd.DataFrame(values, columns=columns).to_csv(tmp_path / 'video.csv')
    return tmp_path / 'video.csv'


def test_positions_are_the_columns_of_the_file(predictions: Path) -> None:
    positions, names = read_keypoints(predictions)
    assert names == ['nose', 'tail base']
    plain = np.loadtxt(predictions, delimiter=',', skiprows=3)
    np.testing.assert_allclose(positions[:, 0], plain[:, 1:3])
    np.testing.assert_allclose(positions[:, 1], plain[:, 4:6])


def test_velocities_are_steps_from_the_frame_before(predictions: Path) -> None:
    positions, _ = read_keypoints(predictions)
    features = keypoint_features(positions, velocities=True)
    assert keypoint_features(positions).shape == (5, 4)
    assert features.shape == (5, 8)
    assert features.dtype == np.float32
    for frame in range(5):
        before = positions[max(frame - 1, 0)]
        expected = [*positions[frame].ravel(), *(positions[frame] - before).ravel()]
        np.testing.assert_allclose(features[frame], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('a,b\n1,2\n', 'keypoints'),
        ('', 'cannot be read as predicted keypoints'),
        ('scorer,m,m\nbodyparts,nose,nose\ncoords,x,likelihood\n0,1,1\n', 'holds no keypoints'),
        ('scorer,m,m\nbodyparts,nose,nose\ncoords,x,y\n0,1,1\n1,,2\n', 'frame 1 is the first'),
    ],
)
def test_a_file_that_holds_no_keypoints_gets_a_sentence(
    tmp_path: Path,
    content: str,
    words: str,
) -> None:
    (tmp_path / 'bad.csv').write_text(content)
    with pytest.raises(BeastError, match=words):
        read_keypoints(tmp_path / 'bad.csv')


def test_nothing_there_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BeastError, match='cannot be read.* `litpose predict` wrote'):
        read_keypoints(tmp_path / 'nothing.csv')


HEADER = 'scorer,m,m,m\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n'


def _rows(index: list[object]) -> str:
    return HEADER + ''.join(f'{frame},{row},{row},0.9\n' for row, frame in enumerate(index))


@pytest.mark.parametrize(
    ('index', 'words'),
    [
        # SLEAP leaves out frames without an animal
        ([0, 1, 4, 5], r'holds 4 where 2 is expected \(2 of 4 rows'),
        ([0, 1, 1, 2], 'holds 1 where 2 is expected'),
        ([0, 2, 1, 3], 'holds 2 where 1 is expected'),
        ([1, 2, 3], 'holds 1 where 0 is expected'),
        ([0, '', 2], 'holds nan where 1 is expected'),
        (['img0.png', 'img1.png'], 'holds img0.png where 0 is expected'),
    ],
)
def test_rows_that_do_not_count_the_frames_are_refused(
    tmp_path: Path,
    index: list[object],
    words: str,
) -> None:
    (tmp_path / 'gap.csv').write_text(_rows(index))
    with pytest.raises(BeastError, match=f'does not count the frames.*{words}.*one row per frame'):
        read_keypoints(tmp_path / 'gap.csv')


def test_the_first_frame_without_any_value_is_a_frame(tmp_path: Path) -> None:
    # pandas would take its row for the name of the index
    (tmp_path / 'a.csv').write_text(HEADER + '0,,,\n1,1,1,0.9\n')
    with pytest.raises(BeastError, match=r'1 frames in which .* \(frame 0 is the first'):
        read_keypoints(tmp_path / 'a.csv')
