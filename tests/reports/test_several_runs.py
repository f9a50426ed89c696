"""The page of several pretraining runs, its sentences and its curves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from beast_lp.errors import BeastError
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.reports.hover import hover_strips
from beast_lp.reports.page import draw_png
from beast_lp.reports.several_runs import write_several_runs
from beast_lp.reports.several_runs_content import ComparedRun, SeveralRuns
from beast_lp.reports.several_runs_curves import overlaid_curves
from beast_lp.reports.several_runs_read import check_runs
from beast_lp.reports.several_runs_verdict import compare_runs

ReadTexts = Callable[[Path], Any]


def make_run(name: str, probe: float = np.nan, seed: int = 0, **more: Any) -> ComparedRun:
    metrics = pd.DataFrame(
        {
            'epoch': [0, 1],
            'step': [10, 20],
            'seconds': [60.0, 60.0],
            'train_reconstruction': [0.9, 0.5],
            'val_background_explained': [-3.0, 0.25],
            'probe_px': [np.nan, probe],
            'probe_constant_px': [np.nan, 40.0],
            'probe_pixels_px': [np.nan, 9.0],
            'probe_random_px': [np.nan, 9.5],
        }
    )
    settings = {'beast': {'seed': seed, 'loss': {'weight': more.pop('weight', 0.0)}}}
    settings['videos'] = more.pop('videos', ['/data/a.mp4', '/data/b.mp4'])
    return ComparedRun(name, settings, metrics.assign(**more), epochs=2)


def sentences(*runs: ComparedRun) -> list[tuple[bool | None, str]]:
    return [(each.good, each.text) for each in compare_runs(runs)]


def test_one_run_of_each_names_the_better_and_does_not_believe_it() -> None:
    best, belief = sentences(make_run('a', 8.0), make_run('b', 6.0, weight=0.03))
    assert best == (
        True,
        'Your labelled keypoints are read best from b, to 6 px, against 8 px from a (25 % less '
        'error).',
    )
    assert belief[0] is None and belief[1].startswith('From one run of each it cannot be told')


def test_a_run_that_is_hardly_better_than_a_floor_is_bad_news() -> None:
    (good, text), _ = sentences(make_run('a', 12.0), make_run('b', 8.75, weight=0.03))
    assert not good and good is not None
    assert text.endswith('No run is clearly better than 16 x 16 grey pixels (9 px).')


@pytest.mark.parametrize(('second', 'more'), [(6.0, True), (7.75, False)])
def test_several_seeds_of_each_say_what_chance_does(second: float, more: bool) -> None:
    runs = [
        make_run('a0', 8.0),
        make_run('a1', 8.5, seed=1),
        make_run('b0', second, weight=0.03),
        make_run('b1', second + 0.25, seed=1, weight=0.03),
    ]
    good, text = sentences(*runs)[1]
    assert good == more
    assert 'lie up to 0.5 px apart' in text and ('no more than chance' in text) != more
    assert ('2.12 px' if more else '0.375 px') in text


def test_seeds_alone_show_chance_alone() -> None:
    _, (good, text) = sentences(make_run('a', 8.0), make_run('b', 6.0, seed=1))
    assert good is None and 'differ in nothing but their seed' in text


def test_runs_on_other_videos_are_not_taken_for_another_seed() -> None:
    _, (_, text) = sentences(make_run('a', 8.0), make_run('b', 6.0, 1, videos=['/data/c.mp4']))
    assert text.startswith('From one run of each')


def test_other_labels_or_none_give_no_winner() -> None:
    ((good, text),) = sentences(make_run('a', 8.0), make_run('b', 6.0, probe_constant_px=20.0))
    assert good is None and 'different labels' in text and '40 px and 20 px' in text
    ((good, text),) = sentences(make_run('a', 8.0), make_run('b'))
    assert good is None and '1 of the 2 runs has measured the probe' in text


def test_an_unfinished_run_is_named() -> None:
    run = make_run('a', 8.0)
    unfinished = ComparedRun('b', {'beast': {}}, run.metrics.assign(probe_px=7.0), epochs=9)
    assert '; not finished: b (epoch 2 of 9).' in sentences(run, unfinished)[0][1]


def test_the_page_shows_all_runs_side_by_side(tmp_path: Path, read_texts: ReadTexts) -> None:
    draw = np.random.default_rng(0)
    shots = draw.random((2, 3, 16, 16))
    runs = [
        ComparedRun(
            name,
            {
                'beast': {'seed': 0, 'loss': {'weight': weight}, 'image_size': [64, 64]},
                'videos': ['/data/a.mp4', f'/data/{name}.mp4'],
            },
            make_run('', 8.0).metrics,
            2,
            [f'{name} is <cut>'],
            f'../{name}/report.html',
            shots,
            {'CLS of this model': share},
        )
        for name, weight, share in (('left', 0.0, 0.5), ('right', 0.03, 0.75))
    ]
    page = write_several_runs(tmp_path / 'page', SeveralRuns(runs, shots, 4, 'left'))
    texts = read_texts(page)
    assert texts.headings == [
        'What came out',
        'Reconstruction of hidden patches',
        'Numbers side by side',
        'Curves',
        'Settings that differ',
        'Warnings',
        'The runs',
    ]
    html = page.read_text()
    assert '<h1>BEAST pretraining: left, right</h1>' in html and str(tmp_path) not in html
    assert '<td>beast.<wbr>loss.weight' not in html
    assert '<td>beast.loss.weight</td><td>0.0</td><td>0.03</td>' in html
    assert 'image_size' not in html
    assert 'Videos that all have in common: 1 (left 2, right 2).' in texts.text
    shares = '<td>50</td><td>75</td>'
    assert f'positives found by CLS of this model (%)</td>{shares}' in html
    assert 'by guessing (%)</td><td>14.3</td><td>14.3</td>' in html
    assert 'explained beyond each video&#39;s median (%)</td><td>25</td><td>25</td>' in html
    assert 'left: left is <cut>' in texts.text and 'href="../right/report.html"' in html
    assert texts.images == 2


def test_runs_without_frames_still_have_their_numbers(
    tmp_path: Path, read_texts: ReadTexts
) -> None:
    runs = [make_run('a', 8.0), make_run('b', 6.0)]
    texts = read_texts(write_several_runs(tmp_path / 'page', SeveralRuns(runs)))
    assert 'Nothing to show' in texts.text and 'positives found' not in texts.text
    assert 'No setting differs.' in texts.text and 'Warnings' not in texts.headings


def test_curves_lie_over_each_other_with_what_they_share(
    assert_well_drawn: Callable[[Figure], None],
) -> None:
    runs = {'_a': make_run('', 8.0).metrics, 'b': make_run('', 6.0).metrics.assign(step=[15, 30])}
    figure = overlaid_curves(runs)
    assert_well_drawn(figure)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ['_a', 'b']
    titles = [axes.get_title('left') for axes in figure.axes]
    assert titles == [
        'Keypoints from frozen features',
        "Explained beyond each video's median",
        'Reconstruction, training',
    ]
    probe, explained, training = figure.axes
    assert [text.get_text() for text in probe.texts] == [
        '16 x 16 grey pixels',
        'random weights of the same architecture',
    ]
    assert explained.get_ylim()[0] == -1
    np.testing.assert_array_equal(training.lines[1].get_xdata(), [15, 30])
    draw_png(figure)
    assert any('b: 6' in strip.text for strip in hover_strips(figure))


def test_levels_that_differ_are_not_drawn_as_one() -> None:
    other = make_run('', 6.0).metrics.assign(probe_pixels_px=5.0, probe_random_px=np.nan)
    probe = overlaid_curves({'a': make_run('', 8.0).metrics, 'b': other}).axes[0]
    assert [text.get_text() for text in probe.texts] == ['random weights of the same architecture']


def settle(directory: Path, text: str = 'beast: {}', metrics: bool = True) -> RunFiles:
    files = RunFiles(directory)
    directory.mkdir(parents=True)
    files.settings.write_text(text)
    if metrics:
        files.metrics.write_text('epoch\n0\n')
    return files


def test_what_is_no_run_or_would_be_overwritten_is_refused(tmp_path: Path) -> None:
    first, second = settle(tmp_path / 'a'), settle(tmp_path / 'b')
    new = tmp_path / 'new'
    check_runs([first, second], new)
    (tmp_path / 'empty').mkdir()
    encoding = settle(tmp_path / 'encoding', 'encoding: {}')
    begun = settle(tmp_path / 'begun', metrics=False)
    for files, words in (
        ([first], 'two or more'),
        ([first, RunFiles(tmp_path / 'b' / '..' / 'a')], 'twice'),
        ([first, RunFiles(tmp_path / 'empty')], 'empty is no pretraining run; give'),
        ([first, RunFiles(tmp_path / 'none')], 'none is no pretraining run; give'),
        ([first, encoding], 'encoding is no pretraining run; give'),
        ([first, begun], 'begun has not finished its first epoch'),
    ):
        with pytest.raises(BeastError, match=words):
            check_runs(files, new)
    (tmp_path / 'old').mkdir()
    (tmp_path / 'old' / 'report.html').touch()
    for taken in (tmp_path / 'a', tmp_path / 'old'):
        with pytest.raises(BeastError, match='would overwrite'):
            check_runs([first, second], taken)
