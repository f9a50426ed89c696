"""Tests of the sections about videos and their anchors."""

import dataclasses
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from beast_lp.reports.anchor_sheets import contact_sheet
from beast_lp.reports.page import draw_png
from beast_lp.reports.pretraining import write_pretraining_report
from beast_lp.reports.pretraining_content import PretrainingPictures

SUMMARY = {'initial weights': 'facebook/vit-mae-base', 'time': '3 h & 12 min'}
ReadTexts = Callable[[Path], Any]
DrawSheet = Callable[[int], tuple[np.ndarray, list[str]]]


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
    run_dir: Path, pictures: PretrainingPictures, read_texts: ReadTexts, sheet: DrawSheet
) -> None:
    sheets = {'007': sheet(9), 'x/1.mp4': sheet(2), 'y/1.mp4': sheet(0)}
    many = dataclasses.replace(pictures, anchor_sheets=sheets)
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, many))
    assert 'Only 2 of the 3 videos with anchors are shown here.' in page.text
    assert page.headings[-1] == 'Anchors'
    assert '007 (9 of 40)' in page.text
    assert 'x/1.mp4 (2, none of them in anchors.csv)' in page.text


def test_the_full_sheets_are_files_that_the_page_links_to(
    run_dir: Path, pictures: PretrainingPictures
) -> None:
    html = write_pretraining_report(run_dir, SUMMARY, pictures).read_text()
    for name in ('figures/anchors_01_a_1_.jpg', 'figures/anchors_02_007.jpg'):
        assert f'href="{name}"' in html
        with Image.open(run_dir / name) as picture:
            expected = draw_png(contact_sheet(*pictures.anchor_sheets['007']))
            if '007' in name:
                assert picture.size == Image.open(io.BytesIO(expected)).size


def test_the_sheet_of_a_single_video_is_in_the_page(
    run_dir: Path, pictures: PretrainingPictures, read_texts: ReadTexts, sheet: DrawSheet
) -> None:
    anchors = pd.read_csv(run_dir / 'anchors.csv', dtype=str)
    anchors[anchors['video'] == '007'].to_csv(run_dir / 'anchors.csv', index=False)
    one = dataclasses.replace(pictures, anchor_sheets={'007': sheet(2)})
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, one))
    assert page.headings[-1] == 'Anchors: 007'
    assert 'Anchors shown: 2 of 40.' in page.text
    assert (run_dir / 'figures' / 'anchors_01_007.png').is_file()
    assert not list((run_dir / 'figures').glob('*.jpg'))


def test_sheets_of_an_earlier_run_go_away(run_dir: Path, pictures: PretrainingPictures) -> None:
    folder = run_dir / 'figures'
    folder.mkdir()
    for name in ('anchors_01_old.png', 'anchors_100_old.jpg', 'anchors_mine.png', 'poster.png'):
        (folder / name).write_bytes(b'old')
    write_pretraining_report(run_dir, SUMMARY, pictures)
    names = {file.name for file in folder.iterdir()}
    assert not {'anchors_01_old.png', 'anchors_100_old.jpg'} & names
    assert {'anchors_mine.png', 'poster.png', 'anchors_01_a_1_.jpg'} <= names


def grain(*shape: int) -> np.ndarray:
    """Return pictures with the grain of a camera, which compresses worst, on a soft arena."""
    draw = np.random.default_rng(0)
    light = 100 + 80 * np.sin(np.linspace(0, 3, shape[2]))[:, None]
    return np.clip(light + draw.normal(0, 8, shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(('videos', 'limit'), [(1, 2e6), (100, 10e6)])
def test_a_page_is_light_however_many_videos_there_are(
    run_dir: Path, videos: int, limit: float
) -> None:
    names = [f'{number:03d}.mp4' for number in range(videos)]
    # what beast_lp.reports.pretraining_run draws, at the size of the largest preset
    shots = grain(12, 224, 224, 3).transpose(0, 3, 1, 2) / 255
    draw = np.random.default_rng(0)
    # files beside the page do not count, so the sheets of many videos are short
    anchors = grain(32 if videos == 1 else 8, 135, 180, 3)
    content = PretrainingPictures(
        anchor_sheets={
            name: (anchors, [f'frame {i}' for i in range(len(anchors))]) for name in names
        },
        originals=shots[:6],
        masked=shots[:6],
        reconstructed=shots[:6],
        snapshots={epoch: (255 * shots[:6]).astype(np.uint8) for epoch in range(1, 9)},
        retrieval_anchors=shots,
        retrieval_nearest=shots,
        retrieval_correct=np.ones(12, bool),
        retrieval_captions=['a'] * 12,
        retrieval_shares={},
        retrieval_pairs=32,
        embeddings=draw.normal(size=(1000, 8)),
        embedding_video=[names[i % videos] for i in range(1000)],
        embedding_time=draw.random(1000),
    )
    frames = pd.DataFrame({'video': names, 'frame': 1, 'status': 'ok', 'frames_read': 90_000})
    frames.to_csv(run_dir / 'videos.csv', index=False)
    frames.to_csv(run_dir / 'anchors.csv', index=False)
    epochs = np.arange(300)
    metrics = {f'{part}_{name}': 1 / (1 + epochs) for part in ('train', 'val') for name in 'abc'}
    pd.DataFrame({'epoch': epochs, **metrics}).to_csv(run_dir / 'metrics.csv', index=False)
    page = write_pretraining_report(run_dir, SUMMARY, content)
    assert page.stat().st_size < limit
    sheets = list((run_dir / 'figures').glob('anchors_*.jpg'))
    assert len(sheets) == (videos if videos > 1 else 0)
