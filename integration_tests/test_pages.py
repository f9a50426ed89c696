"""Every page of ours in a headless Chromium, at the widths of a phone, a laptop and a desk.

The pictures of the pages go into the folder that BEAST_LP_SCREENSHOTS names, else into that of the
test. The site is the one in the folder that BEAST_LP_SITE names, as `.ci/run` builds it.
"""

import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import markdown
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
    'review', 'readme',
)  # fmt: skip
# those of the site with tables, pictures or long lines of code
GUIDES = (
    'index', 'results', 'files', 'which_settings', 'scaling', 'authors_checkpoints', 'developing',
    'in_other_tools',
)  # fmt: skip
README = Path(__file__).parents[1] / 'README.md'
# as a code host shows it: a column of 1012 px at most, tables and code that are scrolled if they
# are wider
README_PAGE = """<!doctype html><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<style>
body {{ max-width: 1012px; margin: auto; padding: 32px; font: 16px/1.5 sans-serif; }}
img {{ max-width: 100%; }}
pre, code {{ background: #f0f1f2; font: 13.6px/1.45 monospace; }}
pre, table {{ display: block; overflow: auto; max-width: 100%; }}
pre {{ padding: 16px; }}
th, td {{ border: 1px solid #d1d9e0; padding: 6px 13px; }}
table {{ border-collapse: collapse; }}
</style>
{}"""
# what is wider than its place, and is therefore scrolled sideways
SCROLLED = """
[...document.querySelectorAll('.scroll, table, pre, pre > code, .md-typeset__scrollwrap')]
.filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText.slice(0, 60))"""
BROKEN = '[...document.images].filter(e => !(e.complete && e.naturalWidth)).map(e => e.src)'


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
    readme = markdown.markdown(README.read_text('utf-8'), extensions=['tables', 'fenced_code'])
    base = f'<base href="{README.as_uri()}">'
    (folder / 'readme.html').write_text(README_PAGE.format(base + readme), encoding='utf-8')
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
        'readme': folder / 'readme.html',
    }


@pytest.fixture(scope='module')
def site() -> Iterator[str]:
    """Return the address of the site, served to this machine alone."""
    folder = os.environ.get('BEAST_LP_SITE')
    if not folder:
        pytest.skip('BEAST_LP_SITE names no folder with the built site')
    handler = partial(_Quiet, directory=folder)
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize('width', [PHONE, LAPTOP, DESK])
@pytest.mark.parametrize('name', NAMES)
def test_a_page_fits_its_window(
    browser: Any, pages: Mapping[str, Path], tmp_path: Path, name: str, width: int
) -> None:
    look_at(browser, pages[name].as_uri(), name, width, tmp_path)


@pytest.mark.parametrize('width', [PHONE, LAPTOP, DESK])
@pytest.mark.parametrize('name', GUIDES)
def test_a_guide_fits_its_window(
    browser: Any, site: str, tmp_path: Path, name: str, width: int
) -> None:
    address = f'{site}/' if name == 'index' else f'{site}/{name}/'
    look_at(browser, address, f'guide_{name}', width, tmp_path)


def look_at(browser: Any, address: str, name: str, width: int, own: Path) -> None:
    """Keep a picture of a page, on which nothing may be broken or wider than its place.

    Args:
        browser: a headless Chromium.
        address: URL of the page, of a file or of this machine.
        name: name of the picture.
        width: width of the window, px.
        own: folder of the picture where BEAST_LP_SCREENSHOTS names none.
    """
    context = browser.new_context(viewport={'width': width, 'height': 900})
    # a page needs nothing from elsewhere
    context.route('**/*', lambda route: _stay_here(route, address))
    page = context.new_page()
    errors: list[str] = []
    page.on('console', lambda said: errors.append(said.text) if said.type == 'error' else None)
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.on('requestfailed', lambda request: errors.append(request.url))
    page.goto(address, wait_until='networkidle')
    folder = Path(os.environ.get('BEAST_LP_SCREENSHOTS') or own)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(folder / f'{name}_{width}.png'), full_page=True)
    overflow = page.evaluate('document.documentElement.scrollWidth - window.innerWidth')
    broken, scrolled = page.evaluate(BROKEN), page.evaluate(SCROLLED)
    context.close()
    assert errors == [] and broken == [] and overflow <= 0
    # on a phone tables and code are scrolled; elsewhere they have to fit
    assert width == PHONE or scrolled == []


def _stay_here(route: Any, address: str) -> None:
    """Let a request through if it is for the place that the page comes from."""
    own = address.split('/')[:3]
    if route.request.url.split('/')[:3] == own:
        route.continue_()
    else:
        route.abort()


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
