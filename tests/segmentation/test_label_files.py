"""Which label file belongs to which video."""

from pathlib import Path

import pytest

from beast_lp.errors import BeastError
from beast_lp.segmentation.label_files import find_label_files


def test_videos_without_a_label_file_are_left_out(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / 'a.csv').touch()
    videos = [Path('s1/a.mp4'), Path('s1/b.mp4'), Path('s2/b.mp4')]
    with caplog.at_level('INFO', 'lightning_pose'):
        assert find_label_files(videos, tmp_path) == {videos[0]: tmp_path / 'a.csv'}
    assert caplog.messages == ['beast: b.mp4 has no labels and is left out'] * 2
    with pytest.raises(BeastError, match=r'no label file .* looked for b.csv'):
        find_label_files(videos[1:], tmp_path)


def test_two_videos_of_one_name_do_not_share_their_labels(tmp_path: Path) -> None:
    videos, file = [Path('s1/left.mp4'), Path('s2/left.mp4')], tmp_path / 'left.csv'
    file.write_text('Media file name,Behavior,Start,Stop\nleft.mp4,walk,0,1\n')
    for labels in (tmp_path, file):
        with pytest.raises(BeastError, match=f's1/left.mp4 and s2/left.mp4 .* labels in {labels}'):
            find_label_files(videos, labels)


def test_of_a_boris_table_the_videos_that_it_names_have_labels(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = tmp_path / 'events.csv'
    table.write_text(
        'Media file name,Behavior,Start,Stop\nC:\\lab\\a.mp4,walk,0,1\nold/c.avi,walk,0,1\n'
    )
    # names that are not coded may repeat
    videos = [Path('s1/a.mp4'), Path('s1/b.mp4'), Path('s2/b.mp4'), Path('s1/c.mp4')]
    with caplog.at_level('INFO', 'lightning_pose'):
        assert find_label_files(videos, table) == {videos[0]: table, videos[3]: table}
    assert caplog.messages == ['beast: b.mp4 has no labels and is left out'] * 2
    with pytest.raises(BeastError, match=r'labels of a, c, but of none .*looked for b.; name'):
        find_label_files(videos[1:3], table)


@pytest.mark.parametrize('text', ['Behavior,Start,Stop\nwalk,0,1\n', ',background,walk\n0,1,0\n'])
def test_a_table_that_names_no_videos_serves_one(tmp_path: Path, text: str) -> None:
    table = tmp_path / 'events.csv'
    table.write_text(text)
    videos = [Path('a.mp4'), Path('b.mp4')]
    assert find_label_files(videos[:1], table) == {videos[0]: table}
    with pytest.raises(BeastError, match=r'does not name the videos .* 2 videos; export'):
        find_label_files(videos, table)
