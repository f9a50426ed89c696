"""See and correct, for real: a predicted video in Chromium, a changed bout, training on it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from warm_litpose import Litpose

from beast_lp.reports.review_page import write_review_page
from beast_lp.segmentation.labelling import INDEPENDENT
from beast_lp.segmentation.one_hot import read_one_hot
from beast_lp.segmentation.outputs import Prediction

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
SECTION = 'beast.segmentation'


@pytest.fixture
def page() -> Iterator[Any]:
    """Return a page of a headless Chromium, without a network."""
    if CHROMIUM is None:
        pytest.skip('no chromium on this machine')
    api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    with api.sync_playwright() as playwright:
        flags = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        context = browser.new_context(accept_downloads=True, offline=True)
        yield context.new_page()
        browser.close()


def test_bouts_are_sorted_accepted_and_moved(
    tiny_project: Path,
    tmp_path: Path,
    page: Any,
) -> None:
    labels = np.repeat([0, 1, 0, 2], [20, 5, 15, 20])
    sure = np.repeat([0.9, 0.5, 0.8, 0.6], [20, 5, 15, 20])
    shares = np.tile((1 - sure[:, None]) / 2, (1, 3))
    shares[np.arange(60), labels] = sure
    video = tiny_project.parent / 'videos_test' / 'session_02.mp4'
    names, times = ('still', 'walk, fast', 'groom'), np.arange(60) / 25
    prediction = Prediction('a <b>', video, names, shares, labels, 25.0, times)
    write_review_page(prediction, tmp_path / 'review' / 'a.html')
    page.goto((tmp_path / 'review' / 'a.html').as_uri())
    rows = page.locator('#bouts tr')
    assert [text.split()[-1] for text in rows.all_inner_texts()] == [
        '0.50',
        '0.40',
        '0.20',
        '0.10',
    ]
    # frames 20 to 24: accepted
    page.keyboard.press('Enter')
    # the next is the grooming from frame 40 on; it begins two frames later, and is accepted
    page.keyboard.press('ArrowRight')
    page.keyboard.press('ArrowRight')
    page.keyboard.press('[')
    page.keyboard.press('Enter')
    # the bout before it, then from frame 25 to 41, is accepted up to its third frame
    page.locator('#bouts tr', has_text='1.000').click()
    page.keyboard.press('ArrowRight')
    page.keyboard.press('ArrowRight')
    page.keyboard.press(']')
    page.keyboard.press('2')
    with page.expect_download() as waiting:
        page.keyboard.press('s')
    waiting.value.save_as(tmp_path / 'saved.csv')
    saved = read_one_hot(tmp_path / 'saved.csv')
    assert saved.classes == ('background', *names)
    wanted = np.full(60, -1)
    wanted[20:28], wanted[42:] = 2, 3
    np.testing.assert_array_equal(saved.target, wanted)


def test_behaviours_at_once_have_rows_of_their_own(tmp_path: Path, page: Any) -> None:
    shown = np.zeros((60, 2), dtype=bool)
    shown[10:40, 0] = shown[30:50, 1] = True
    shares = np.where(shown, 0.9, 0.05)
    # the grooming from frame 30 on is the least certain bout
    shares[30:50, 1] = 0.6
    codes, times = INDEPENDENT.from_flags(shown), np.arange(60) / 25
    names, video = ('walk', 'groom'), tmp_path / 'a.mp4'
    prediction = Prediction('a', video, names, shares, codes, 25.0, times, labelling=INDEPENDENT)
    write_review_page(prediction, tmp_path / 'review' / 'a.html')
    problems: list[str] = []
    page.on('pageerror', lambda error: problems.append(str(error)))
    page.goto((tmp_path / 'review' / 'a.html').as_uri())
    rows = page.locator('#bouts tr').all_inner_texts()
    assert len(rows) == 6 and rows[0].split() == ['groom', '1.200', '20', '0.40']
    assert sum(row.startswith('no ') for row in rows) == 4
    # it ends with frame 44, and walking goes on as long: the row of groom is chosen still
    page.evaluate('seek(44)')
    page.keyboard.press(']')
    page.keyboard.press('1')
    assert page.evaluate('[bouts[now].t, bouts[now].a, bouts[now].b]') == [1, 30, 45]
    page.keyboard.press('Enter')
    # nothing is left of a change that is undone
    page.keyboard.press('2')
    page.keyboard.press('u')
    # the frames in which neither is shown, up to frame 9
    page.evaluate('choose(boutAt(0, 0))')
    page.keyboard.press('Enter')
    box = page.locator('#timeline').bounding_box()
    page.mouse.click(box['x'] + box['width'] * 0.5, box['y'] + 30)
    assert page.evaluate('bouts[now].t') == 1
    page.screenshot(path=tmp_path / 'page.png', full_page=True)
    with page.expect_download() as waiting:
        page.keyboard.press('s')
    waiting.value.save_as(tmp_path / 'saved.csv')
    assert not problems
    saved = read_one_hot(tmp_path / 'saved.csv', INDEPENDENT)
    assert saved.classes == ('background', *names)
    wanted = np.full(60, -1)
    # background alone, or both behaviours
    wanted[:10], wanted[30:45] = 1, 6
    np.testing.assert_array_equal(saved.target, wanted)


def test_a_bout_is_changed_saved_and_trained_on(
    litpose: Litpose,
    tiny_project: Path,
    tiny_pretraining: Path,
    tmp_path: Path,
    page: Any,
) -> None:
    quick = [
        f'{SECTION}.source="{tiny_pretraining}"',
        f'{SECTION}.fitting.epochs=2',
        f'{SECTION}.fitting.ensemble=1',
    ]
    run, out = tmp_path / 'run', tmp_path / 'predicted'
    chosen = [*quick, f'{SECTION}.split.test_videos=videos_test']
    litpose('segment', 'train', tiny_project, '--output_dir', run, '--overrides', *chosen)
    video = tiny_project.parent / 'videos_test' / 'session_02.mp4'
    command = ['segment', 'predict', tiny_project, '--model_dir', run, '--output_dir', out]
    litpose(*command, '--videos', video, '--overrides', f'{SECTION}.fps=1000')
    assert (out / 'boris' / 'session_02.boris').is_file()
    predicted = read_one_hot(out / 'session_02_labels.csv')
    bouts = pd.read_csv(out / 'bouts.csv')
    assert bouts['stop_s'].iloc[-1] == pytest.approx(0.06)

    problems: list[str] = []
    page.on('pageerror', lambda error: problems.append(str(error)))
    page.goto((out / 'review' / 'session_02.html').as_uri())
    page.wait_for_function("document.getElementById('video').readyState >= 1", timeout=30_000)
    assert page.evaluate("document.getElementById('video').duration") == pytest.approx(2.4, 0.05)
    # the least certain bout is first; it becomes the third class
    first = page.evaluate('[bouts[0].a, bouts[0].b, Math.max(...bouts.map(x => x.doubt))]')
    assert page.evaluate('bouts[0].doubt') == first[2]
    start, stop = int(first[0]), int(first[1])
    page.keyboard.press('3')
    assert not page.evaluate('bouts[0].seen') or len(bouts) == 1
    # nothing is left of a change that is undone
    page.keyboard.press('1')
    page.keyboard.press('u')
    page.screenshot(path=tmp_path / 'page.png')
    with page.expect_download() as waiting:
        page.keyboard.press('s')
    labels = tmp_path / 'labels'
    labels.mkdir()
    assert waiting.value.suggested_filename == 'session_02.csv'
    waiting.value.save_as(labels / 'session_02.csv')
    assert not problems
    saved = read_one_hot(labels / 'session_02.csv')
    assert saved.classes == predicted.classes
    wanted = np.full(60, -1)
    wanted[start:stop] = saved.classes.index(page.evaluate('D.classes[2]'))
    np.testing.assert_array_equal(saved.target, wanted)

    # the other video has all classes; the corrected one is trained on beside it
    source = tiny_project.parent / 'behavior' / 'session_01.csv'
    shutil.copy(source, labels / 'session_01.csv')
    more = [*quick, f'{SECTION}.labels="{labels}"', f'{SECTION}.split.by=none']
    more.append(f'{SECTION}.split.test_videos=null')
    more.append(f'{SECTION}.videos=["{video}","{tiny_project.parent / "videos"}"]')
    again = tmp_path / 'again'
    litpose('segment', 'train', tiny_project, '--output_dir', again, '--overrides', *more)
    described = json.loads((again / 'segmenter.json').read_text())
    assert len(described['trained_on']) == 2 and (again / 'report.html').is_file()
