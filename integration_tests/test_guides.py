"""Every command of every page in `beast_lp/guides` runs as it is written.

Each page is followed in a folder of its own with the files that the page names; how small
everything is lies in these files. Blocks marked `bash` are run. Those marked `console` are
not, and are listed here.
"""

import os
import re
import shutil
import subprocess
import sys
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

# what cannot run here, by the first words of each command: a server that does not end (the test of
# the GUI starts it), a Slurm cluster, several machines, weights from the network
NOT_RUN = {
    'gui.md': ['litpose run_app'],
    'cluster.md': [
        'python -m beast_lp.host.launch',
        'python -m beast_lp.host.launch',
        'torchrun --nnodes 4',
    ],
    'authors_checkpoints.md': ['litpose train my_config.yaml --output_dir my_released_model'],
    'comparing_backbones.md': 2 * ['python -m beast_lp.host.launch'],
}


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a page that are marked with a language."""
    text = (GUIDES / page).read_text(encoding='utf-8')
    return re.findall(rf'^```{language}\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)


def follow(page: str, folder: Path) -> str:
    """Run the commands of a page in a folder, and return what they print."""
    programs = Path(sys.executable).parent
    output = ''
    for block in blocks(page, 'bash'):
        result = subprocess.run(
            ['bash', '-euo', 'pipefail', '-c', block],
            cwd=folder,
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # some of them start two processes, which want two GPUs or none
            env={
                **os.environ,
                **NO_GPU,
                'HF_HUB_OFFLINE': '1',
                'OMP_NUM_THREADS': '1',
                'PATH': f'{programs}{os.pathsep}{os.environ["PATH"]}',
            },
        )
        assert result.returncode == 0, f'{block}\n{result.stdout[-4000:]}'
        output += result.stdout
    return output


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
    for path in sorted({*GUIDES.glob('*.md')} - {FOR_DEVELOPERS}):
        assert blocks(path.name, 'bash'), path
        assert tests.count(f"follow('{path.name}'") + (path.name == FIRST) == 1, path
        marked = re.findall(r'^```(\w*)$', path.read_text(encoding='utf-8'), re.MULTILINE)
        assert set(marked[::2]) <= {'bash', 'console', 'yaml'}, path
        first_words = NOT_RUN.get(path.name, [])
        for block, words in zip(blocks(path.name, 'console'), first_words, strict=True):
            assert block.startswith(words), path
        for block in blocks(path.name, 'yaml'):
            parse_config(yaml.safe_load(block).get('beast'))


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
    assert summary.models.tolist() == [2]
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
