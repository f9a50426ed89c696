"""Which label file belongs to which video."""

from pathlib import Path

import pytest

from beast_lp.errors import BeastError
from beast_lp.segmentation.label_files import find_label_files


def test_videos_without_a_label_file_are_left_out(tmp_path: Path) -> None:
    (tmp_path / 'a.csv').touch()
    videos = [Path('s1/a.mp4'), Path('s1/b.mp4'), Path('s2/b.mp4')]
    assert find_label_files(videos, tmp_path) == {videos[0]: tmp_path / 'a.csv'}
    with pytest.raises(BeastError, match=r'no label file .* looked for b.csv'):
        find_label_files(videos[1:], tmp_path)


def test_two_videos_of_one_name_do_not_share_their_labels(tmp_path: Path) -> None:
    videos, file = [Path('s1/left.mp4'), Path('s2/left.mp4')], tmp_path / 'left.csv'
    file.touch()
    for labels, words in ((tmp_path, 'a label file in'), (file, 'the rows of')):
        with pytest.raises(BeastError, match=f's1/left.mp4 and s2/left.mp4 .* {words}'):
            find_label_files(videos, labels)
