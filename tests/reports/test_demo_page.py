"""The page of the demo."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.encoding.tables import DRIFT
from beast_lp.reports.demo_page import DemoContent, demo_sections
from beast_lp.reports.labelled_frames import labelled_frames
from beast_lp.reports.page import write_page
from beast_lp.segmentation.evaluate import ENSEMBLE
from beast_lp.segmentation.floors import COMMONEST, LOGISTIC


def content(**changes: Any) -> DemoContent:
    metrics = pd.DataFrame(
        {
            'epoch': [0],
            'val_background_explained': [0.5],
            'probe_px': [27.0],
            'probe_random_px': [28.0],
            'probe_pixels_px': [26.0],
        }
    )
    errors = pd.DataFrame(
        {
            'frames': ['8 of the training videos', '2 of the held-out video'],
            'model_px': [1.0, 14.25],
            'constant_px': [40.0, 39.5],
        }
    )
    comparison = pd.DataFrame(
        {
            'source': ['beast', 'beast', 'frame_pca', DRIFT],
            'encoder': ['rrr', 'ridge', 'ridge', 'ridge'],
            'score': [0.055, 0.02, 0.0375, -0.01],
            'bps_pooled': [0.055, 0.02, 0.0375, -0.01],
            'drift': -0.01,
            'verdict': '',
        }
    )
    scores = pd.DataFrame(
        {'model': [COMMONEST, LOGISTIC, 'model 0', ENSEMBLE], 'macro_f1': [0.1, 0.4, 0.7, 0.875]}
    )
    values = {
        'metrics': metrics,
        'errors': errors,
        'comparison': comparison,
        'scores': scores,
        'seconds': {'pose': 60.4, 'behaviour': 30.0},
    }
    return DemoContent(**values | changes)


def test_every_head_has_a_verdict_with_its_floor(tmp_path: Path) -> None:
    first, *others = demo_sections(content(warnings=['encoding: a clock drifts']))
    assert list(first.findings) == [
        (True, "Pretraining: explained in hidden patches 50 %, better than each video's median "
         'picture (0 %).'),
        (None, 'Pretraining: error of keypoints read from frozen features 27 px, hardly better '
         'than random weights of the same architecture (28 px).'),
        (False, 'Pretraining: error of keypoints read from frozen features 27 px, no better than '
         '16 x 16 grey pixels (26 px).'),
        (True, 'Pose: error of keypoints in the held-out video 14.2 px, better than a constant '
         'prediction (39.5 px).'),
        (True, 'Neurons: prediction from the features 0.055 bits per spike, better than a '
         'constant rate (0 bits per spike).'),
        (True, 'Neurons: prediction from the features 0.055 bits per spike, better than the '
         'frame PCA (0.0375 bits per spike).'),
        (True, 'Behaviour: macro-F1 in the held-out video 0.875, better than logistic regression '
         '(0.4).'),
    ]  # fmt: skip
    titles = [section.title for section in others]
    assert titles == ['Warnings', 'Pretraining', 'Pose', 'Neural encoding', 'Behaviour', 'Time']
    times = others[-1].table
    assert times is not None and times.to_numpy().tolist() == [
        ['pose', 60],
        ['behaviour', 30],
        ['all', 90],
    ]


def test_what_was_not_measured_is_left_out() -> None:
    bare = content(
        metrics=pd.DataFrame({'epoch': [0]}),
        scores=pd.DataFrame({'model': [ENSEMBLE], 'macro_f1': [0.5]}),
    )
    heads = [text.partition(':')[0] for _, text in next(iter(demo_sections(bare))).findings]
    assert heads == ['Pose', 'Neurons', 'Neurons']


def test_the_page_shows_the_animal(tmp_path: Path) -> None:
    pictures = {}
    for name in ('reconstructions', 'rasters', 'ethogram'):
        file = tmp_path / 'stage' / f'{name}.png'
        file.parent.mkdir(exist_ok=True)
        Image.new('RGB', (300, 200), 'green').save(file)
        pictures[name] = [file]
    draw = np.random.default_rng(0)
    drawing = labelled_frames(
        list(draw.integers(0, 256, (2, 30, 40, 3), np.uint8)),
        draw.uniform(0, 30, (2, 3, 2)),
        draw.uniform(0, 30, (2, 3, 2)),
    )
    page = tmp_path / 'index.html'
    write_page(page, 'Demo', demo_sections(content(pictures=pictures, labelled=drawing)))
    html = page.read_text()
    sizes = re.findall(r'alt="([^"]*)" src="data:image/(\w+);[^"]*" width="(\d+)"', html)
    assert [(title, kind) for title, kind, _ in sizes] == [
        ('Pretraining', 'webp'),
        ('Pose', 'webp'),
        ('Neural encoding', 'webp'),
        ('Behaviour', 'webp'),
    ]
    assert [width for *_, width in sizes].count('300') == 3


def test_labels_and_predictions_are_where_they_are(assert_well_drawn: Any) -> None:
    pictures = np.full((2, 30, 40, 3), 99, np.uint8)
    truth = np.array([[[10.0, 20.0], [np.nan, np.nan]], [[5.0, 6.0], [7.0, 8.0]]])
    predicted = np.array([[[13.0, 24.0], [1.0, 2.0]], [[5.0, 6.0], [7.0, 10.0]]])
    figure = labelled_frames(list(pictures), truth, predicted)
    assert_well_drawn(figure)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ['mean error 5 px', 'mean error 1 px']
    labels, guesses = (np.stack(line.get_data(), -1) for line in figure.axes[0].lines[-2:])
    np.testing.assert_array_equal(labels, truth[0])
    np.testing.assert_array_equal(guesses, predicted[0])
    assert isinstance(figure, Figure) and figure.axes[0].get_ylim() == pytest.approx((29.5, -0.5))
