"""Which label file belongs to which video."""

from pathlib import Path

import numpy as np
import pytest

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.label_files import find_label_files, load_labels
from beast_lp.segmentation.streams import Streams
from beast_lp.segmentation.videos import OpenVideo


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


def _video(path: Path) -> OpenVideo:
    frame = np.arange(600)
    features = Streams((np.zeros((600, 2), np.float32),))
    return OpenVideo('a', path, features, frame, 600, frame / 30, 30.0, 8, 'x', 'x', 'x')


def test_a_behaviour_that_is_ignored_may_overlap(tmp_path: Path) -> None:
    table = tmp_path / 'a.csv'
    table.write_text(
        'Behavior,Status,Time\nwalk,START,3\nlick,POINT,3.5\nwalk,STOP,4\n'
        'groom,START,6\ngroom,STOP,7\nlick,POINT,9\n'
    )
    videos = [_video(tmp_path / 'a.mp4')]
    with pytest.raises(BeastError, match=r'walk .3 to 4 s. and lick .from 3.5 s. overlap'):
        load_labels(videos, {videos[0].path: table}, SegmentationConfig())
    config = SegmentationConfig(ignore=['lick'], background='class')
    classes, (labels,) = load_labels(videos, {videos[0].path: table}, config)
    assert classes == ('background', 'groom', 'walk')
    assert np.flatnonzero(labels.target == 2).tolist() == list(range(90, 120))
    assert np.flatnonzero(labels.target == 1).tolist() == list(range(180, 210))
    # alone, its frame counts as unscored
    assert np.flatnonzero(labels.target == UNSCORED).tolist() == [270]


@pytest.mark.parametrize('text', ['Behavior,Start,Stop\n{},1,2\n', ',background,{}\n0,0,1\n'])
def test_a_class_name_is_checked_in_every_format(tmp_path: Path, text: str) -> None:
    table = tmp_path / 'a.csv'
    table.write_text(
        text.format('scored') + ''.join(f'{i},1,0\n' for i in range(1, 600)) * ('0,' in text)
    )
    videos = [_video(tmp_path / 'a.mp4')]
    config = SegmentationConfig(background='class')
    for classes in (None, ('background', 'scored')):
        with pytest.raises(BeastError, match="the class name 'scored' means something else"):
            load_labels(videos, {videos[0].path: table}, config, classes)


def test_rows_that_fit_no_video_are_counted(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = tmp_path / 'events.csv'
    table.write_text(
        'Media file name,Behavior,Start,Stop\na.mp4,walk,0,1\nMouse1.mp4,walk,0,1\nNA,walk,0,1\n'
    )
    find_label_files([Path('a.mp4'), Path('mouse1.mp4')], table)
    assert '2 of 3 rows of' in caplog.text
    assert "Mouse1; did you mean 'mouse1'?, no media file" in caplog.text
    with pytest.raises(BeastError, match="of none of the videos .looked for mouse1.*'Mouse1'"):
        find_label_files([Path('mouse1.mp4')], table)


def test_a_video_with_two_label_files_gets_a_sentence(tmp_path: Path) -> None:
    for suffix in ('csv', 'tsv'):
        (tmp_path / f'a.{suffix}').touch()
    with pytest.raises(BeastError, match=r'a.mp4 has two label files, .*a.csv and .*a.tsv; keep'):
        find_label_files([Path('a.mp4')], tmp_path)
