"""The host's GUI, for real: a project, its dialog in a browser, training, inference, the list.

One start of the app serves all. The pictures that the test takes, at the widths of a phone, a
laptop and a desk, stay in its temporary folder, or in the one that `BEAST_LP_SCREENSHOTS` names.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from warm_litpose import Litpose

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
# quiet: nothing but the page of the app is fetched
FLAGS = (
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)
# s; far beyond what any step takes, so that a hang becomes a failure
PATIENCE = 900
PROJECT, MODEL = 'lab', 'first_model'
# px
SIZES = ((390, 844), (1100, 900), (1600, 900))
# where the test works
SIZE = {'width': 1500, 'height': 900}


class App:
    """The HTTP side of the app that the page uses."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        """Return the answer to a GET."""
        return self._answer(urllib.request.Request(f'{self.url}/app/v0/{path}'))

    def post(self, path: str, **body: Any) -> Any:
        """Return the answer to a POST of JSON."""
        return self._answer(
            urllib.request.Request(
                f'{self.url}/app/v0/{path}',
                json.dumps(body).encode(),
                {'Content-Type': 'application/json'},
            )
        )

    def _answer(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            pytest.fail(f'{request.full_url}: {error.read().decode()[-3000:]}')


def wait_for(what: str, done: Callable[[], bool], interval: float = 0.2) -> None:
    """Ask again and again, for a bounded time."""
    limit = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > limit:
            pytest.fail(f'{what} took more than {PATIENCE} s')
        time.sleep(interval)


@pytest.fixture
def project(tiny_project: Path, tmp_path: Path) -> Path:
    """Return the config of a copy of the tiny project, which the GUI then writes to."""
    folder = tmp_path / 'mein Käfig'
    shutil.copytree(tiny_project.parent, folder)
    cfg = yaml.safe_load(tiny_project.read_text(encoding='utf-8'))
    cfg['data']['data_dir'] = str(folder)
    cfg['eval']['save_vids_after_training'] = False
    path = folder / tiny_project.name
    path.write_text(yaml.safe_dump(cfg, allow_unicode=True), encoding='utf-8')
    return path


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """Start the GUI with a list of projects of its own, and end it."""
    programs = Path(sys.executable).parent
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    log = tmp_path / 'run_app.log'
    with log.open('wb') as output:
        server = subprocess.Popen(
            [programs / 'litpose', 'run_app', '--port', str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            start_new_session=True,
            env={
                **os.environ,
                'LP_IGNORE_UPGRADE': '1',
                'DO_NOT_TRACK': '1',
                'HF_HUB_OFFLINE': '1',
                'LP_SYSTEM_DIR': str(tmp_path / 'lightning-pose'),
                'PATH': f'{programs}{os.pathsep}{os.environ["PATH"]}',
            },
        )
    url = f'http://127.0.0.1:{port}'

    def answers() -> bool:
        if server.poll() is not None:
            pytest.fail(f'the app ended: {log.read_text()[-3000:]}')
        try:
            urllib.request.urlopen(url, timeout=60).close()
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    try:
        wait_for('the start of the app', answers)
        yield App(url)
    finally:
        # the whole session: the app's scheduler and a training are processes of their own
        os.killpg(server.pid, 15)
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


@pytest.fixture
def page() -> Iterator[Any]:
    """Return a page of a headless Chromium."""
    if CHROMIUM is None:
        pytest.skip('no chromium on this machine')
    api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser.new_page(viewport=SIZE)
        browser.close()


def take_pictures(page: Any, shots: Path, name: str) -> None:
    """Keep a picture of what a page shows now, at each width."""
    for width, height in SIZES:
        page.set_viewport_size({'width': width, 'height': height})
        page.screenshot(path=shots / f'gui_{name}_{width}.png', animations='disabled')
    page.set_viewport_size(SIZE)


def create_in_dialog(page: Any, url: str, shots: Path) -> None:
    """Fill in the dialog for a new model as a person does."""
    page.goto(f'{url}/project/{PROJECT}/models')
    page.get_by_role('button', name='New model').click()
    page.get_by_text('Regular model').click()
    page.locator('input[name=modelName]').fill(MODEL)
    page.get_by_role('button', name='resnet50', exact=True).click()
    page.locator('app-select a').filter(has_text='beast').click()
    take_pictures(page, shots, 'dialog')
    page.get_by_role('button', name='Next').click()
    page.get_by_role('button', name='CollectedData.csv').wait_for()
    page.locator('input[formcontrolname=trainProb]').fill('0.8')
    page.locator('input[formcontrolname=valProb]').fill('0.2')
    page.get_by_role('button', name='Next').click()
    page.locator('input[formcontrolname=epochs]').fill('5')
    page.locator('input[formcontrolname=labeledBatchSize]').fill('8')
    with page.expect_response('**/rpc/createTrainTask') as answer:
        page.get_by_role('button', name='Create').click()
    assert answer.value.json() == {'ok': True}


def test_the_gui_pretrains_trains_predicts_and_lists(
    page: Any,
    litpose: Litpose,
    project: Path,
    app: App,
    tmp_path: Path,
) -> None:
    shots = Path(os.environ.get('BEAST_LP_SCREENSHOTS', tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    folder = project.parent
    names = yaml.safe_load(project.read_text(encoding='utf-8'))['data']['keypoint_names']
    app.post(
        'rpc/CreateNewProject',
        projectKey=PROJECT,
        data_dir=str(folder),
        projectInfo={'keypoint_names': names, 'views': []},
    )
    litpose('pretrain', project, '--setup_gui', folder)

    create_in_dialog(page, app.url, shots)
    seen: list[dict[str, Any]] = []

    def trained() -> bool:
        (model,) = app.post('rpc/listModels', projectKey=PROJECT)['models']
        # none while the file is being written
        status = model['status'] or {'status': 'PENDING'}
        if not seen or seen[-1] != status:
            seen.append(status)
        return status['status'] in ('COMPLETED', 'FAILED')

    wait_for('training', trained)
    model = folder / 'models' / MODEL
    logs = [(model / f'train_{name}.log').read_text() for name in ('stdout', 'stderr')]
    assert seen[-1]['status'] == 'COMPLETED', logs[0][-3000:] + logs[1][-3000:]
    # pretraining's four epochs were counted before the five of the pose model
    totals = [status['progress']['total'] for status in seen if status.get('progress')]
    assert totals.index(4) < totals.index(5)
    assert (folder / 'beast' / 'report.html').is_file()
    cfg = yaml.safe_load((model / 'config.yaml').read_text())
    assert cfg['model']['backbone'] == 'beast'
    assert cfg['training']['optimizer'] == 'AdamW'

    task = app.post(
        'inference/task',
        projectKey=PROJECT,
        models=[MODEL],
        sessions=[],
        videoRelativePaths=['videos_test/session_02.mp4'],
    )['taskId']

    def status() -> dict[str, Any]:
        return app.get(f'inference/task/{task}')

    wait_for('inference', lambda: status()['status'] in ('COMPLETED', 'FAILED'))
    assert status()['status'] == 'COMPLETED' and not status()['error'], status()
    predicted = pd.read_csv(model / 'video_preds' / 'session_02.csv', header=[0, 1, 2])
    assert len(predicted) == 60

    page.goto(f'{app.url}/project/{PROJECT}/models')
    row = page.locator('tr').filter(has_text=MODEL)
    row.filter(has_text='COMPLETED').wait_for()
    row.click()
    page.get_by_text('backbone: beast').wait_for()
    take_pictures(page, shots, 'models')
    page.get_by_role('tab', name='Logs').click()
    page.get_by_text('beast: the pretraining stage is in').wait_for()
    take_pictures(page, shots, 'logs')
