"""Boxes around the animal, written as the host reads them."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beast_lp.errors import BeastError
from beast_lp.video.animal import Track
from beast_lp.video.animal_boxes import animal_boxes, box_table
from beast_lp.video.boxes import Boxes
from beast_lp.video.read import FrameReader

WriteVideo = Callable[..., Path]
HEIGHT, WIDTH, SPOT = 240, 320, 40


def _corner(ordinal: int) -> tuple[int, int]:
    return 4 * ordinal, 3 * ordinal


def _frames(moves: bool = True) -> list[np.ndarray]:
    frames = []
    for ordinal in range(60):
        frame = np.full((HEIGHT, WIDTH, 3), 190, np.uint8)
        x, y = _corner(ordinal if moves else 10)
        frame[y : y + SPOT, x : x + SPOT] = 30
        frames.append(frame)
    return frames


def test_every_box_holds_the_animal_and_lies_in_the_frame(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    video = write_video('mouse.mp4', _frames())
    directory = animal_boxes([video], tmp_path / 'boxes', progress=False)
    boxes = Boxes(directory / 'mouse_bbox.csv')
    assert len({boxes[ordinal][2:] for ordinal in range(60)}) == 1
    for ordinal in range(60):
        x, y, h, w = boxes[ordinal]
        left, top = _corner(ordinal)
        assert h == w < HEIGHT / 2
        assert 0 <= x <= left + 4
        assert left + SPOT - 4 <= x + w <= WIDTH
        assert 0 <= y <= top + 4
        assert top + SPOT - 4 <= y + h <= HEIGHT
    # at both ends, where smoothing sees one side only, a tenth of the animal may be cut off
    # the crops show the animal and not the floor alone
    for frame in FrameReader(video, 'gray', boxes):
        assert frame.pixels((64, 64)).min() < 60


def test_boxes_are_kept_until_the_video_changes(tmp_path: Path, write_video: WriteVideo) -> None:
    video = write_video('mouse.mp4', _frames())
    file = animal_boxes([video], tmp_path / 'boxes', progress=False) / 'mouse_bbox.csv'
    before = file.read_text()
    file.write_text(before + '\n')
    animal_boxes([video], tmp_path / 'boxes', progress=False)
    assert file.read_text() == before + '\n'
    later = file.stat().st_mtime + 5
    os.utime(video, (later, later))
    animal_boxes([video], tmp_path / 'boxes', progress=False)
    assert file.read_text() == before


def test_a_still_animal_gets_a_sentence_and_no_file(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    video = write_video('mouse.mp4', _frames(moves=False))
    with pytest.raises(BeastError, match=r'mouse\.mp4: nothing stands out .* leave it out'):
        animal_boxes([video], tmp_path / 'boxes', progress=False)
    assert list((tmp_path / 'boxes').iterdir()) == []


def test_two_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    videos = [tmp_path / 'a' / 'mouse.mp4', tmp_path / 'b' / 'mouse.mp4']
    with pytest.raises(BeastError, match='different names'):
        animal_boxes(videos, tmp_path / 'boxes')
    assert not (tmp_path / 'boxes').exists()


def test_a_box_at_the_edge_is_moved_into_the_frame() -> None:
    track = Track(np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]), np.array([0.2, 0.2]), 1.0)
    table = box_table(track, width=200, height=100)
    assert table.to_numpy().tolist() == [[0, 0, 40, 40], [160, 60, 40, 40], [80, 30, 40, 40]]
    assert list(table) == ['x', 'y', 'h', 'w']
