"""Every page of ours in a headless Chromium, at the widths of a phone, a laptop and a desk.

The pictures of the pages go into the folder that BEAST_LP_SCREENSHOTS names, else into that of the
test.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from warm_litpose import Litpose

from beast_lp.reports.ensemble import curve_table, summary_table, write_comparison
from beast_lp.reports.review_page import write_review_page
from beast_lp.reports.segmentation import write_prediction_report
from beast_lp.segmentation.outputs import Prediction

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
# px
PHONE, LAPTOP, DESK = 390, 1100, 1600
NAMES = (
    'demo', 'pretraining', 'encoding', 'segmentation', 'several_runs', 'compare', 'predicted',
    'review',
)  # fmt: skip


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    """Return a headless Chromium."""
    if CHROMIUM is None:
        pytest.skip('no chromium on this machine')
    api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def pages(
    browser: Any,
    litpose: Litpose,
    tiny_pretraining: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, Path]:
    """Return one page of every kind, those of the stages from a tiny demo."""
    folder = tmp_path_factory.mktemp('pages')
    demo = folder / 'demo'
    litpose('beast_demo', '--tiny', '--output_dir', demo)
    runs = tiny_pretraining, demo / 'pretraining'
    litpose('pretrain', '--report', *runs, '--output_dir', folder / 'several_runs')
    draw = np.random.default_rng(0)
    (folder / 'compare').mkdir()
    errors = {name: draw.gamma(2, 2, (3, 40, 4)) for name in ('beast', 'random', 'resnet50')}
    spreads = {name: draw.gamma(2, 1, (40, 4)) for name in errors}
    compared = curve_table(errors, spreads), summary_table(errors, spreads)
    video = demo / 'project' / 'videos_test' / 'session_02.mp4'
    shares = draw.dirichlet(np.ones(3), 60)
    times = np.arange(60) / 25
    names = ('still', 'walk, fast', 'groom')
    prediction = Prediction('a <b>', video, names, shares, shares.argmax(1), 25.0, times)
    write_review_page(prediction, folder / 'review' / 'a.html')
    return {
        'demo': demo / 'index.html',
        **{
            stage: demo / stage / 'report.html'
            for stage in ('pretraining', 'encoding', 'segmentation')
        },
        'several_runs': folder / 'several_runs' / 'report.html',
        'compare': write_comparison(folder / 'compare', *compared, ['Three backbones.']),
        'predicted': write_prediction_report(folder / 'predicted', [prediction]),
        'review': folder / 'review' / 'a.html',
    }


@pytest.mark.parametrize('width', [PHONE, LAPTOP, DESK])
@pytest.mark.parametrize('name', NAMES)
def test_a_page_fits_its_window(
    browser: Any, pages: Mapping[str, Path], tmp_path: Path, name: str, width: int
) -> None:
    context = browser.new_context(offline=True, viewport={'width': width, 'height': 900})
    page = context.new_page()
    errors: list[str] = []
    page.on('console', lambda said: errors.append(said.text) if said.type == 'error' else None)
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.on('requestfailed', lambda request: errors.append(request.url))
    page.goto(pages[name].as_uri())
    folder = Path(os.environ.get('BEAST_LP_SCREENSHOTS') or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(folder / f'{name}_{width}.png'), full_page=True)
    overflow = page.evaluate('document.documentElement.scrollWidth - window.innerWidth')
    scrolled = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
        '.map(e => e.innerText.slice(0, 60))'
    )
    context.close()
    assert errors == [] and overflow <= 0
    # on a phone a table is scrolled; elsewhere it has to fit
    assert width == PHONE or scrolled == []


def test_a_curve_says_its_values_under_the_pointer(
    browser: Any, pages: Mapping[str, Path]
) -> None:
    context = browser.new_context(offline=True, viewport={'width': LAPTOP, 'height': 900})
    page = context.new_page()
    page.goto(pages['pretraining'].as_uri())
    strip = page.locator('svg rect').last
    strip.scroll_into_view_if_needed()
    box = strip.bounding_box()
    place = {'x': box['x'] + box['width'] / 2, 'y': box['y'] + box['height'] / 2}
    found = page.evaluate(
        '({x, y}) => document.elementFromPoint(x, y).querySelector("title").textContent', place
    )
    context.close()
    assert found.startswith('Throughput, epoch ') and '\nthroughput: ' in found
