"""The package's commands and the host's on a tiny project, with good input and bad."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from measures import NO_GPU
from omegaconf import OmegaConf
from warm_litpose import Litpose


def test_pretraining_writes_what_the_readme_lists(tiny_pretraining: Path) -> None:
    for name in (
        'beast.yaml',
        'anchors.csv',
        'videos.csv',
        'windows/index.csv',
        'metrics.csv',
        'checkpoints/last.ckpt',
        'checkpoints/best.ckpt',
        'backbone/config.json',
        'backbone/model.safetensors',
        'report.html',
        'figures/training_curves.png',
    ):
        assert (tiny_pretraining / name).is_file(), name
    status = json.loads((tiny_pretraining / 'train_status.json').read_text())
    assert status['status'] == 'COMPLETED'
    # a run of four steps has four epochs of one
    assert status['progress']['completed'] == status['progress']['total'] == 4


# no rounding to speak of (Muon makes its steps orthogonal in bf16, and any optimiser enlarges the
# rounding of a sum where a gradient is hardly more than that), and the negatives of all processes
EXACT = (
    'beast.training.precision=fp32',
    'beast.training.optimizer=adamw',
    'beast.training.peak_learning_rate=6e-5',
    'beast.loss.gather_negatives=true',
    'beast.loss.contrastive_weight=1.0',
)


@pytest.fixture(scope='module')
def shared_negatives(
    litpose: Litpose,
    tiny_project: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Return the run of one process that two, who want two GPUs or none, are compared with."""
    out = tmp_path_factory.mktemp('one') / 'out'
    litpose('pretrain', tiny_project, '--output_dir', out, '--overrides', *EXACT, **NO_GPU)
    return out


def test_train_predict_move_and_python(
    litpose: Litpose,
    tiny_project: Path,
    tiny_pretraining: Path,
    tmp_path: Path,
) -> None:
    backbone = tmp_path / 'a copy'
    shutil.copytree(tiny_pretraining, backbone)
    pose = tmp_path / 'pose'
    # a relative path, as a person types it
    result = litpose(
        'train',
        tiny_project,
        '--output_dir',
        pose,
        '--overrides',
        '+model.backbone_checkpoint=a copy',
        cwd=tmp_path,
    )
    assert 'loaded 70 of 70 encoder tensors' in result.stdout
    cfg = OmegaConf.load(pose / 'config.yaml')
    assert cfg.model.backbone_checkpoint == str(backbone)  # type: ignore[union-attr]

    moved = tmp_path / 'moved' / 'model'
    moved.parent.mkdir()
    shutil.move(pose, moved)
    shutil.rmtree(backbone)
    video = next((tiny_project.parent / 'videos').glob('*.mp4'))
    litpose('predict', moved, video, '--skip_viz')
    csv = moved / 'video_preds' / f'{video.stem}.csv'
    by_command = pd.read_csv(csv, header=[0, 1, 2], index_col=0)
    assert len(by_command) == 60

    from lightning_pose.api import Model

    model = Model.from_dir(moved)
    in_python = model.predict_on_video_file(video, output_dir=tmp_path / 'again').predictions
    np.testing.assert_allclose(in_python.to_numpy(), by_command.to_numpy(), rtol=1e-3, atol=1e-2)
    # the weights are the trained ones, not the ones that the model was built with
    checkpoint = torch.load(
        next(moved.rglob('*-best.ckpt')), map_location='cpu', weights_only=False
    )
    assert model.model is not None
    for name, value in model.model.state_dict().items():
        if name.startswith('backbone.'):
            assert torch.equal(value.cpu(), checkpoint['state_dict'][name]), name


