"""Cropping to the host's bounding boxes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.errors import BeastError
from beast_lp.video.boxes import Box, Boxes, boxes_file, crop
from beast_lp.video.containers import VideoError
from beast_lp.video.read import FrameReader
from beast_lp.video.scan import scan_video
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import WindowStore

SIZE = (96, 128)
CANVAS = (150, 220)


def _write_boxes(path: Path, rows: np.ndarray) -> Path:
    """Write boxes as the host does."""
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows, columns=pd.Index(['x', 'y', 'h', 'w'])).to_csv(path, lineterminator='\n')
    return path


def _wandering(count: int) -> np.ndarray:
    """Boxes of one size that leave the canvas on the right and below."""
    random = np.random.default_rng(0)
    left = random.integers(0, CANVAS[1] - 110, count)
    top = random.integers(0, CANVAS[0] - 70, count)
    return np.stack([left, top, np.full(count, SIZE[0]), np.full(count, SIZE[1])], 1)


@pytest.fixture
def wandering(
    write_video: Callable[..., Path], counter_frame: Callable[[int], np.ndarray]
) -> Path:
    """A video whose numbered pictures are at another place in every frame, and noise elsewhere."""
    random = np.random.default_rng(1)
    frames = []
    for ordinal, (left, top, height, width) in enumerate(_wandering(60)):
        frame = random.integers(0, 256, (*CANVAS, 3), np.uint8)
        part = frame[top : top + height, left : left + width]
        part[:] = counter_frame(ordinal)[: part.shape[0], : part.shape[1]]
        frames.append(frame)
    return write_video('wandering.mkv', frames, codec='ffv1', pixel_format='bgr0')


@pytest.mark.parametrize(
    'box',
    [
        (10, 20, 30, 40),
        (0, 0, 50, 60),
        (-7, 3, 20, 20),
        (3, -7, 20, 20),
        (50, 40, 20, 20),
        (-5, -6, 100, 100),
        (60, 0, 5, 5),
        (-9, 0, 5, 5),
        (0, 50, 1, 1),
        (0, -3, 3, 4),
    ],
)
@pytest.mark.parametrize('channels', [(), (3,)])
def test_a_crop_equals_a_loop_and_that_of_the_host(
    box: tuple[int, int, int, int], channels: tuple[int, ...]
) -> None:
    frame = np.random.default_rng(0).integers(1, 256, (50, 60, *channels), np.uint8)
    x, y, h, w = box
    expected = np.zeros((h, w, *channels), np.uint8)
    for row in range(h):
        for column in range(w):
            if 0 <= y + row < 50 and 0 <= x + column < 60:
                expected[row, column] = frame[y + row, x + column]
    found = crop(frame, Box(*box))
    np.testing.assert_array_equal(found, expected)
    # `litpose crop` cuts labelled frames so
    host = np.array(Image.fromarray(frame).crop((x, y, x + w, y + h)))
    np.testing.assert_array_equal(found, host)


def test_rows_count_and_parts_of_pixels_do_not(tmp_path: Path) -> None:
    path = _write_boxes(tmp_path / 'boxes.csv', np.array([[1.9, -1.9, 10.5, 20], [3, 4, 20, 30]]))
    path.write_text(path.read_text().replace('\n1,', '\n77,'))
    boxes = Boxes(path)
    assert (boxes[0], boxes[1]) == ((1, -1, 10, 20), (3, 4, 20, 30))
    assert boxes.size == (15, 25)
    with pytest.raises(BeastError, match='2 rows, but the video has more frames'):
        boxes[2]


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (None, 'cannot be read .* or go without bounding boxes'),
        ('', 'cannot be read'),
        (',x,y,w\n0,1,2,3\n', 'lack the column h'),
        (',x,y,h,w\n', 'no rows'),
        (',x,y,h,w\n0,1,2,3,4\n1,1,,3,4\n', 'no usable box in row 1'),
        (',x,y,h,w\n0,1,2,3,wide\n', 'no usable box in row 0'),
        (',x,y,h,w\n0,1,2,0.5,4\n', 'no usable box in row 0'),
        (',x,y,h,w\n0,1,inf,3,4\n', 'no usable box in row 0'),
    ],
)
def test_what_are_no_boxes_is_said(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / 'video_bbox.csv'
    if content is not None:
        path.write_text(content)
    with pytest.raises(BeastError, match=words) as caught:
        Boxes(path)
    assert str(path) in str(caught.value)


def test_every_frame_is_cropped_to_its_own_box(wandering: Path, tmp_path: Path) -> None:
    rows = _wandering(60)
    boxes = Boxes(_write_boxes(tmp_path / 'boxes.csv', rows))
    frames = [frame.pixels(CANVAS) for frame in FrameReader(wandering)]
    cropped = [frame.pixels(SIZE) for frame in FrameReader(wandering, boxes=boxes)]
    for frame, part, row in zip(frames, cropped, rows, strict=True):
        np.testing.assert_array_equal(part, crop(frame, Box(*row)))


def test_windows_show_what_the_boxes_hold(
    wandering: Path, tmp_path: Path, read_counter: Callable[[np.ndarray], int]
) -> None:
    rows = _wandering(60)
    _write_boxes(tmp_path / 'boxes' / 'wandering_bbox.csv', rows)
    prepare_windows(
        [wandering],
        tmp_path / 'out',
        AnchorConfig(per_video=8),
        WindowConfig(processes=1, bbox_dir=str(tmp_path / 'boxes')),
        0,
        progress=False,
        offset_frames=2,
    )
    store = WindowStore.open(tmp_path / 'out')
    assert len(store) >= 4
    whole = 0
    for index, frame in enumerate(store.table['frame'].tolist()):
        assert store.clip_size(index) == SIZE
        for offset, image in zip((-2, 0, 2), store.read(index, (-1, 0, 1), SIZE), strict=True):
            left, top = rows[frame + offset, :2]
            right, bottom = CANVAS[1] - left, CANVAS[0] - top
            # the encoder smears an edge a little
            assert image[:, right + 4 :].max(initial=0) < 40
            assert image[bottom + 4 :].max(initial=0) < 40
            # elsewhere, a part of the frame's number lies outside
            if right >= SIZE[1]:
                assert read_counter(image) == frame + offset
                whole += 1
    assert whole > 4


def test_a_scan_sees_what_the_boxes_hold(
    wandering: Path, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    rows = _wandering(60)
    boxes = Boxes(_write_boxes(tmp_path / 'boxes.csv', rows))
    parts = [
        crop(frame.pixels(CANVAS), Box(*row))
        for frame, row in zip(FrameReader(wandering), rows, strict=True)
    ]
    cut = write_video('cut.mkv', parts, codec='ffv1', pixel_format='bgr0')
    # the same frames of each, so that what was seen of them can be compared
    config = AnchorConfig(strategy='uniform', per_video=20)
    found, expected, whole = (
        scan_video(video, config, 0, progress=False, boxes=used).anchors.motion_energy
        for video, used in ((wandering, boxes), (cut, None), (wandering, None))
    )
    # turned grey before and after the crop, which rounds differently
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert np.abs(whole - expected).mean() > 3


def test_boxes_of_many_sizes_are_scaled_to_their_median(wandering: Path, tmp_path: Path) -> None:
    rows = _wandering(60)
    rows[:, 2:] = (60, 100)
    rows[::3, 2:] = (30, 50)
    _write_boxes(tmp_path / 'wandering_bbox.csv', rows)
    store = prepare_windows(
        [wandering],
        tmp_path / 'out',
        AnchorConfig(per_video=4),
        WindowConfig(processes=1, longest_side=50, bbox_dir=str(tmp_path)),
        0,
        progress=False,
    )
    assert store.clip_size(0) == (30, 50)


def test_boxes_that_are_missing_or_too_few_stop_the_run(wandering: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'boxes'
    file = boxes_file(folder, wandering)
    assert file == folder / 'wandering_bbox.csv'
    twin = tmp_path / 'other' / 'wandering.mkv'
    twin.parent.mkdir()
    twin.write_bytes(wandering.read_bytes())

    def run(*videos: Path) -> WindowStore:
        return prepare_windows(
            videos,
            tmp_path / 'out',
            AnchorConfig(per_video=4),
            WindowConfig(processes=1, bbox_dir=str(folder)),
            0,
            progress=False,
        )

    with pytest.raises(BeastError, match='wandering_bbox.csv with the bounding boxes of'):
        run(wandering)
    _write_boxes(file, _wandering(59))
    with pytest.raises(BeastError, match='59 rows, but the video has more frames') as caught:
        run(wandering)
    assert not isinstance(caught.value, VideoError)
    _write_boxes(file, _wandering(60))
    first = run(wandering)
    assert len(first) > 0
    with pytest.raises(BeastError, match='2 videos share the name'):
        run(wandering, twin)
    # other boxes are another clip
    clip = tmp_path / 'out/windows/wandering.mp4'
    before = clip.read_bytes()
    run(wandering)
    assert clip.read_bytes() == before
    _write_boxes(file, _wandering(60) + (5, 5, 0, 0))
    run(wandering)
    assert clip.read_bytes() != before
