"""Where features come from, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.features.info import FeatureInfo
from beast_lp.features.pca import frame_pca
from beast_lp.features.source import Encoded, FeatureSource
from beast_lp.features.writer import FeatureWriter
from beast_lp.segmentation.videos import Inputs, feature_source, open_videos


class Blank(FeatureSource):
    """Frame PCA, as far as shapes go."""

    name, kind, hash = 'blank', 'frame PCA', 'abc'
    image_size, dim = (16, 16), 2

    def encode(self, frames: np.ndarray, patches: bool) -> Encoded:
        """Return zeros."""
        return Encoded(np.zeros((len(frames), 2), np.float32), None)


class Brightness(FeatureSource):
    """The mean of a frame, by itself and in two halves."""

    name, kind, hash = 'brightness', 'backbone', 'abc'
    image_size, dim, grid, patch_dim = (16, 16), 1, (1, 2), 1

    def encode(self, frames: np.ndarray, patches: bool) -> Encoded:
        """Return means over all pixels, and over the left and right half."""
        cls = frames.mean(axis=(1, 2, 3))[:, None]
        halves = [part.mean(axis=(1, 2, 3)) for part in np.split(frames, 2, axis=2)]
        maps = torch.tensor(np.stack(halves, axis=1)[:, None, None]).float()
        return Encoded(cls.astype(np.float32), maps)


def test_frames_are_cropped_before_the_source_sees_them(
    write_video: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # dark, but for a bright square that the box follows
    frames = np.zeros((8, 64, 96, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[16:48, 8 * number : 8 * number + 32] = 200
    video = write_video('v.mp4', frames)
    (tmp_path / 'boxes').mkdir()
    rows = [f'{number},{8 * number},16,32,32' for number in range(8)]
    (tmp_path / 'boxes' / 'v_bbox.csv').write_text('\n'.join([',x,y,h,w', *rows]) + '\n')
    inputs = Inputs([], [], tmp_path, 'x', None, None)
    for features in ('cls', 'patches'):
        config = SegmentationConfig(features=features)
        for bbox_dir, low, high in ((None, 20, 50), (tmp_path / 'boxes', 190, 210)):
            own = replace(inputs, bbox_dir=bbox_dir)
            folder = tmp_path / f'{features}_{low}'
            (opened,) = open_videos([video], config, own, folder, Brightness())
            means = np.asarray(opened.features.arrays[0], float).reshape(8, -1).mean(axis=1)
            assert ((low < means) & (means < high)).all(), (features, bbox_dir, means)
    assert 'were made of another file' not in caplog.text
    other = write_video('w.mp4', frames)
    with pytest.raises(BeastError, match='w_bbox.csv'):
        open_videos(
            [other],
            SegmentationConfig(features='cls'),
            replace(inputs, bbox_dir=tmp_path / 'boxes'),
            tmp_path / 'new',
            Brightness(),
        )


def test_frame_pca_is_not_given_crops(write_video: Callable[..., Path], tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (12, 32, 32, 3)).astype(np.uint8)
    source = frame_pca(tmp_path / 'p.npz', [write_video('v.mp4', frames)], 4, (16, 16))
    config = SegmentationConfig(features='cls', bbox_dir='boxes')
    with pytest.raises(BeastError, match=r'takes whole frames; leave out .*bbox_dir'):
        feature_source(config, 'p', lambda _: source)


def test_a_source_that_does_not_serve_is_refused() -> None:
    def named(name: str) -> FeatureSource:
        assert name == 'x'
        return Blank()

    source = feature_source(SegmentationConfig(features='cls'), 'x', named)
    assert isinstance(source, Blank)
    with pytest.raises(BeastError, match=r'blank .frame PCA. has no patches; set .*features=cls'):
        feature_source(SegmentationConfig(), 'x', named)
    beside = SegmentationConfig(features=['patches', 'keypoints'], keypoints_dir='predictions')
    with pytest.raises(BeastError, match='has no patches'):
        feature_source(beside, 'x', named)
    with pytest.raises(BeastError, match='does not say where the features come from'):
        feature_source(SegmentationConfig(), None, named)
    assert feature_source(SegmentationConfig(features_dir='features'), None, named) is None


def test_features_of_two_kinds_are_not_mixed(
    tmp_path: Path,
    save_store: Callable[..., None],
) -> None:
    for name, basis in (('a', 'one'), ('b', 'two')):
        (tmp_path / f'{name}.mp4').write_bytes(name.encode())
        info = FeatureInfo(
            f'{name}.mp4', 'x', 'vit', 'abc', 2, grid=(1, 1), patch_dim=3, patch_basis=basis
        )
        save_store(
            tmp_path / name,
            info,
            cls=np.zeros((4, 2)),
            frame=np.arange(4),
            time=np.arange(4.0),
            patches=np.zeros((4, 1, 3)),
        )
    inputs = Inputs([], [], tmp_path, None, tmp_path, None)
    videos = [tmp_path / 'a.mp4', tmp_path / 'b.mp4']
    with pytest.raises(BeastError, match='of a and b differ in what made them .*basis one; .*two'):
        open_videos(videos, SegmentationConfig(), inputs, tmp_path, None)
    both = open_videos(videos, SegmentationConfig(features='cls'), inputs, tmp_path, None)
    assert [video.name for video in both] == ['a', 'b']


@pytest.mark.parametrize(
    ('frame', 'time', 'expected'),
    [
        # variable frame rate
        ([0, 1, 2, 3, 4], [0, 0.1, 0.5, 0.6, 0.7], [0, 0.1, 0.5, 0.6, 0.7]),
        # every second frame has features
        ([0, 2], [0, 0.4], [0, 0.2, 0.4, 0.6, 0.8]),
        # the header's 20 frames per second
        ([0], [0], [0, 0.05, 0.1, 0.15, 0.2]),
    ],
)
def test_times_are_those_of_the_frames(
    tmp_path: Path,
    frame: list[int],
    time: list[float],
    expected: list[float],
) -> None:
    video = tmp_path / 'a.mp4'
    video.write_bytes(b'a')
    info = FeatureInfo('a.mp4', 'x', 'vit', 'abc', 2, frames=5, fps=20)
    with FeatureWriter(tmp_path / 'a', info) as writer:
        writer.append(np.zeros((len(frame), 2)), np.array(frame), np.array(time, float))
        writer.finish(5)
    inputs = Inputs([], [], tmp_path, None, tmp_path, None)
    config = SegmentationConfig(features='cls')
    (opened,) = open_videos([video], config, inputs, tmp_path, None)
    np.testing.assert_allclose(opened.times, expected)


def test_keypoints_have_the_time_stamps_of_their_video(
    tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    video = write_video('a.mp4', [np.zeros((16, 16, 3), np.uint8)] * 3, fps=20)
    (tmp_path / 'a.csv').write_text('s,n,n\nb,nose,nose\nc,x,y\n0,1,2\n1,1,2\n2,1,2\n')
    inputs = Inputs([], [], tmp_path, None, None, tmp_path)
    config = SegmentationConfig(features='keypoints', keypoints_dir=str(tmp_path))
    (opened,) = open_videos([video], config, inputs, tmp_path, None)
    np.testing.assert_allclose(opened.times, [0, 0.05, 0.1])


@pytest.fixture
def both(
    tmp_path: Path,
    write_video: Callable[..., Path],
) -> tuple[Path, Inputs]:
    """Return a video of 6 frames, of which every other one is embedded, and its keypoints."""
    video = write_video('a.mp4', [np.zeros((16, 16, 3), np.uint8)] * 6, fps=20)
    info = FeatureInfo('a.mp4', 'x', 'vit', 'abc', 2, frames=6, grid=(1, 1), patch_dim=3, fps=20)
    with FeatureWriter(tmp_path / 'features' / 'a', info) as writer:
        writer.append(
            cls=np.ones((3, 2)),
            frame=np.array([0, 2, 4]),
            time=np.array([0, 0.1, 0.2]),
            patches=np.arange(9.0).reshape(3, 1, 3),
        )
        writer.finish(6)
    rows = ['0,1,2,3,4', '1,2,3,4,5', '2,,,5,6', '3,4,5,6,7', '4,5,6,7,8', '5,6,7,8,9']
    table = ['s,m,m,m,m', 'b,nose,nose,tail,tail', 'c,x,y,x,y', *rows]
    (tmp_path / 'kp').mkdir()
    (tmp_path / 'kp' / 'a.csv').write_text('\n'.join(table) + '\n')
    return video, Inputs([], [], tmp_path, None, tmp_path / 'features', tmp_path / 'kp')


def test_keypoints_stand_beside_stored_features_of_the_same_frames(
    both: tuple[Path, Inputs], tmp_path: Path
) -> None:
    video, inputs = both
    config = SegmentationConfig(features=['keypoints', 'cls', 'patches'], keypoints_dir='kp')
    (opened,) = open_videos([video], config, inputs, tmp_path, None)
    assert opened.frame.tolist() == [0, 2, 4] and opened.frames == 6
    assert opened.features.shapes == ((1, 3), (2,), (4,))
    # the nose of frame 2 lies between those of frames 1 and 3
    assert opened.features.arrays[2].tolist() == [[1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 8]]
    assert opened.features.arrays[0].ravel().tolist() == list(range(9))
    assert opened.source == 'patches of x + cls of x + keypoints'
    assert opened.made_by.endswith('basis None + weights abc, images None + 2 keypoints')
    np.testing.assert_allclose(opened.times, np.arange(6) / 20)
    # alone, the frame without a nose has no features
    config = SegmentationConfig(features='keypoints', keypoints_dir='kp')
    (opened,) = open_videos([video], config, inputs, tmp_path, None)
    assert opened.frame.tolist() == [0, 1, 3, 4, 5] and opened.source == 'keypoints'


def test_features_that_do_not_belong_together_get_a_sentence(
    both: tuple[Path, Inputs], tmp_path: Path, save_store: Callable[..., None]
) -> None:
    video, inputs = both
    config = SegmentationConfig(features=['cls', 'keypoints'], keypoints_dir='kp')
    # embedded before the video was cut
    longer = tmp_path / 'longer'
    save_store(
        longer / 'a',
        FeatureInfo('a.mp4', 'x', 'vit', 'abc', 2, frames=9, fps=20),
        cls=np.ones((9, 2)),
        frame=np.arange(9),
        time=np.arange(9) / 20,
    )
    with pytest.raises(BeastError, match=r'a.csv has 6 rows, .* a video of 9 frames; embed'):
        open_videos([video], config, replace(inputs, features_dir=longer), tmp_path, None)
    table = tmp_path / 'kp' / 'a.csv'
    lines = table.read_text().splitlines()
    table.write_text('\n'.join(lines[:-1]) + '\n')
    with pytest.raises(BeastError, match='a.csv has 5 rows, but 6 frames of .* can be decoded'):
        open_videos([video], config, inputs, tmp_path, None)


def test_missing_keypoints_are_told_before_anything_is_computed(tmp_path: Path) -> None:
    config = SegmentationConfig(features=['patches', 'keypoints'], keypoints_dir='kp')
    inputs = Inputs([], [], tmp_path, None, None, tmp_path / 'kp')
    videos = [tmp_path / 'a.mp4', tmp_path / 'b.mp4']
    words = r'there is no .*a.csv \(nor 1 others.*although the features are patches and keypoints'
    with pytest.raises(BeastError, match=words):
        # a source that cannot be asked for anything
        open_videos(videos, config, inputs, tmp_path, Blank())


def test_two_videos_of_one_name_do_not_share_their_keypoints(tmp_path: Path) -> None:
    config = SegmentationConfig(features='keypoints', keypoints_dir='predictions')
    inputs = Inputs([], [], tmp_path, None, None, tmp_path / 'predictions')
    videos = [tmp_path / 's1' / 'left.mp4', tmp_path / 's2' / 'left.mp4']
    with pytest.raises(BeastError, match='s2/left.mp4 have the same name, by which predictions'):
        open_videos(videos, config, inputs, tmp_path, None)


def test_a_model_of_stored_features_asks_for_those_of_new_videos(tmp_path: Path) -> None:
    inputs = Inputs([], [], tmp_path, None, None, None)
    with pytest.raises(BeastError, match='set beast.segmentation.features_dir'):
        open_videos([tmp_path / 'a.mp4'], SegmentationConfig(), inputs, tmp_path, None)
