"""Frames to label, as the host's GUI takes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from litpose_app.routes.validate_files import _inspect_label_table, _label_header_issue
from litpose_app.utils.mv_label_file import (
    AddToUnlabeledFileView,
    LabelingQueueEntry,
    add_to_unlabeled_sidecar_files,
)
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from beast_lp.demo.project import encode_video
from beast_lp.errors import BeastError
from beast_lp.host.commands.suggest_frames import get_parser, handle
from beast_lp.host.jobs.suggest_frames import suggest_frames
from beast_lp.video.read import FrameReader


def _video(path: Path, frames: int, seed: int) -> None:
    """Write a video in which a bright square moves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 40, (frames, 64, 64, 3)).astype(np.uint8)
    for number, picture in enumerate(pictures):
        corner = int(24 + 23 * np.sin(number / 9 + seed))
        picture[corner : corner + 16, 10 + number % 30 : 26 + number % 30] = 220
    encode_video(path, iter(pictures), 64, 25)


@pytest.fixture
def project(tmp_path: Path) -> DictConfig:
    """Return the config of a project with two videos and no labels."""
    _video(tmp_path / 'videos' / 'a mouse.mp4', 120, 0)
    _video(tmp_path / 'videos' / 'b.mp4', 60, 1)
    return OmegaConf.create(
        {
            'data': {
                'data_dir': str(tmp_path),
                'video_dir': 'videos',
                'csv_file': 'CollectedData.csv',
                'keypoint_names': ['nose', 'left ear'],
            }
        }
    )


def _entries(queue: Path) -> list[str]:
    lines = queue.read_text(encoding='utf-8').splitlines()
    return [LabelingQueueEntry(**json.loads(line)).frame_path for line in lines]


def test_the_gui_opens_what_was_written(project: DictConfig) -> None:
    base = Path(project.data.data_dir)
    (queue,) = suggest_frames(project, 9)
    entries = _entries(queue)
    assert len(entries) == len(set(entries)) == 9
    # by the lengths of the videos
    assert sum('a mouse' in entry for entry in entries) == 6
    table = base / 'CollectedData.csv'
    assert _label_header_issue(table) is None
    issues, _, _ = _inspect_label_table(table, base, ['nose', 'left ear'])
    assert issues == []
    header = pd.read_csv(table, header=[0, 1, 2], index_col=0)
    assert len(header) == 0 and list(header.columns.get_level_values(1).unique()) == [
        'nose',
        'left ear',
    ]
    # the pictures are those frames of the video
    frames = {
        frame.ordinal: frame.pixels((64, 64)) for frame in FrameReader(base / 'videos/b.mp4')
    }
    for entry in entries[6:]:
        with Image.open(base / entry) as picture:
            shown = np.asarray(picture.convert('RGB')).astype(float)
        errors = {n: float(np.abs(shown - frame).mean()) for n, frame in frames.items()}
        assert min(errors, key=lambda n: errors[n]) == int(Path(entry).stem[3:])
    # the GUI adds to the same queue
    added = LabelingQueueEntry(frame_path='labeled-data/b/img00000001.jpg')
    add_to_unlabeled_sidecar_files([AddToUnlabeledFileView(csvPath=table, entriesToAdd=[added])])
    assert len(_entries(queue)) == 10


def test_nothing_that_is_there_is_replaced(
    project: DictConfig,
    caplog: pytest.LogCaptureFixture,
) -> None:
    base = Path(project.data.data_dir)
    table = base / 'CollectedData.csv'
    rows = [f'labeled-data/b/img{frame:08d}.jpg,1,2,3,4' for frame in range(0, 60, 20)]
    header = 'scorer,me,me,me,me\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n'
    table.write_text(header + '\n'.join(rows) + '\n')
    labelled = table.read_bytes()
    (queue,) = suggest_frames(project, 6)
    first = _entries(queue)
    pictures = {entry: (base / entry).read_bytes() for entry in first}
    suggest_frames(project, 6)
    both = _entries(queue)
    assert both[:6] == first and len(set(both)) == len(both) > 6
    assert table.read_bytes() == labelled
    assert {entry: (base / entry).read_bytes() for entry in first} == pictures
    # none is beside a labelled one
    own = [int(Path(entry).stem[3:]) for entry in both if '/b/' in entry]
    assert own and all(abs(frame - other) >= 5 for frame in own for other in (0, 20, 40))
    with caplog.at_level('WARNING', 'lightning_pose'):
        suggest_frames(project, 1000)
    assert 'of the 1000 frames were found' in caplog.text


def test_views_get_the_same_moments(tmp_path: Path) -> None:
    for seed, name in enumerate(('s1_left', 's1_right', 's2_left')):
        _video(tmp_path / 'videos' / f'{name}.mp4', 60, seed)
    cfg = OmegaConf.create(
        {
            'data': {
                'data_dir': str(tmp_path),
                'video_dir': 'videos',
                'csv_file': ['left.csv', 'right.csv'],
                'view_names': ['left', 'right'],
                'keypoint_names': ['nose'],
            },
            'model': {'model_type': 'heatmap_mhcrnn'},
        }
    )
    left, right = map(_entries, suggest_frames(cfg, 4))
    assert [entry.replace('left', 'right') for entry in left] == right and len(left) == 4
    # a model with context reads the neighbours, too
    number = int(Path(left[0]).stem[3:])
    beside = Path(left[0]).with_name(f'img{number + 2:08d}.jpg')
    assert (tmp_path / beside).is_file() and beside.as_posix() not in left


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'data.keypoint_names': None}, 'set data.keypoint_names'),
        ({'data.video_dir': 'nowhere'}, 'does not exist'),
        ({'data.csv_file': ['a.csv', 'b.csv']}, '2 tables, but data.view_names 0'),
    ],
)
def test_what_is_missing_is_said(project: DictConfig, changes: dict[str, Any], words: str) -> None:
    for key, value in changes.items():
        OmegaConf.update(project, key, value)
    with pytest.raises(BeastError, match=words):
        suggest_frames(project, 4)
    assert not (Path(project.data.data_dir) / 'labeled-data').exists()


def test_a_damaged_queue_stays_as_it_is(project: DictConfig, tmp_path: Path) -> None:
    queue = tmp_path / 'CollectedData.unlabeled.jsonl'
    queue.write_text('{"frame_path": ')
    with pytest.raises(BeastError, match='is damaged; restore it'):
        suggest_frames(project, 4)
    assert queue.read_text() == '{"frame_path": '


def test_the_count_is_checked(tmp_path: Path) -> None:
    config = tmp_path / 'c.yaml'
    config.touch()
    args = get_parser().parse_args([str(config), '--count', '0'])
    with pytest.raises(BeastError, match='--count must be between 1'):
        handle(args)
