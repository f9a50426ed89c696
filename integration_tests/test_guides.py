"""Every command of the README and of every page in `beast_lp/guides` runs as it is written.

Each page is followed in a folder of its own with the files that the page names; how small
everything is lies in these files. Blocks marked `bash` are run. Those marked `console` are
not, and are listed here.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from measures import NO_GPU
from transformers import ViTModel

from beast_lp.config import parse_config

ROOT = Path(__file__).parents[1]
GUIDES = ROOT / 'beast_lp' / 'guides'
FIRST = 'existing_project.md'
# its commands are those of the tests and tools themselves
FOR_DEVELOPERS = GUIDES / 'developing.md'
RESULTS = ' '.join((GUIDES / 'results.md').read_text(encoding='utf-8').replace('\\\n', '').split())

# pages without a command to follow, and why
NO_COMMANDS = {
    'index.md': 'a table of contents',
    'limits.md': 'no job is done there',
    'results.md': 'benchmarks of minutes to hours; that they exist is tested below',
    'scaling.md': 'arithmetic; cluster.md has the commands',
}
# what cannot run here, by the first words of each command: a server that does not end (the test of
# the GUI starts it), a Slurm cluster, several machines, weights and updates from the network, ten
# pretrainings of 1,500 steps
NOT_RUN = {
    'gui.md': ['litpose run_app'],
    'files.md': ['tensorboard --logdir'],
    'install.md': ['git -C beast_lp pull', 'hf download facebook/vit-mae-base'],
    'which_settings.md': ['litpose pretrain my_config.yaml --output_dir my_tuned_backbone'],
    'cluster.md': [
        'python -m beast_lp.host.launch',
        'python -m beast_lp.host.launch',
        'torchrun --nnodes 4',
    ],
    'authors_checkpoints.md': ['litpose train my_config.yaml --output_dir my_released_model'],
    'comparing_backbones.md': 2 * ['python -m beast_lp.host.launch'],
}
# some commands start two processes, which want two GPUs or none
OFFLINE = {**os.environ, **NO_GPU, 'HF_HUB_OFFLINE': '1', 'OMP_NUM_THREADS': '1'}


def text_of(page: str) -> str:
    """Return the text of a page, or of the README."""
    folder = ROOT if page == 'README.md' else GUIDES
    return (folder / page).read_text(encoding='utf-8')


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a page that are marked with a language."""
    return re.findall(rf'^```{language}\n(.*?)^```$', text_of(page), re.MULTILINE | re.DOTALL)