def test_train_pretrains_first_where_there_is_no_checkpoint(
    litpose: Litpose,
    tiny_project: Path,
    tmp_path: Path,
) -> None:
    pose = tmp_path / 'pose'
    litpose('train', tiny_project, '--output_dir', pose)
    assert (pose / 'beast' / 'backbone' / 'model.safetensors').is_file()
    assert (pose / 'beast' / 'report.html').is_file()
    assert list((pose / 'video_preds').glob('*.csv'))
    assert json.loads((pose / 'train_status.json').read_text())['status'] == 'COMPLETED'
    # each has its log, that of the stage within that of the command
    stage, command = ((folder / 'train.log').read_text() for folder in (pose / 'beast', pose))
    assert 'beast: probe after training' in stage and 'beast: probe after training' in command
    assert 'Predicting new images' in command and 'Predicting new images' not in stage
    # once more into the same directory: the finished stage is used, not repeated
    written = (pose / 'beast' / 'backbone' / 'model.safetensors').stat().st_mtime_ns
    result = litpose('train', tiny_project, '--output_dir', pose)
    assert 'using the finished pretraining run' in result.stdout
    assert (pose / 'beast' / 'backbone' / 'model.safetensors').stat().st_mtime_ns == written


@pytest.mark.parametrize('launcher', ['lightning', 'torchrun'])
def test_two_processes_end_where_one_does(
    litpose: Litpose,
    tiny_project: Path,
    shared_negatives: Path,
    tmp_path: Path,
    launcher: str,
) -> None:
    arguments = [
        'pretrain',
        tiny_project,
        '--output_dir',
        tmp_path / 'out',
        '--overrides',
        *EXACT,
        'training.num_gpus=2',
        # half of each, since a rate is for the batch of one process
        'beast.training.batch_size=4',
        'beast.training.peak_learning_rate=3e-5',
    ]
    if launcher == 'torchrun':
        programs = Path(sys.executable).parent
        subprocess.run(
            [
                programs / 'torchrun',
                '--standalone',
                '--nproc-per-node',
                '2',
                '--no-python',
                programs / 'litpose',
                *arguments,
            ],
            check=True,
            env={**os.environ, **NO_GPU, 'OMP_NUM_THREADS': '1'},
        )
    else:
        litpose(*arguments, **NO_GPU)
    shared, alone = (
        pd.read_csv(out / 'metrics.csv') for out in (tmp_path / 'out', shared_negatives)
    )
    assert shared.step.tolist() == alone.step.tolist()
    # half the batch on each of two: the same pairs, masks, negatives and statistics
    for name in ('train_reconstruction', 'train_contrastive', 'val_reconstruction'):
        np.testing.assert_allclose(shared[name], alone[name], rtol=1e-4)
    ours, theirs = (
        safetensors.torch.load_file(out / 'backbone' / 'model.safetensors')
        for out in (tmp_path / 'out', shared_negatives)
    )
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=0, atol=1e-4)
    status = json.loads((tmp_path / 'out' / 'train_status.json').read_text())
    assert status['status'] == 'COMPLETED'


def test_two_projects_a_probe_and_a_choice_of_the_weight(
    litpose: Litpose,
    tiny_project: Path,
    tmp_path: Path,
) -> None:
    other = tmp_path / 'other lab'
    shutil.copytree(tiny_project.parent, other)
    cfg = OmegaConf.load(tiny_project)
    OmegaConf.update(cfg, 'data.data_dir', str(other))
    OmegaConf.save(cfg, other / 'config.yaml')
    out = tmp_path / 'out'
    litpose(
        'pretrain',
        tiny_project,
        other / 'config.yaml',
        '--output_dir',
        out,
        '--overrides',
        'beast.probe.every_epochs=1',
        'beast.tune=[0,0.03]',
    )
    table = pd.read_csv(out / 'tune' / 'tune.csv')
    assert len(table) == 4 and (table.probe_px > 0).all()
    assert table.contrastive_weight[table.chosen].nunique() == 1
    metrics = pd.read_csv(out / 'metrics.csv')
    assert (metrics.probe_px > 0).all() and (metrics.probe_constant_px > 0).all()
    page = (out / 'report.html').read_text()
    for words in (
        '2, in equal shares',
        'Keypoints from frozen features',
        'Choice of the contrastive weight',
    ):
        assert words in page
    # what the run took for its weights serves as the start of another
    result = litpose(
        'pretrain',
        tiny_project,
        '--output_dir',
        tmp_path / 'next',
        '--overrides',
        f'beast.init="{out / "checkpoints" / "best.ckpt"}"',
        'beast.training.epochs=1',
    )
    assert 'loaded 70 of 70 encoder tensors' in result.stdout
    assert 'the decoder starts from' in result.stdout


