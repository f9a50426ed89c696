"""Tests of the pretraining report."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from beast_lp.errors import BeastError
from beast_lp.pretraining.tune import compare
from beast_lp.reports.pretraining import (
    PretrainingPictures,
    read_table,
    write_pretraining_report,
)

SUMMARY = {'initial weights': 'facebook/vit-mae-base', 'time': '3 h & 12 min'}


def sheet(count: int, height: int = 12, width: int = 16) -> tuple[np.ndarray, list[str]]:
    images = np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)
    return images, [f'frame {index}' for index in range(count)]


@pytest.fixture
def pictures() -> PretrainingPictures:
    rng = np.random.default_rng(0)
    return PretrainingPictures(
        anchor_sheets={'a <1>.mp4': sheet(3), '007': sheet(2)},
        originals=rng.random((2, 3, 16, 16)),
        masked=rng.random((2, 3, 16, 16)),
        reconstructed=rng.random((2, 3, 16, 16)),
        snapshots={
            1: rng.integers(0, 256, (2, 3, 16, 16), np.uint8),
            9: rng.integers(0, 256, (2, 3, 16, 16), np.uint8),
        },
        retrieval_anchors=rng.random((3, 3, 16, 16)),
        retrieval_nearest=rng.random((3, 3, 16, 16)),
        retrieval_correct=np.array([True, False, True]),
        retrieval_captions=['one', 'two', 'three'],
        retrieval_shares={'CLS of this model': 0.5, '16 x 16 grey pixels': 1.0},
        retrieval_pairs=4,
        embeddings=rng.normal(size=(8, 4)),
        embedding_video=['a <1>.mp4'] * 4 + ['007'] * 4,
        embedding_time=np.tile(np.linspace(0, 1, 4), 2),
    )


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Return a folder with the three tables of a run."""
    pd.DataFrame(
        {
            'epoch': [0, 1],
            'train_loss': [0.9, 0.5],
            'val_retrieval': [0.25, 0.625],
            'val_retrieval_chance': [0.125, 0.125],
        }
    ).to_csv(tmp_path / 'metrics.csv', index=False)
    pd.DataFrame(
        {
            'video': ['a <1>.mp4', '007', 'cut.mp4', 'gone.mp4'],
            'video_id': ['0010', '1', '2', '3'],
            'frames_read': [300, 400, 120, np.nan],
            'anchors': [3, 40, 2, 0],
            'status': ['ok', 'ok', 'truncated', 'skipped'],
            'message': ['', '', 'ends early at frame 120', 'cannot be opened'],
        }
    ).to_csv(tmp_path / 'videos.csv', index=False)
    pd.DataFrame(
        {
            'video': ['a <1>.mp4'] * 3 + ['007'] * 40,
            'frame': [5, 90, 280, *range(10, 410, 10)],
        }
    ).to_csv(tmp_path / 'anchors.csv', index=False)
    return tmp_path