def run(block: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run a block of commands in a folder, and return what it prints."""
    result = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', block],
        cwd=folder,
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment},
    )
    assert result.returncode == 0, f'{block}\n{result.stdout[-4000:]}'
    return result.stdout


def follow(page: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run the commands of a page in a folder, and return what they print."""
    programs = Path(sys.executable).parent
    environment = environment or {
        **OFFLINE,
        'PATH': f'{programs}{os.pathsep}{os.environ["PATH"]}',
    }
    return ''.join(run(block, folder, environment) for block in blocks(page, 'bash'))


@pytest.fixture(scope='module')
def start(tiny_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what a person has before the first page."""
    folder = tmp_path_factory.mktemp('guides') / 'start'
    project = tiny_project.parent
    shutil.copytree(ROOT / 'configs', folder / 'configs')
    (folder / 'my_project').mkdir()
    (folder / 'my_project' / 'project.yaml').write_text('keypoint_names: [nose]\nview_names: []\n')
    shutil.copy(project / 'videos_test' / 'session_02.mp4', folder / 'new_video.mp4')
    shutil.copy(project / 'CollectedData_new.csv', folder)
    cfg = yaml.safe_load(tiny_project.read_text(encoding='utf-8'))
    # pages train a little only, and no videos are drawn
    cfg['eval'].update(predict_vids_after_training=False, save_vids_after_training=False)
    cfg['model']['backbone'] = 'resnet50'
    (folder / 'my_config.yaml').write_text(yaml.safe_dump(cfg), encoding='utf-8')
    return folder


@pytest.fixture(scope='module')
def followed(start: Path) -> Path:
    """Return the folder after the first page, which makes a backbone and a model."""
    folder = start.with_name('followed')
    shutil.copytree(start, folder)
    assert 'loaded 70 of 70 encoder tensors' in follow(FIRST, folder)
    return folder


@pytest.fixture
def folder(followed: Path, tmp_path: Path) -> Path:
    """Return a copy of that folder for one further page."""
    return shutil.copytree(followed, tmp_path / 'folder')


def test_every_page_is_followed_and_every_other_block_is_listed() -> None:
    tests = Path(__file__).read_text(encoding='utf-8')
    pages = {path.name for path in GUIDES.glob('*.md')} - {FOR_DEVELOPERS.name}
    assert {*NO_COMMANDS} | {*NOT_RUN} <= pages
    for page in sorted(pages | {'README.md'}):
        if page in NO_COMMANDS:
            assert not blocks(page, 'bash'), page
        else:
            assert blocks(page, 'bash'), page
            followed = tests.count(f"follow('{page}'") + tests.count(f"blocks('{page}'")
            assert followed + (page == FIRST) == 1, page
        marked = re.findall(r'^```(\w*)$', text_of(page), re.MULTILINE)
        assert set(marked[::2]) <= {'bash', 'console', 'yaml', 'bibtex'}, page
        # the results have a test of their own
        listed = [] if page == 'results.md' else blocks(page, 'console')
        for block, words in zip(listed, NOT_RUN.get(page, []), strict=True):
            assert block.startswith(words), page
        for block in blocks(page, 'yaml'):
            parse_config(yaml.safe_load(block).get('beast'))


def test_the_commands_of_the_results_exist() -> None:
    named = re.findall(r'uv run (?:python|pytest -s) (integration_tests/\S+\.py)(.*?)`', RESULTS)
    others = RESULTS.count('`uv run …`') + RESULTS.count('`uv run litpose beast_demo`')
    assert len(named) == RESULTS.count('uv run ') - others >= 20
    for path, options in named:
        # a script takes its options from its own parser or from that of the shared measures
        sources = [ROOT / path, ROOT / 'integration_tests' / 'benchmarks' / 'measures.py']
        text = ''.join(source.read_text(encoding='utf-8') for source in sources)
        for option in re.findall(r'--\w+', options):
            assert f"'{option}'" in text, (path, option)


def test_links_lead_to_pages_and_headings_are_unique() -> None:
    for page in [path.name for path in GUIDES.glob('*.md')] + ['README.md']:
        folder = ROOT if page == 'README.md' else GUIDES
        text = text_of(page)
        for target in re.findall(r'\]\((?!https?:)([^)#]+)', text):
            assert (folder / target).exists(), (page, target)
            # the pages are also installed, and a site, without what lies around them
            assert folder == ROOT or '..' not in target, (page, target)
        headings = re.findall(
            r'^#+ .*$', re.sub(r'```.*?```', '', text, flags=re.DOTALL), re.MULTILINE
        )
        assert len(headings) == len({*headings}), page


def test_the_readme_fits_on_some_screens() -> None:
    assert len(text_of('README.md').splitlines()) <= 150


@pytest.fixture(scope='module')
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the environment of a person with Python, pip and git, and nothing of this package."""
    if not (ROOT / '.git').exists() or not shutil.which('git'):
        pytest.skip('no git checkout')
    folder = tmp_path_factory.mktemp('python')
    subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
    pip = [folder / 'bin' / 'pip', '--disable-pip-version-check', 'index', 'versions', 'uv']
    if subprocess.run(pip, check=False, capture_output=True).returncode:
        pytest.skip('no package index within reach')
    # of these, some speak of the environment of the tests
    dropped = {'VIRTUAL_ENV', 'PYTHONPATH', 'UV_PROJECT_ENVIRONMENT', 'UV_NO_SYNC'}
    dropped |= {'PYTHONDONTWRITEBYTECODE', 'PYTHONHOME'}
    kept = {name: value for name, value in OFFLINE.items() if name not in dropped}
    yield {**kept, 'PATH': os.pathsep.join([str(folder / 'bin'), '/usr/bin', '/bin'])}


def readme_blocks() -> list[str]:
    """Return the blocks of the README: a fresh machine, beside a host, and what follows either."""
    # the clone is that of the last commit, the pages are those of the work tree
    address = shlex.quote(str(ROOT))
    return [block.replace('ADDRESS', address) for block in blocks('README.md', 'bash')]


def test_readme_on_a_fresh_machine_and_from_any_folder(
    lab: dict[str, str],
    start: Path,
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(start, tmp_path / 'folder')
    fresh, _, *job = readme_blocks()
    try:
        # one terminal: what one block activates, the next ones use
        output = run('\n'.join([fresh, *job]), folder, lab)
        assert (folder / 'beast_demo' / 'index.html').is_file()
        assert 'loaded 70 of 70 encoder tensors' in output
        assert (folder / 'my_model' / 'video_preds' / 'new_video.csv').is_file()
        assert follow('install.md', folder, lab).count('usage: litpose pretrain') == 2
    finally:
        # gigabytes, where the file system has no hard links
        shutil.rmtree(folder / 'beast_lp' / '.venv', ignore_errors=True)


def test_readme_beside_a_host_adds_this_package_alone(
    lab: dict[str, str],
    tmp_path: Path,
) -> None:
    environment = tmp_path / 'host'
    subprocess.run([sys.executable, '-m', 'venv', environment], check=True)
    (site,) = environment.glob('lib/python*/site-packages')
    # the host's own, where older Pythons give a new environment one
    for path in site.glob('setuptools*'):
        shutil.rmtree(path)
    # packages of this environment, but for its hook, are those of the host's
    (site / 'host.pth').write_text(f'{sysconfig.get_path("purelib")}\n')
    before = {path.name for path in site.iterdir()}
    # this machine's own pip settings may name other versions
    plain = {name: value for name, value in lab.items() if name != 'PIP_CONSTRAINT'}
    plain['PIP_CONFIG_FILE'] = os.devnull
    plain['PATH'] = os.pathsep.join([str(environment / 'bin'), lab['PATH']])
    _, beside, *_ = readme_blocks()
    run(beside, tmp_path, plain)
    added = {path.name for path in site.iterdir()} - before
    assert {name.split('-')[0].split('.')[0] for name in added} == {'beast_lp'}
    # not from the folder of the checkout, which has a folder of this name
    (tmp_path / 'elsewhere').mkdir()
    shown = run('python -m beast_lp pretrain --help', tmp_path / 'elsewhere', plain)
    assert 'usage: litpose pretrain' in shown


def test_existing_project(followed: Path) -> None:
    assert (followed / 'my_backbone' / 'report.html').is_file()
    predicted = pd.read_csv(followed / 'my_model' / 'video_preds' / 'new_video.csv', header=[1, 2])
    assert len(predicted) == 60


def test_gui(start: Path) -> None:
    assert 'litpose run_app' in follow('gui.md', start)
    cfg = yaml.safe_load((start / 'my_project' / 'configs' / 'default.yaml').read_text())
    assert cfg['beast']['preset'] == 'laptop'


def test_moving_models(folder: Path) -> None:
    predictions = folder / 'my_model' / 'video_preds' / 'new_video.csv'
    before = pd.read_csv(predictions, header=[0, 1, 2], index_col=0)
    predictions.unlink()
    follow('moving_models.md', folder)
    moved = folder / 'elsewhere' / 'my_model' / 'video_preds' / 'new_video.csv'
    pd.testing.assert_frame_equal(pd.read_csv(moved, header=[0, 1, 2], index_col=0), before)
    assert (folder / 'features' / 'new_video' / 'cls.npy').is_file()


def test_authors_checkpoints(folder: Path) -> None:
    # the layout of their Lightning checkpoint: old names, under the name of their module
    encoder = ViTModel.from_pretrained(
        folder / 'my_backbone' / 'backbone', add_pooling_layer=False
    )
    old = {
        'layers.': 'encoder.layer.',
        'attention.q_proj': 'attention.attention.query',
        'attention.k_proj': 'attention.attention.key',
        'mlp.fc1': 'intermediate.dense',
        'attention.v_proj': 'attention.attention.value',
        'mlp.fc2': 'output.dense',
        'attention.o_proj': 'attention.output.dense',
    }
    state = {}
    for name, value in encoder.state_dict().items():
        for new, before in old.items():
            name = name.replace(new, before)
        state[f'vit_mae.vit.{name}'] = value
    torch.save({'state_dict': state}, folder / 'authors.ckpt')
    output = follow('authors_checkpoints.md', folder)
    assert output.count('loaded 70 of 70 encoder tensors') >= 2
    assert (folder / 'my_continued_backbone' / 'report.html').is_file()


def test_comparing_backbones(folder: Path) -> None:
    follow('comparing_backbones.md', folder)
    summary = pd.read_csv(folder / 'first_look' / 'summary.csv')
    assert summary.models.tolist() == [2, 2]
    # the mean over all keypoints is the one that the host's own evaluation gives
    hosts = [
        pd.read_csv(
            folder / 'first_try' / 'beast' / f'seed_{seed}' / 'predictions_pixel_error_new.csv',
            index_col=0,
        )
        .drop(columns='set', errors='ignore')
        .to_numpy()
        .mean()
        for seed in (0, 1)
    ]
    assert summary.error_px[0] == pytest.approx(sum(hosts) / 2, rel=1e-3)
    assert (folder / 'first_look' / 'report.html').is_file()


def test_cluster(folder: Path) -> None:
    follow('cluster.md', folder)
    for name in ('my_backbone_two', 'my_backbone_job'):
        assert (folder / name / 'report.html').is_file()
    assert list((folder / 'my_backbone_job_jobs' / '.submitit').rglob('*_log.out'))


def test_small_animals(folder: Path) -> None:
    output = follow('small_animals.md', folder)
    # what the pretraining printed is what the page has
    printed = re.search(r'litpose train my_config\.yaml(?:.*\\\n)*.*', output)
    assert printed
    overrides = {*printed[0].replace('\\\n', ' ').split('--overrides')[1].split()}
    assert f'++data.data_dir={folder}/my_boxes/cropped' in overrides
    assert '++eval.predict_vids_after_training=false' in overrides
    boxes = pd.read_csv(folder / 'my_boxes' / 'new_video_bbox.csv', index_col=0)
    predicted = pd.read_csv(
        folder / 'my_crops_model' / 'video_preds' / 'new_video.csv', header=[0, 1, 2], index_col=0
    )
    assert len(predicted) == len(boxes)
    # in px of the whole frame: every keypoint lies within the box of its frame
    for axis, size in (('x', 'w'), ('y', 'h')):
        values = predicted.xs(axis, axis=1, level='coords').to_numpy()
        start = boxes[axis].to_numpy()[:, None]
        assert ((start <= values) & (values <= start + boxes[[size]].to_numpy())).all()


def test_which_settings(folder: Path) -> None:
    output = follow('which_settings.md', folder)
    assert (folder / 'my_laptop_backbone' / 'report.html').is_file()
    named = {*re.findall(r'`((?:val|probe)_\w+)`', text_of('which_settings.md'))}
    shown = {*re.findall(r'^(?:val|probe)_\w+', output, re.MULTILINE)}
    assert named <= shown and len(named) == 8


def test_files(folder: Path) -> None:
    assert follow('files.md', folder).strip() == 'COMPLETED'
    written = set(pd.read_csv(folder / 'my_backbone' / 'metrics.csv').columns)
    explained = {
        *re.findall(r'^\| `((?:val|probe|data)_\w+)` \|', text_of('files.md'), re.MULTILINE)
    }
    assert explained <= written
    losses = {f'val_{name}' for name in ('loss', 'reconstruction', 'contrastive')}
    measured = {name for name in written if name.startswith(('val_', 'probe_', 'data_'))}
    assert measured - losses == explained


def test_spikes_and_behaviour(folder: Path, tiny_project: Path) -> None:
    project = tiny_project.parent
    for name in ('videos', 'spikes'):
        shutil.copytree(project / name, folder / name)
    shutil.copytree(project / 'videos_test', folder / 'scored_videos')
    # 100 principal components want more frames than one such video has
    shutil.copy(folder / 'new_video.mp4', folder / 'videos' / 'session_03.mp4')
    follow('spikes_and_behaviour.md', folder)
    sources = set(pd.read_csv(folder / 'my_encoding' / 'comparison.csv')['source'])
    assert sources >= {'beast', 'pca'} and any('keypoints' in source for source in sources)
    for name in ('my_segmenter', 'my_joint_segmenter', 'my_behaviour', 'my_scores'):
        assert (folder / name / 'report.html').is_file()
    assert (folder / 'my_behaviour' / 'lightning_action' / 'labels' / 'new_video.csv').is_file()
    hits = pd.read_csv(folder / 'my_several_segmenter' / 'hits.csv').set_index('class')
    assert (hits.sum(axis=1) == hits.sum(axis=1).iloc[0]).all() and len(hits) == 4


def test_in_other_tools(folder: Path) -> None:
    output = follow('in_other_tools.md', folder)
    assert '70 tensors, 0 missing' in output
    assert 'lightning-action took 70 of 70 tensors' in output