def test_two_runs_stand_on_one_page_and_stay_as_they_are(
    litpose: Litpose, tiny_project: Path, tiny_pretraining: Path, tmp_path: Path
) -> None:
    other = tmp_path / 'more contrast'
    changed = 'beast.loss.contrastive_weight=0.5'
    litpose('pretrain', tiny_project, '--output_dir', other, '--overrides', changed)
    runs = [tiny_pretraining, other]
    before = [{path: path.stat().st_mtime_ns for path in run.rglob('*')} for run in runs]
    litpose('pretrain', '--report', *runs, '--output_dir', tmp_path / 'page')
    page = (tmp_path / 'page' / 'report.html').read_text()
    assert '<h2>Reconstruction of hidden patches</h2>' in page and 'Nothing to show' not in page
    assert re.search(r'contrastive_<wbr>weight</td><td>0.03</td><td>0.5</td>', page)
    assert 'positives found by CLS of this model (%)' in page
    linked = [tmp_path / 'page' / unquote(link) for link in re.findall('href="([^"#]+)"', page)]
    assert [path.resolve() for path in linked] == [run / 'report.html' for run in runs]
    assert before == [{path: path.stat().st_mtime_ns for path in run.rglob('*')} for run in runs]
    again = litpose('pretrain', '--report', *runs, '--output_dir', other, fails=True)
    assert 'would overwrite' in again.stderr
    mixed = litpose('pretrain', tiny_project, '--report', *runs, fails=True)
    assert 'no config file' in mixed.stderr


def test_a_launcher_that_does_not_fit_the_settings_is_refused(
    litpose: Litpose,
    tiny_project: Path,
    tmp_path: Path,
) -> None:
    result = litpose(
        'pretrain',
        tiny_project,
        '--output_dir',
        tmp_path / 'o',
        '--overrides',
        'beast.num_nodes=2',
        fails=True,
    )
    assert 'beast.num_nodes is 2' in result.stderr
    assert 'torchrun' in result.stderr


def test_the_tiny_demo_runs_and_can_be_repeated(litpose: Litpose, tmp_path: Path) -> None:
    for _ in range(2):
        result = litpose('beast_demo', '--tiny', '--output_dir', tmp_path / 'demo')
        assert 'Where to look' in result.stdout
    errors = pd.read_csv(tmp_path / 'demo' / 'pose_error.csv')
    assert (errors.constant_px > 0).all()
    assert (errors.model_px > 0).all()
    # the page shows all heads, and what it links is there
    page = (tmp_path / 'demo' / 'index.html').read_text()
    linked = [tmp_path / 'demo' / unquote(link) for link in re.findall('href="([^"#]+)"', page)]
    assert [path.parent.name for path in linked if path.name == 'report.html'] == [
        'pretraining',
        'encoding',
        'segmentation',
    ]
    assert all(path.stat().st_size > 0 for path in linked)
    sources = set(pd.read_csv(tmp_path / 'demo' / 'encoding' / 'comparison.csv').source)
    assert {'beast', 'frame_pca', 'pose', 'pose + velocities'} < sources


# ---------------------------------------------------------------------------------------------
# bad input: one clear sentence, a non-zero exit, nothing half-written
# ---------------------------------------------------------------------------------------------


