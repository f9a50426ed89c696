"""Tests of the sections about videos and their anchors."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beast_lp.reports.pretraining import write_pretraining_report
from beast_lp.reports.pretraining_content import PretrainingPictures

SUMMARY = {'initial weights': 'facebook/vit-mae-base', 'time': '3 h & 12 min'}
ReadTexts = Callable[[Path], Any]


def sheet(count: int, height: int = 12, width: int = 16) -> tuple[np.ndarray, list[str]]:
    images = np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)
    return images, [f'frame {index}' for index in range(count)]


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


def test_videos_without_a_sheet_are_counted(
    run_dir: Path, pictures: PretrainingPictures, read_texts: ReadTexts
) -> None:
    sheets = {'007': sheet(9), 'x/1.mp4': sheet(2), 'y/1.mp4': sheet(0)}
    many = dataclasses.replace(pictures, anchor_sheets=sheets)
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, many))
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
