"""Tests of the tables that the pretraining report reads."""

from pathlib import Path

import pytest

from beast_lp.errors import BeastError
from beast_lp.reports.pretraining import write_pretraining_report
from beast_lp.reports.pretraining_content import PretrainingPictures, read_table

SUMMARY = {'initial weights': 'facebook/vit-mae-base', 'time': '3 h & 12 min'}


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