class Texts(HTMLParser):
    """Collects the text of the page and its headings."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.images = 0
        self.text = ''
        self._tag = ''
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.images += tag == 'img'
        if tag == 'h2':
            self.headings.append('')

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._tag == 'h2':
            self.headings[-1] += data.strip()


def test_report_shows_all_parts_in_order(run_dir: Path, pictures: PretrainingPictures) -> None:
    path = write_pretraining_report(run_dir, SUMMARY, pictures)
    assert path == run_dir / 'report.html'
    page = Texts(path)
    assert page.headings == [
        'What came out',
        'Reconstruction of hidden patches',
        'Reconstruction over the epochs',
        'Retrieval of the neighbouring frame',
        'Map of the CLS tokens',
        'Training curves',
        'Videos',
        'What was run',
        'Anchors: a <1>.mp4',
        'Anchors: 007',
    ]
    assert page.images == 7
    assert 'are shown here' not in page.text
    for text in (*SUMMARY, *SUMMARY.values()):
        assert text in page.text
    # of the frames with hidden patches there is a curve; one number of a name stands on the page
    assert '62.5' not in page.text
    assert 'among 4 pairs (chance: 14.3%)' in page.text
    html = path.read_text()
    assert '<td>16 x 16 grey pixels</td><td class="number">100</td>' in html
    numbers = '<td class="number">14.3</td><td class="number">4</td>'
    assert f'<td>guessing (chance)</td>{numbers}' in html
    assert '3 of the 3 anchors of this video, which lie between frames 5 and 280' in page.text
    assert '2 of the 40 anchors of this video, which lie between frames 10 and 400' in page.text


def test_every_figure_is_a_file_of_its_own(run_dir: Path, pictures: PretrainingPictures) -> None:
    write_pretraining_report(run_dir, SUMMARY, pictures)
    files = sorted((run_dir / 'figures').iterdir())
    assert [file.name for file in files] == [
        'anchors_01_a_1_.png', 'anchors_02_007.png', 'embedding_map.png', 'reconstructions.png',
        'reconstructions_over_epochs.png', 'retrieval.png', 'training_curves.png',
    ]  # fmt: skip
    for file in files:
        assert np.asarray(Image.open(file)).std() > 1


def test_broken_videos_come_first_and_are_marked(
    run_dir: Path, pictures: PretrainingPictures
) -> None:
    html = write_pretraining_report(run_dir, SUMMARY, pictures).read_text()
    table = html[html.index('>Videos</h2>') : html.index('>What was run</h2>')]
    rows = re.findall(r'<tr( class="marked")?><td>([^<]*)</td>', table)
    assert [(video, bool(marked)) for marked, video in rows] == [
        ('cut.mp4', True), ('gone.mp4', True), ('a &lt;1&gt;.mp4', False), ('007', False),
    ]  # fmt: skip
    assert '2 of 4 videos were read from start to end.' in html
    assert 'The others (1 truncated, 1 skipped)' in html
    assert 'ends early at frame 120' in html
    # an identifier that looks like a number keeps its zeros
    assert '<td>0010</td>' in html


def test_whole_videos_raise_no_alarm(run_dir: Path, pictures: PretrainingPictures) -> None:
    videos = pd.read_csv(run_dir / 'videos.csv').assign(status='ok')
    videos.to_csv(run_dir / 'videos.csv', index=False)
    html = write_pretraining_report(run_dir, SUMMARY, pictures).read_text()
    assert '4 of 4 videos were read' in html
    assert 'class="marked"' not in html and 'The others' not in html


def test_parts_without_data_say_so(run_dir: Path, pictures: PretrainingPictures) -> None:
    empty = dataclasses.replace(
        pictures,
        anchor_sheets={'a': sheet(0)},
        originals=pictures.originals[:0],
        masked=pictures.masked[:0],
        reconstructed=pictures.reconstructed[:0],
        snapshots={},
        retrieval_anchors=pictures.retrieval_anchors[:0],
        retrieval_nearest=pictures.retrieval_nearest[:0],
        retrieval_correct=pictures.retrieval_correct[:0],
        retrieval_captions=[],
        embeddings=np.full((8, 4), np.nan),
    )
    pd.DataFrame({'epoch': [0], 'train_loss': [0.5]}).to_csv(run_dir / 'metrics.csv', index=False)
    page = Texts(write_pretraining_report(run_dir, SUMMARY, empty))
    assert page.images == 1
    assert page.text.count('Nothing to show') == 3
    assert 'Videos' in page.headings and not any('Anchors' in name for name in page.headings)


def test_retrieval_that_was_not_measured_is_not_invented(
    run_dir: Path, pictures: PretrainingPictures
) -> None:
    metrics = pd.read_csv(run_dir / 'metrics.csv').assign(val_retrieval=np.nan)
    metrics.to_csv(run_dir / 'metrics.csv', index=False)
    page = Texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'not recorded' not in page.text and 'nan' not in page.text


def test_videos_without_a_sheet_are_counted(run_dir: Path, pictures: PretrainingPictures) -> None:
    sheets = {'007': sheet(9), 'x/1.mp4': sheet(2), 'y/1.mp4': sheet(0)}
    many = dataclasses.replace(pictures, anchor_sheets=sheets)
    page = Texts(write_pretraining_report(run_dir, SUMMARY, many))
    assert 'Only 2 of the 3 videos with anchors are shown here.' in page.text
    assert page.headings[-2:] == ['Anchors: 007', 'Anchors: x/1.mp4']
    assert '9 of the 40 anchors' in page.text
    assert 'anchors.csv has no row for this video' in page.text


def test_sheets_of_an_earlier_run_go_away(run_dir: Path, pictures: PretrainingPictures) -> None:
    folder = run_dir / 'figures'
    folder.mkdir()
    for name in ('anchors_01_old.png', 'anchors_mine.png', 'poster.png'):
        (folder / name).write_bytes(b'old')
    write_pretraining_report(run_dir, SUMMARY, pictures)
    names = {file.name for file in folder.iterdir()}
    assert 'anchors_01_old.png' not in names
    assert {'anchors_mine.png', 'poster.png', 'anchors_01_a_1_.png'} <= names


@pytest.mark.parametrize('name', ['metrics.csv', 'videos.csv', 'anchors.csv'])
def test_missing_or_empty_table_is_named(
    run_dir: Path, pictures: PretrainingPictures, name: str
) -> None:
    (run_dir / name).write_text('')
    with pytest.raises(BeastError, match=name):
        write_pretraining_report(run_dir, SUMMARY, pictures)
    (run_dir / name).unlink()
    with pytest.raises(BeastError, match=name):
        write_pretraining_report(run_dir, SUMMARY, pictures)
    assert not (run_dir / 'report.html').exists()


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'speed\n1\n1,2,3\n', 'cannot be read'),
        (b'speed\n\xff\n', 'cannot be read'),
        (b'speed\n', 'no rows'),
        (b'speed\nfast\n', 'no numbers in speed'),
        (b'other\n1\n', 'lacks speed'),
    ],
)
def test_a_damaged_table_gets_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / 'metrics.csv').write_bytes(content)
    with pytest.raises(BeastError, match=f'metrics.csv.*{words}'):
        read_table(tmp_path / 'metrics.csv', numbers=['speed'])


def test_missing_column_is_named(run_dir: Path, pictures: PretrainingPictures) -> None:
    (run_dir / 'videos.csv').write_text('video,anchors\na.mp4,3\n')
    with pytest.raises(BeastError, match=r'videos\.csv lacks status \(found video, anchors\)'):
        write_pretraining_report(run_dir, SUMMARY, pictures)


def test_the_probe_is_shown_where_it_was_measured(
    run_dir: Path, pictures: PretrainingPictures
) -> None:
    metrics = pd.DataFrame(
        {
            'epoch': [0, 1, 2],
            'train_loss': [3.0, 2.0, 1.0],
            'probe_px': [np.nan, 12.5, 9.25],
            'probe_start_px': [np.nan, 15.0, 15.0],
            'probe_constant_px': [np.nan, 40.0, 40.0],
        }
    )
    metrics.to_csv(run_dir / 'metrics.csv', index=False)
    page = Texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'Keypoints from frozen features' in page.headings
    assert 'At the end: 9.25 px. The best floor is a constant prediction with 40 px' in page.text
    assert 'the error here is 77 % lower' in page.text
    assert 'the last epoch, at which the probe was lowest' in page.text
    html = (run_dir / 'report.html').read_text()
    assert '>this run, before training</td><td class="number">15</td>' in html
    assert (run_dir / 'figures' / 'probe.png').is_file()


@pytest.mark.parametrize(('best', 'clear'), [(8.0, True), (9.9, False)])
def test_a_run_that_its_floors_beat_is_told_so(
    run_dir: Path, pictures: PretrainingPictures, best: float, clear: bool
) -> None:
    metrics = pd.DataFrame(
        {
            'epoch': [3, 7, 9],
            'train_loss': [3.0, 2.0, 1.0],
            'probe_px': [12.5, best, 10.0],
            'probe_z_px': [12.5, 11.5, 11.25],
            'probe_start_px': [np.nan] * 3,
            'probe_constant_px': [40.0] * 3,
            'probe_pixels_px': [7.5] * 3,
            'probe_components_px': [9.5] * 3,
            'probe_random_px': [15.0] * 3,
        }
    )
    metrics.to_csv(run_dir / 'metrics.csv', index=False)
    page = Texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'no better than 16 x 16 grey pixels with 7.5 px' in page.text
    assert f'was lowest, {best:g} px, after epoch 8, whose weights are in' in page.text
    assert ('give that file to litpose embed' in page.text) == clear
    assert ('within what the probe moves by itself' in page.text) != clear
    assert 'before training' not in page.text
    for words in ('each feature scaled by itself', 'random weights of the same architecture'):
        assert words in page.text


@pytest.mark.parametrize(('share', 'enough'), [(0.42, True), (-0.3, False)])
def test_what_is_explained_and_chance_are_numbers_in_sentences(
    run_dir: Path, pictures: PretrainingPictures, share: float, enough: bool
) -> None:
    metrics = pd.read_csv(run_dir / 'metrics.csv').assign(
        val_contrastive=[3.9, 3.5],
        val_contrastive_chance=4.143,
        val_explained=[-2.0, share],
        val_background_explained=[-3.0, 0.125],
        val_pixel_retrieval=0.97,
    )
    metrics.to_csv(run_dir / 'metrics.csv', index=False)
    page = Texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'it ended at 3.5; a model to which all frames look alike has 4.14' in page.text
    assert f'the model explains {100 * share:.0f} % of what the mean picture' in page.text
    assert 'and 12 % of what the median of each video leaves over' in page.text
    assert ('needs more steps' in page.text) != enough


def test_the_choice_of_the_weight_is_shown(run_dir: Path, pictures: PretrainingPictures) -> None:
    (run_dir / 'tune').mkdir()
    runs = pd.DataFrame(
        {
            'contrastive_weight': [0.0, 0.03] * 2,
            'seed': [0, 0, 1, 1],
            'probe_px': [9.0, 7.0, 9.5, 7.25],
            'val_cls_retrieval': [0.2, 0.4, 0.2, 0.4],
            'val_reconstruction': [0.5, 0.6, 0.5, 0.6],
        }
    )
    compare(runs, own=0.0).to_csv(run_dir / 'tune' / 'tune.csv', index=False)
    page = Texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'Choice of the contrastive weight' in page.headings
    assert 'Two short runs, with different seeds' in page.text
    assert 'Its error of the probe, 7.12 px on held-out' in page.text
    assert 'is 2.1 px lower' in page.text and 'differ by 0.5 px at most.' in page.text
    html = (run_dir / 'report.html').read_text()
    assert html.count('<tr class="marked"><td class="number">0.03</td>') == 2


def test_the_choice_of_an_older_version_is_shown(
    run_dir: Path, pictures: PretrainingPictures
) -> None:
    (run_dir / 'tune').mkdir()
    pd.DataFrame(
        {
            'contrastive_weight': [0.0, 0.03],
            'epochs': [5, 5],
            'probe_px': [np.nan, np.nan],
            'val_cls_retrieval': [0.2, 0.4],
            'val_reconstruction': [0.5, 0.6],
            'chosen': [False, True],
        }
    ).to_csv(run_dir / 'tune' / 'tune.csv', index=False)
    page = Texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'by an older version' in page.text
    assert (
        '<tr class="marked"><td class="number">0.03</td>' in (run_dir / 'report.html').read_text()
    )


def test_tensorboard_gets_the_figures(run_dir: Path, pictures: PretrainingPictures) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (run_dir / 'tb_logs').mkdir()
    write_pretraining_report(run_dir, SUMMARY, pictures)
    events = EventAccumulator(str(run_dir / 'tb_logs'))
    events.Reload()
    assert {'training_curves', 'embedding_map', 'retrieval', 'anchors_02_007'} <= set(
        events.Tags()['images']
    )


def test_the_warnings_of_the_run_and_the_next_command_are_on_the_page(
    run_dir: Path, pictures: PretrainingPictures
) -> None:
    log = run_dir / 'train.log'
    log.write_text(
        '2026-11-29 10:00:00 INFO beast: all is well\n'
        '2026-11-29 10:00:01 WARNING beast: a <video> is damaged\n'
    )
    command = 'litpose train a.yaml \\\n    --overrides model.backbone=beast'
    page = Texts(write_pretraining_report(run_dir, SUMMARY, pictures, command))
    assert 'Warnings' in page.headings and 'a <video> is damaged' in page.text
    assert 'all is well' not in page.text and command in page.text
