"""Tests of the pretraining report."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from beast_lp.reports.pretraining import write_pretraining_report
from beast_lp.reports.pretraining_content import PretrainingPictures

SUMMARY = {'initial weights': 'facebook/vit-mae-base', 'time': '3 h & 12 min'}
ReadTexts = Callable[[Path], Any]
DrawSheet = Callable[[int], tuple[np.ndarray, list[str]]]


def test_report_shows_all_parts_in_order(
    run_dir: Path, pictures: PretrainingPictures, read_texts: ReadTexts
) -> None:
    path = write_pretraining_report(run_dir, SUMMARY, pictures)
    assert path == run_dir / 'report.html'
    page = read_texts(path)
    assert page.headings == [
        'What came out',
        'The words of this page',
        'Reconstruction of hidden patches',
        'Reconstruction over the epochs',
        'Retrieval of the neighbouring frame',
        'Map of the frames',
        'Training curves',
        'Videos',
        'What was run',
        'Anchors',
    ]
    assert page.images == 6
    assert 'are shown here' not in page.text
    for text in (*SUMMARY, *SUMMARY.values()):
        assert text in page.text
    # of the frames with hidden patches there is a curve; one number of a name stands on the page
    assert '62.5' not in page.text
    assert 'among 4 pairs (chance: 14.3 %)' in page.text
    html = path.read_text()
    assert '<td>16 x 16 grey pixels</td><td class="number">100</td>' in html
    numbers = '<td class="number">14.3</td><td class="number">4</td>'
    assert f'<td>guessing (chance)</td>{numbers}' in html
    assert 'a <1>.mp4 (3 of 3)' in page.text
    assert '007 (2 of 40)' in page.text


def test_every_figure_is_a_file_of_its_own(run_dir: Path, pictures: PretrainingPictures) -> None:
    write_pretraining_report(run_dir, SUMMARY, pictures)
    files = sorted((run_dir / 'figures').iterdir())
    assert [file.name for file in files] == [
        'anchors.png', 'anchors_01_a_1_.jpg', 'anchors_02_007.jpg', 'embedding_map.png',
        'reconstructions.png', 'reconstructions_over_epochs.png', 'retrieval.png',
        'training_curves.png',
    ]  # fmt: skip
    for file in files:
        assert np.asarray(Image.open(file)).std() > 1


def test_parts_without_data_say_so(
    run_dir: Path, pictures: PretrainingPictures, read_texts: ReadTexts, sheet: DrawSheet
) -> None:
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
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, empty))
    assert page.images == 1
    assert page.text.count('Nothing to show') == 3
    assert 'Videos' in page.headings and not any('Anchors' in name for name in page.headings)


def test_retrieval_that_was_not_measured_is_not_invented(
    run_dir: Path, pictures: PretrainingPictures, read_texts: ReadTexts
) -> None:
    metrics = pd.read_csv(run_dir / 'metrics.csv').assign(val_retrieval=np.nan)
    metrics.to_csv(run_dir / 'metrics.csv', index=False)
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'not recorded' not in page.text and 'nan' not in page.text


def test_tensorboard_gets_the_figures(run_dir: Path, pictures: PretrainingPictures) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (run_dir / 'tb_logs').mkdir()
    write_pretraining_report(run_dir, SUMMARY, pictures)
    events = EventAccumulator(str(run_dir / 'tb_logs'))
    events.Reload()
    assert {'training_curves', 'embedding_map', 'retrieval', 'anchors'} <= set(
        events.Tags()['images']
    )


def test_the_warnings_of_the_run_and_the_next_command_are_on_the_page(
    run_dir: Path, pictures: PretrainingPictures, read_texts: ReadTexts
) -> None:
    log = run_dir / 'train.log'
    log.write_text(
        '2026-11-29 10:00:00 INFO beast: all is well\n'
        '2026-11-29 10:00:01 WARNING beast: a <video> is damaged\n'
    )
    command = 'litpose train a.yaml \\\n    --overrides model.backbone=beast'
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, pictures, command))
    assert 'Warnings' in page.headings and 'a <video> is damaged' in page.text
    assert 'all is well' not in page.text and command in page.text
