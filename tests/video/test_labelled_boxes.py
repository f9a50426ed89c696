"""Boxes around the animal of labelled frames."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from beast_lp.errors import BeastError
from beast_lp.video.animal_boxes import animal_boxes
from beast_lp.video.boxes import Box
from beast_lp.video.labelled import LabelledFrames, read_images, read_labels
from beast_lp.video.labelled_boxes import boxed_labels, held_shares

WriteVideo = Callable[..., Path]
HEIGHT, WIDTH, SPOT = 240, 320, 40


def _frame(x: int, y: int) -> np.ndarray:
    frame = np.full((HEIGHT, WIDTH, 3), 190, np.uint8)
    frame[y : y + SPOT, x : x + SPOT] = 30
    return frame


def _write_labels(project: Path, corners: Mapping[str, Sequence[tuple[int, int]]]) -> Path:
    """Write labelled frames of a dark spot, whose middle is the keypoint, by folder."""
    rows = {}
    for folder, places in corners.items():
        (project / 'labeled-data' / folder).mkdir(parents=True)
        for number, (x, y) in enumerate(places):
            name = f'labeled-data/{folder}/img{number:03d}.png'
            Image.fromarray(_frame(x, y)).save(project / name)
            rows[name] = (x + SPOT / 2, y + SPOT / 2)
    columns = pd.MultiIndex.from_product(
        [['me'], ['spot'], ['x', 'y']], names=['scorer', 'bodyparts', 'coords']
    )
    table = pd.DataFrame(list(rows.values()), pd.Index(list(rows)), columns)
    table.to_csv(project / 'CollectedData.csv')
    return project / 'CollectedData.csv'


def _corners(count: int, seed: int = 0) -> list[tuple[int, int]]:
    draw = np.random.default_rng(seed)
    xs, ys = draw.integers(0, WIDTH - SPOT, count), draw.integers(0, HEIGHT - SPOT, count)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


@pytest.fixture
def boxes(tmp_path: Path, write_video: WriteVideo) -> Path:
    """Return the boxes of a video `mouse` in which the spot wanders."""
    frames = [_frame(4 * ordinal, 3 * ordinal) for ordinal in range(60)]
    return animal_boxes([write_video('mouse.mp4', frames)], tmp_path / 'boxes', progress=False)


def _read(table: Path) -> LabelledFrames:
    return read_labels([table], table.parent)


def test_few_frames_of_a_searched_video_get_boxes_of_its_size(boxes: Path, tmp_path: Path) -> None:
    labels = _read(_write_labels(tmp_path, {'mouse': _corners(3)}))
    found = boxed_labels(labels, boxes, search=True)
    side = pd.read_csv(boxes / 'mouse_bbox.csv')['w'].iloc[0]
    assert found.boxes is not None
    for box, (x, y) in zip(found.boxes, _corners(3), strict=True):
        assert (box.w, box.h) == (side, side)
        assert 0 <= box.x <= x + 4 and x + SPOT - 4 <= box.x + side <= WIDTH
        assert 0 <= box.y <= y + 4 and y + SPOT - 4 <= box.y + side <= HEIGHT
    assert held_shares(found) == {'': 1, 'spot': 1}
    # as the host reads it: a row per image, by the name in the table of labels
    written = pd.read_csv(boxes / 'bbox.csv', index_col=0)
    assert written.index.tolist() == list(labels.names)
    assert written[['x', 'y', 'h', 'w']].to_numpy().tolist() == [
        [box.x, box.y, box.h, box.w] for box in found.boxes
    ]
    # crops show the spot, which is where `within` says
    pictures = read_images(found.images, (side, side), found.boxes).numpy()
    for picture, (x, y) in zip(pictures, found.within[:, 0].round().astype(int), strict=True):
        assert picture[y, x].max() < 60


def test_many_frames_of_another_video_are_their_own_background(
    boxes: Path, tmp_path: Path
) -> None:
    corners = {'mouse': _corners(2), 'other': _corners(25, seed=1)}
    found = boxed_labels(_read(_write_labels(tmp_path, corners)), boxes, search=True)
    assert found.boxes is not None and len(found.boxes) == 27
    assert held_shares(found) == {'': 1, 'spot': 1}


@pytest.mark.parametrize(
    ('corners', 'sentence'),
    [
        ({'other': _corners(5)}, 'of the video other, .* there are 5 labelled frames and not 20'),
        ({'mouse': [*_corners(3), (400, 400)]}, 'stands out .* in 1 of the 4 labelled frames'),
    ],
    ids=['an unknown background', 'an empty frame'],
)
def test_where_the_animal_is_not_found_frames_stay_whole(
    boxes: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    corners: dict[str, list[tuple[int, int]]],
    sentence: str,
) -> None:
    labels = _read(_write_labels(tmp_path, corners))
    with caplog.at_level('WARNING', 'lightning_pose'):
        assert boxed_labels(labels, boxes, search=True) is labels
    assert 'so that whole ones are read' in caplog.text
    assert pd.Series([caplog.text]).str.contains(sentence).all()
    assert not (boxes / 'bbox.csv').exists()


def test_boxes_that_miss_the_keypoints_are_not_taken(
    boxes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = _write_labels(tmp_path, {'mouse': [(0, 0), (10, 20), (5, 10), (200, 20)]})
    lines = table.read_text().splitlines()
    # in three of the four frames the label lies far from the only thing that moves
    lines[3:6] = [f'{line.split(",")[0]},300,230' for line in lines[3:6]]
    table.write_text('\n'.join(lines) + '\n')
    labels = _read(table)
    with caplog.at_level('WARNING', 'lightning_pose'):
        assert boxed_labels(labels, boxes, search=True) is labels
    assert 'hold 25% of their keypoints' in caplog.text
    assert not (boxes / 'bbox.csv').exists()


def test_boxes_of_a_folder_are_read_and_never_searched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = _read(_write_labels(tmp_path, {'mouse': _corners(2)}))
    folder = tmp_path / 'given'
    folder.mkdir()
    with caplog.at_level('WARNING', 'lightning_pose'):
        assert boxed_labels(labels, folder, search=False) is labels
    assert 'bbox.csv has none; `litpose create_bbox` writes boxes' in caplog.text
    rows = [f'{name},{10 * n},5,60,80' for n, name in reversed(list(enumerate(labels.names)))]
    (folder / 'bbox.csv').write_text('\n'.join([',x,y,h,w', *rows]) + '\n')
    found = boxed_labels(labels, folder, search=False)
    assert found.boxes == [Box(0, 5, 60, 80), Box(10, 5, 60, 80)]
    (folder / 'bbox.csv').write_text(',x,y,h,w\nlabeled-data/mouse/img000.png,a,5,60,80\n')
    with pytest.raises(BeastError, match=r'bbox\.csv cannot be read'):
        boxed_labels(labels, folder, search=False)


def test_keypoints_that_often_lie_outside_are_named(
    boxes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = _write_labels(tmp_path, {'mouse': _corners(8)})
    labels = _read(table)
    # a second keypoint, a long tail in every other frame
    tail = labels.positions + np.where(np.arange(8) % 2, 0, 150)[:, None, None]
    labels = replace(
        labels, keypoints=['spot', 'tail'], positions=np.concatenate([labels.positions, tail], 1)
    )
    with caplog.at_level('INFO', 'lightning_pose'):
        assert boxed_labels(labels, boxes, search=True).boxes is not None
    assert 'hold 75% of their keypoints; outside are tail in 50% of the frames' in caplog.text


def test_the_shares_of_keypoints_in_boxes_are_counted_over_labelled_ones() -> None:
    draw = np.random.default_rng(3)
    positions = draw.uniform(0, 100, (30, 4, 2))
    positions[draw.random((30, 4)) < 0.3] = np.nan
    positions[:, 3] = np.nan
    boxes = [Box(x, y, 40, 60) for x, y in draw.integers(0, 50, (30, 2)).tolist()]
    inside, labelled = Counter[str](), Counter[str]()
    for frame, box in zip(positions, boxes, strict=True):
        for name, (x, y) in zip('abcd', frame, strict=True):
            if np.isnan(x):
                continue
            held = 0 <= x - box.x <= box.w and 0 <= y - box.y <= box.h
            for key in (name, ''):
                labelled[key] += 1
                inside[key] += held
    shares = held_shares(LabelledFrames([], list('abcd'), positions, [], boxes))
    assert shares == {key: pytest.approx(inside[key] / labelled[key]) for key in labelled}
    assert 'd' not in shares and 0.1 < shares[''] < 0.9