@pytest.fixture
def config(tiny_project: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a copy of the tiny project's config with changed keys."""

    def write(**changes: object) -> Path:
        cfg = OmegaConf.load(tiny_project)
        for key, value in changes.items():
            OmegaConf.update(cfg, key.replace('__', '.'), value, merge=False)
        path = tmp_path / 'config.yaml'
        OmegaConf.save(cfg, path)
        return path

    return write


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'data__video_dir': 'nowhere'}, ['nowhere']),
        ({'data__video_dir': 'labeled-data'}, ['labeled-data', '.mp4']),
        ({'data__video_dir': 'CollectedData.csv'}, ['CollectedData.csv', '.mp4']),
        ({'data__video_dir': None}, ['data.video_dir']),
        ({'beast': {'trainin': {}}}, ['beast.trainin', "'training'"]),
        ({'beast': {'training': {'epochs': 'ten'}}}, ['beast.training.epochs', "'ten'"]),
        (
            {'beast': {'preset': 'laptop', 'init': 'no/such-weights'}},
            ['no/such-weights', 'random'],
        ),
    ],
)
def test_a_bad_config_gets_a_sentence(
    litpose: Litpose,
    config: Callable[..., Path],
    changes: dict[str, object],
    words: list[str],
    tmp_path: Path,
) -> None:
    result = litpose('pretrain', config(**changes), '--output_dir', tmp_path / 'o', fails=True)
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith('error: ')
    assert all(word in line for word in words), line
    assert not (tmp_path / 'o' / 'backbone').exists()


def test_default_weights_that_cannot_be_had_are_explained(
    litpose: Litpose,
    config: Callable[..., Path],
    tmp_path: Path,
) -> None:
    result = litpose(
        'pretrain',
        config(beast={}),
        '--output_dir',
        tmp_path / 'o',
        fails=True,
        HF_HUB_CACHE=str(tmp_path / 'cache'),
    )
    assert 'facebook/vit-mae-base' in result.stderr
    assert 'beast.init=random' in result.stderr


def test_a_finished_run_is_refused(
    litpose: Litpose,
    tiny_project: Path,
    tiny_pretraining: Path,
) -> None:
    files = [
        tiny_pretraining / name for name in ('backbone/model.safetensors', 'train_status.json')
    ]
    before = [file.read_bytes() for file in files]
    result = litpose('pretrain', tiny_project, '--output_dir', tiny_pretraining, fails=True)
    assert 'already holds a finished pretraining run' in result.stderr
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize(
    ('overrides', 'words'),
    [
        (['+model.backbone_checkpoint=/nowhere'], 'no checkpoint at /nowhere'),
        (['model.model_type=regression'], 'model_type: regression'),
        (['+data.downsample_factor=3'], 'downsample_factor: 3'),
        (['~beast'], 'needs weights'),
    ],
)
def test_pose_training_that_cannot_work_is_refused(
    litpose: Litpose,
    tiny_project: Path,
    overrides: list[str],
    words: str,
    tmp_path: Path,
) -> None:
    result = litpose(
        'train',
        tiny_project,
        '--output_dir',
        tmp_path / 'pose',
        '--overrides',
        *overrides,
        fails=True,
    )
    assert words in result.stderr.splitlines()[-1]


def test_a_wrong_checkpoint_is_refused(
    litpose: Litpose,
    tiny_project: Path,
    tmp_path: Path,
) -> None:
    torch.save({'state_dict': {'conv1.weight': torch.zeros(1)}}, tmp_path / 'resnet.ckpt')
    result = litpose(
        'train',
        tiny_project,
        '--output_dir',
        tmp_path / 'pose',
        '--overrides',
        f'+model.backbone_checkpoint={tmp_path / "resnet.ckpt"}',
        fails=True,
    )
    assert 'holds no ViT encoder' in result.stderr


def test_videos_that_cannot_be_used_are_said_and_the_others_serve(
    litpose: Litpose,
    config: Callable[..., Path],
    tiny_project: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / 'some videos'
    shutil.copytree(tiny_project.parent / 'videos', folder)
    good = next(folder.glob('*.mp4'))
    (folder / 'garbage.mp4').write_bytes(b'this is no video')
    (folder / 'half.mp4').write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    path = config(data__video_dir=str(folder))
    result = litpose('pretrain', path, '--output_dir', tmp_path / 'out')
    assert 'garbage.mp4' in result.stdout
    table = pd.read_csv(tmp_path / 'out' / 'videos.csv').set_index('video_id')
    assert table.status['garbage'] == 'skipped'
    assert table.status[good.stem] == 'ok'

    for name in (good.name, 'half.mp4'):
        (folder / name).unlink()
    result = litpose('pretrain', path, '--output_dir', tmp_path / 'none', fails=True)
    assert 'garbage' in result.stderr
    assert not (tmp_path / 'none' / 'backbone').exists()
