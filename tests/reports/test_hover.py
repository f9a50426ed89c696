"""Values of curves under the pointer."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.reports.hover import MAX_STRIPS, hover_strips
from beast_lp.reports.page import Section, draw_png, write_page
from beast_lp.reports.pretraining_curves import training_curves, tuning_panels

METRICS = pd.DataFrame(
    {
        'epoch': [0, 1, 2],
        'train_loss': [0.91234, 0.5, 0.25],
        'val_loss': [0.8, np.nan, 0.3],
        'val_retrieval': [0.25, 0.5, 0.625],
        'val_retrieval_chance': [0.125] * 3,
        'images_per_second': [100.0, 110.0, 120.0],
        'data_wait_share': [0.5, 0.25, 0.0],
    }
)


def drawn(figure: Figure) -> Figure:
    draw_png(figure)
    return figure


def test_every_panel_has_its_values_with_chance_and_the_second_ordinate() -> None:
    texts = [strip.text for strip in hover_strips(drawn(training_curves(METRICS)))]
    assert texts == [
        'Total loss, epoch 1\ntraining: 0.912\nvalidation: 0.8',
        'Total loss, epoch 2\ntraining: 0.5',
        'Total loss, epoch 3\ntraining: 0.25\nvalidation: 0.3',
        'Retrieval by the visible patches, epoch 1\nvalidation: 25 %\nchance: 12.5 %',
        'Retrieval by the visible patches, epoch 2\nvalidation: 50 %\nchance: 12.5 %',
        'Retrieval by the visible patches, epoch 3\nvalidation: 62.5 %\nchance: 12.5 %',
        'Throughput, epoch 1\nthroughput: 100\nwaiting for data: 50 %',
        'Throughput, epoch 2\nthroughput: 110\nwaiting for data: 25 %',
        'Throughput, epoch 3\nthroughput: 120\nwaiting for data: 0 %',
    ]


def test_strips_lie_over_their_points() -> None:
    figure = Figure(figsize=(4, 3), dpi=120)
    axes = figure.subplots()
    axes.plot([0, 1, 4], [1, 2, 3], 's', label='a', color='red', markersize=8, mew=0)
    axes.set_xlim(-1, 5)
    pixels = np.asarray(Image.open(io.BytesIO(draw_png(figure))).convert('RGB')).astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 50)
    strips = hover_strips(figure)
    assert [strip.text.splitlines()[0] for strip in strips] == ['0', '1', '4']
    covered = np.zeros_like(red)
    for strip in strips:
        part = red[strip.y : strip.y + strip.height, strip.x : strip.x + strip.width]
        # one square of 8 points, about 13 px
        assert 12**2 <= part.sum() <= 15**2
        covered[strip.y : strip.y + strip.height, strip.x : strip.x + strip.width] = True
    assert not red[~covered].any()


def test_long_curves_have_few_strips_with_both_ends() -> None:
    figure = Figure(dpi=120)
    figure.subplots().plot(np.arange(5000), np.arange(5000), label='steps')
    strips = hover_strips(drawn(figure))
    assert len(strips) == MAX_STRIPS
    assert strips[0].text == '0\nsteps: 0' and strips[-1].text == '4999\nsteps: 4999'


def test_lines_without_a_name_and_names_on_the_abscissa_have_none() -> None:
    figure = Figure(dpi=120)
    figure.subplots().plot([1, 2], [1, 2])
    assert hover_strips(drawn(figure)) == []
    runs = pd.DataFrame(
        {'contrastive_weight': [0.0, 0.03], 'chosen': [False, True], 'probe_px': [9.0, 7.0]}
    )
    assert hover_strips(drawn(tuning_panels(runs))) == []


def test_a_page_holds_the_values_and_stays_small(tmp_path: Path) -> None:
    epochs = np.arange(300)
    metrics = pd.DataFrame({'epoch': epochs})
    for name in ('loss', 'reconstruction', 'contrastive'):
        for part in ('train', 'val'):
            metrics[f'{part}_{name}'] = 1 / (1 + epochs)
    sizes = {}
    for name, figures in (('with', {'a': training_curves(metrics)}), ('without', {})):
        write_page(tmp_path / f'{name}.html', 'T', [Section('Curves', figures=figures)])
        sizes[name] = (tmp_path / f'{name}.html').stat().st_size
    page = (tmp_path / 'with.html').read_text()
    assert '<title>Total loss, epoch 1\ntraining: 1\nvalidation: 1</title>' in page
    strips = page[page.index('<svg') : page.index('</svg>')]
    assert strips.count('<rect') == 3 * MAX_STRIPS and len(strips) < 40_000
