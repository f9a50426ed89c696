"""Boxes for the videos and the labels of a project, and what the host makes of them."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from beast_lp.errors import BeastError
from beast_lp.host.commands.motion_bbox import get_parser, handle
from beast_lp.host.compose import video_sources
from beast_lp.host.cropped_labels import crop_labels
from beast_lp.host.jobs.motion_bbox import SHEET, motion_bbox
from beast_lp.host.next_step import pose_command
from beast_lp.video.keypoint_table import read_points
from beast_lp.video.read import find_videos


@pytest.fixture
def cfg(labelled_project: tuple[Path, np.ndarray], square_video: Path) -> DictConfig:
    """Return the config of a project with a video and its labels."""
    table, _ = labelled_project
    return OmegaConf.create(
        {
            'data': {
                'data_dir': str(table.parent),
                'video_dir': str(square_video.parent.relative_to(table.parent)),
                'csv_file': table.name,
            }
        }
    )


def _run(cfg: DictConfig, directory: Path, videos: tuple[Path, ...] = ()) -> None:
    sources = list(videos) or video_sources(cfg, None, 'data.video_dir')
    motion_bbox(cfg, Path('my_config.yaml'), find_videos(sources), directory)


def test_a_project_of_crops_is_written_beside_the_boxes(
    cfg: DictConfig,
    labelled_project: tuple[Path, np.ndarray],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    table, positions = labelled_project
    before = {path: path.read_bytes() for path in (table, *table.parent.rglob('*.png'))}
    boxes = tmp_path / 'boxes'
    with caplog.at_level('INFO', 'lightning_pose'):
        _run(cfg, boxes)
    assert f'beast.windows.bbox_dir={boxes}' in caplog.text
    # no bars of the host in a log file
    assert 'Cropping images' not in capfd.readouterr().err
    box = pd.read_csv(boxes / 'bbox.csv', index_col=0)
    side = pd.read_csv(boxes / 'one_bbox.csv')['w'].iloc[0]
    found = read_points(boxes / 'cropped' / 'CollectedData.csv', 'labels', '')
    assert list(found.rows) == list(box.index)
    np.testing.assert_allclose(
        found.positions[1:, 0], positions[1:] - box[['x', 'y']].to_numpy()[1:], atol=1e-6
    )
    for name, (x, y) in zip(found.rows[1:], found.positions[1:, 0].astype(int), strict=True):
        with Image.open(boxes / 'cropped' / name) as picture:
            assert picture.size == (side, side)
            # the square's middle, and not the floor
            assert np.asarray(picture.convert('L'))[y, x] > 200
    with Image.open(boxes / SHEET) as sheet:
        assert sheet.width > 600 and np.asarray(sheet.convert('L')).std() > 20
    assert {path: path.read_bytes() for path in before} == before


def test_more_labels_and_more_videos_are_added_to_what_is_there(
    cfg: DictConfig, square_video: Path, tmp_path: Path
) -> None:
    table, boxes = tmp_path / 'CollectedData.csv', tmp_path / 'boxes'
    whole = table.read_text()
    table.write_text('\n'.join(whole.splitlines()[:28]) + '\n')
    _run(cfg, boxes)
    first = (boxes / 'one_bbox.csv').read_bytes()
    assert len(pd.read_csv(boxes / 'bbox.csv')) == 25
    table.write_text(whole)
    another = square_video.with_name('another.mp4')
    shutil.copy(square_video, another)
    _run(cfg, boxes, (another,))
    assert (boxes / 'one_bbox.csv').read_bytes() == first
    assert (boxes / 'another_bbox.csv').read_bytes() == first
    cropped = boxes / 'cropped'
    assert len(read_points(cropped / 'CollectedData.csv', 'labels', '').rows) == 30
    assert len(list(cropped.rglob('*.png'))) == 30
    # nothing is lost, such as a label that was mended there
    former = read_points(boxes / 'cropped_1' / 'CollectedData.csv', 'labels', '')
    assert len(former.rows) == 25
    mended = cropped / 'CollectedData.csv'
    mended.write_text(mended.read_text().replace('.0,', '.25,', 1))
    before = mended.read_bytes()
    _run(cfg, boxes)
    assert mended.read_bytes() == before and not (boxes / 'cropped_2').exists()


def test_a_project_without_labels_gets_boxes_alone(cfg: DictConfig, tmp_path: Path) -> None:
    (tmp_path / 'CollectedData.csv').unlink()
    _run(cfg, tmp_path / 'boxes')
    assert sorted(path.name for path in (tmp_path / 'boxes').iterdir()) == [
        'boxes.png',
        'one_bbox.csv',
        'one_searched.npz',
    ]


def test_a_video_that_cannot_be_cropped_does_not_cost_the_others_their_boxes(
    cfg: DictConfig, square_video: Path, tmp_path: Path, write_video: object
) -> None:
    assert callable(write_video)
    still = [np.full((48, 64, 3), 90, np.uint8)] * 30
    write_video('videos/a_still.mp4', still)
    with pytest.raises(BeastError, match=r'a_still\.mp4: nothing stands out'):
        _run(cfg, tmp_path / 'boxes')
    assert (tmp_path / 'boxes' / 'one_bbox.csv').exists()


def test_images_outside_the_project_are_not_written_over(
    cfg: DictConfig,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    boxes = tmp_path / 'boxes'
    boxes.mkdir()
    image = tmp_path / 'labeled-data' / 'one' / 'img001.png'
    before = image.read_bytes()
    (boxes / 'bbox.csv').write_text(f',x,y,h,w\n{image},0,0,8,8\n')
    with caplog.at_level('WARNING', 'lightning_pose'):
        assert crop_labels(cfg, boxes) is None
    assert 'names images outside' in caplog.text
    assert image.read_bytes() == before and not (boxes / 'cropped').exists()


def test_several_views_are_left_to_the_host(cfg: DictConfig, tmp_path: Path) -> None:
    boxes = tmp_path / 'boxes'
    _run(cfg, boxes)
    shutil.rmtree(boxes / 'cropped')
    cfg.data.csv_file = ['CollectedData.csv']
    assert crop_labels(cfg, boxes) is None
    assert not (boxes / 'cropped').exists()


def test_the_next_command_trains_on_the_crops(cfg: DictConfig, tmp_path: Path) -> None:
    boxes = tmp_path / 'boxes'
    _run(cfg, boxes)
    command = pose_command(cfg, Path('a.yaml'), Path('out'), 192, boxes / 'cropped')
    words = command.replace('\\\n', ' ').split()
    assert f'++data.data_dir={boxes / "cropped"}' in words
    assert not any('csv_file' in word or 'video_dir' in word for word in words)
    # which the host wants to exist
    assert (boxes / 'cropped' / 'videos').is_dir()
    assert words.count('++eval.predict_vids_after_training=false') == 1
    # the config itself stays
    assert cfg.data.data_dir == str(tmp_path)
    whole = pose_command(cfg, Path('a.yaml'), Path('out'), 192)
    assert 'data.data_dir' not in whole
    cfg.data.csv_file = str(tmp_path / 'CollectedData.csv')
    command = pose_command(cfg, Path('a.yaml'), Path('out'), 192, boxes / 'cropped')
    assert '++data.csv_file=CollectedData.csv' in command


def test_the_command_writes_into_the_project(cfg: DictConfig, tmp_path: Path) -> None:
    config_file = tmp_path / 'my_config.yaml'
    OmegaConf.save(cfg, config_file)
    handle(get_parser().parse_args([str(config_file)]))
    assert (tmp_path / 'boxes' / 'bbox.csv').is_file()
