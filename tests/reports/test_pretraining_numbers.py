"""Tests of the sections that come from the tables of a pretraining run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beast_lp.pretraining.tune import compare
from beast_lp.reports.pretraining import write_pretraining_report
from beast_lp.reports.pretraining_content import PretrainingPictures

SUMMARY = {'initial weights': 'facebook/vit-mae-base', 'time': '3 h & 12 min'}
ReadTexts = Callable[[Path], Any]


def test_the_probe_is_shown_where_it_was_measured(
    run_dir: Path, pictures: PretrainingPictures, read_texts: ReadTexts
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
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'Keypoints from frozen features' in page.headings
    assert 'At the end: 9.25 px. The best floor is a constant prediction with 40 px' in page.text
    assert 'the error here is 77 % lower' in page.text
    assert 'the last epoch, at which the probe was lowest' in page.text
    html = (run_dir / 'report.html').read_text()
    assert '>this run, before training</td><td class="number">15</td>' in html
    assert (run_dir / 'figures' / 'probe.png').is_file()


@pytest.mark.parametrize(('best', 'clear'), [(8.0, True), (9.9, False)])
def test_a_run_that_its_floors_beat_is_told_so(
    run_dir: Path, pictures: PretrainingPictures, best: float, clear: bool, read_texts: ReadTexts
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
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'no better than 16 x 16 grey pixels with 7.5 px' in page.text
    assert f'was lowest, {best:g} px, after epoch 8, whose weights are in' in page.text
    assert ('give that file to litpose embed' in page.text) == clear
    assert ('within the noise of the probe' in page.text) != clear
    assert 'before training' not in page.text
    for words in ('each feature scaled by itself', 'random weights of the same architecture'):
        assert words in page.text


@pytest.mark.parametrize(('share', 'enough'), [(0.42, True), (-0.3, False)])
def test_what_is_explained_and_chance_are_numbers_in_sentences(
    run_dir: Path, pictures: PretrainingPictures, share: float, enough: bool, read_texts: ReadTexts
) -> None:
    metrics = pd.read_csv(run_dir / 'metrics.csv').assign(
        val_contrastive=[3.9, 3.5],
        val_contrastive_chance=4.143,
        val_explained=[-2.0, share],
        val_background_explained=[-3.0, 0.125],
        val_pixel_retrieval=0.97,
    )
    metrics.to_csv(run_dir / 'metrics.csv', index=False)
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'it ended at 3.5; a model to which all frames look alike has 4.14' in page.text
    assert f'the model explains {100 * share:.0f} % of what differs from the mean' in page.text
    assert "and 12 % of what differs from each video's median picture" in page.text
    assert ('needs more steps' in page.text) != enough


def test_the_choice_of_the_weight_is_shown(
    run_dir: Path, pictures: PretrainingPictures, read_texts: ReadTexts
) -> None:
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
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'Choice of the contrastive weight' in page.headings
    assert 'Two short runs, with different seeds' in page.text
    assert 'Its error of the probe, 7.12 px on held-out' in page.text
    assert 'is 2.1 px lower' in page.text and 'differ by 0.5 px at most.' in page.text
    html = (run_dir / 'report.html').read_text()
    assert html.count('<tr class="marked"><td class="number">0.03</td>') == 2


def test_the_choice_of_an_older_version_is_shown(
    run_dir: Path, pictures: PretrainingPictures, read_texts: ReadTexts
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
    page = read_texts(write_pretraining_report(run_dir, SUMMARY, pictures))
    assert 'by an older version' in page.text
    assert (
        '<tr class="marked"><td class="number">0.03</td>' in (run_dir / 'report.html').read_text()
    )
