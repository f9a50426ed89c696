"""Reading labelled frames."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beast_lp.errors import BeastError
from beast_lp.video.boxes import Box, crop
from beast_lp.video.labelled import read_images, read_labels


def test_label_files_are_read(labelled_project: tuple[Path, np.ndarray]) -> None:
    path, positions = labelled_project
    frames = read_labels([path], path.parent)
    assert frames.keypoints == ['square', 'never']
    # the first row has no label at all, which pandas takes for a name
    assert len(frames.images) == 30 and frames.images[0].name == 'img000.png'
    np.testing.assert_array_equal(frames.positions[1:, 0], positions[1:])
    assert np.isnan(frames.positions[:, 1]).all() and np.isnan(frames.positions[0]).all()
    assert set(frames.videos) == {str(path.parent / 'labeled-data' / 'one')}


def test_views_of_other_keypoints_and_what_is_not_visible(tmp_path: Path) -> None:
    for name in ('a.png', 'b.png'):
        (tmp_path / name).touch()
    (tmp_path / 'one.csv').write_text(
        's,s,s,s\nb,nose,nose,nose\nc,x,y,visible\na.png,1,2,2\nb.png,0,0,0\n'
    )
    (tmp_path / 'two.csv').write_text('s,s,s\nb,tail,tail\nc,x,y\na.png,3,4\n')
    frames = read_labels([tmp_path / 'one.csv', tmp_path / 'two.csv'], tmp_path)
    assert frames.keypoints == ['nose', 'tail']
    assert [image.name for image in frames.images] == ['a.png', 'b.png', 'a.png']
    nothing = [np.nan] * 2
    expected = [[[1, 2], nothing], [nothing, nothing], [nothing, [3, 4]]]
    np.testing.assert_array_equal(frames.positions, expected)


def test_images_are_cropped_to_boxes_and_black_beyond_their_edge(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(1, 255, (20, 30, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / 'a.png')
    inside, beyond = Box(x=5, y=2, h=10, w=12), Box(x=24, y=-4, h=10, w=12)
    for box in (inside, beyond):
        (read,) = read_images([tmp_path / 'a.png'], (box.h, box.w), [box]).numpy()
        np.testing.assert_array_equal(read, crop(picture, box))


def test_some_frames_keep_what_belongs_to_them(labelled_project: tuple[Path, np.ndarray]) -> None:
    path, positions = labelled_project
    frames = read_labels([path], path.parent)
    assert frames.some([4, 2]).boxes is None
    boxed = frames.with_boxes([Box(number, 0, 9, 9) for number in range(30)]).some([4, 2])
    assert [image.name for image in boxed.images] == ['img004.png', 'img002.png']
    assert boxed.names == ['labeled-data/one/img004.png', 'labeled-data/one/img002.png']
    np.testing.assert_array_equal(boxed.within[:, 0], positions[[4, 2]] - [[4, 0], [2, 0]])


def test_missing_images_and_other_tables_get_a_sentence(
    labelled_project: tuple[Path, np.ndarray],
    tmp_path: Path,
) -> None:
    path, _ = labelled_project
    frames = read_labels([path], path.parent)
    frames.images[3].unlink()
    with pytest.raises(BeastError, match='1 of the 30 labelled images are missing.*img003'):
        read_labels([path], path.parent)
    (tmp_path / 'other.csv').write_text('a,b\n1,2\n')
    with pytest.raises(BeastError, match='other.csv'):
        read_labels([tmp_path / 'other.csv'], tmp_path)
    with pytest.raises(BeastError, match='cannot be read as a table of labels'):
        read_labels([tmp_path / 'none.csv'], tmp_path)


@pytest.mark.parametrize('kept', [0, 60, 120])
def test_a_damaged_image_is_named(labelled_project: tuple[Path, np.ndarray], kept: int) -> None:
    path, _ = labelled_project
    images = read_labels([path], path.parent).images
    images[3].write_bytes(images[3].read_bytes()[:kept])
    with pytest.raises(BeastError, match='img003.png cannot be read as a labelled image'):
        read_images(images, (32, 32))


def test_a_picture_of_a_hundred_thousand_px_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'bomb.png'
    Image.new('1', (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    start = content.index(b'IHDR')
    content[start + 4 : start + 12] = struct.pack('>2I', 100_000, 100_000)
    content[start + 17 : start + 21] = struct.pack('>I', zlib.crc32(content[start : start + 17]))
    path.write_bytes(content)
    with pytest.raises(
        BeastError, match=r'bomb.png cannot be read as a labelled image \(Image size'
    ):
        read_images([path], (8, 8))
