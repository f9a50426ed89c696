"""Every kind of pose model of the host on this backbone, through the host's own interfaces."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import lightning_pose.train
import numpy as np
import pandas as pd
import pytest
import torch
from lightning_pose.api import Model
from lightning_pose.callbacks import PatchMasker
from lightning_pose.cli.commands import COMMANDS
from lightning_pose.models.backbones import build_backbone
from measures import NO_GPU
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from beast_lp.host.jobs.pretrain import pretrain
from beast_lp.host.pose import check_pose_config, warn_about_resnet_optimizer
from beast_lp.runs.log_file import logged_warnings

VIEWS = ('left', 'right')
FRAMES = 60
# one model per kind; for what is not said here see the tiny project
KINDS: dict[str, dict[str, Any]] = {
    'heatmap': {'data': {'image_resize_dims': {'height': 128, 'width': 256}}},
    'heatmap_mhcrnn': {'model': {'model_type': 'heatmap_mhcrnn'}},
    'heatmap_multiview_transformer': {
        'model': {'model_type': 'heatmap_multiview_transformer'},
        'data': {'view_names': list(VIEWS), 'csv_file': [f'{view}.csv' for view in VIEWS]},
        'training': {
            'patch_mask': {
                'init_epoch': 0,
                'final_epoch': 2,
                'init_ratio': 0.1,
                'final_ratio': 0.5,
            }
        },
    },
}


@pytest.fixture(scope='module')
def project(tiny_project: Path, tmp_path_factory: pytest.TempPathFactory) -> DictConfig:
    """Return the config of a project with the videos and labels of two views."""
    folder = tmp_path_factory.mktemp('views') / 'project'
    shutil.copytree(tiny_project.parent, folder)
    labels = (folder / 'CollectedData.csv').read_text()
    for view in VIEWS:
        (folder / 'both').mkdir(exist_ok=True)
        shutil.copy(folder / 'videos' / 'session_01.mp4', folder / 'both' / f'one_{view}.mp4')
        shutil.copytree(
            folder / 'labeled-data' / 'session_01', folder / 'labeled-data' / f'one_{view}'
        )
        (folder / f'{view}.csv').write_text(labels.replace('session_01', f'one_{view}'))
    cfg = cast(DictConfig, OmegaConf.load(folder / tiny_project.name))
    return _merged(
        cfg,
        {
            'data': {'data_dir': str(folder), 'video_dir': 'both'},
            'eval': {'test_videos_directory': str(folder / 'both')},
            'beast': {'model': {'num_layers': 2, 'decoder_num_layers': 1}},
        },
    )


@pytest.fixture(scope='module')
def pretraining(project: DictConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output directory of pretraining on both views."""
    out = tmp_path_factory.mktemp('pretraining') / 'out'
    pretrain(project, out, out / 'train_status.json')
    return out


@pytest.fixture(scope='module')
def hidden() -> dict[str, list[float]]:
    """Return which share of the patches each kind of model did not see, step by step."""
    return {kind: [] for kind in KINDS}


@pytest.fixture(scope='module')
def trained(
    project: DictConfig,
    pretraining: Path,
    hidden: dict[str, list[float]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Path]:
    """Return a function that trains a kind of model, once, and returns its directory."""
    folder = tmp_path_factory.mktemp('models')
    mask = PatchMasker.apply_patch_masking

    def train(kind: str) -> Path:
        if not (folder / kind).exists():

            def spy(self: PatchMasker, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
                images, kept = mask(self, *args, **kwargs)
                hidden[kind].append(1 - float(kept.mean()))
                return images, kept

            cfg = _merged(project, KINDS[kind])
            cfg.model.backbone_checkpoint = str(pretraining)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(PatchMasker, 'apply_patch_masking', spy)
                lightning_pose.train.train(cfg, folder / kind, skip_evaluation=True)
        return folder / kind

    return train


def _merged(cfg: DictConfig, *changes: dict[str, Any]) -> DictConfig:
    return cast(DictConfig, OmegaConf.merge(cfg, *changes))


def _predict(model: Model, output_dir: Path) -> np.ndarray:
    """Predict the project's video, or the videos of its views in another order than theirs."""
    folder = Path(model.cfg.eval.test_videos_directory)
    if model.config.is_multi_view():
        tables = model.predict_on_video_file_multiview(
            [folder / f'one_{view}.mp4' for view in reversed(VIEWS)],
            output_dir=output_dir,
            compute_metrics=False,
        ).predictions
        assert list(tables) == list(VIEWS)
        return np.stack([table.to_numpy() for table in tables.values()])
    video = folder / 'one_left.mp4'
    result = model.predict_on_video_file(video, output_dir=output_dir, compute_metrics=False)
    return result.predictions.to_numpy()


def _backbone(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights of the backbone in a pose checkpoint, and all that it holds."""
    stored = torch.load(checkpoint, map_location='cpu', weights_only=False)
    prefix = 'backbone.vision_encoder.'
    return {
        name.removeprefix(prefix): value
        for name, value in stored['state_dict'].items()
        if name.startswith(prefix)
    }, stored


def test_pretraining_takes_all_views(pretraining: Path) -> None:
    table = pd.read_csv(pretraining / 'videos.csv').set_index('video_id')
    assert table.status.to_dict() == {f'one_{view}': 'ok' for view in VIEWS}
    anchors = pd.read_csv(pretraining / 'anchors.csv').video.value_counts()
    assert len(anchors) == len(VIEWS) and (anchors >= 5).all()


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_model_trains_and_predicts(
    kind: str,
    trained: Callable[[str], Path],
    pretraining: Path,
    tmp_path: Path,
    hidden: dict[str, list[float]],
) -> None:
    directory, masked = trained(kind), hidden[kind]
    # the host hid patches of multi-view images, more and more of them
    if kind == 'heatmap_multiview_transformer':
        assert len(masked) == 4 and masked == sorted(masked) and 0.05 < masked[0] < masked[-1]
    else:
        assert masked == []
    predictions = _predict(Model.from_dir(directory), tmp_path)
    assert predictions.shape[-2] == FRAMES
    assert np.isfinite(predictions).all()
    # no two frames have the same prediction, so it comes from the pixels
    assert len(np.unique(predictions.reshape(-1, *predictions.shape[-2:])[0], axis=0)) > 50
    # trained, every tensor, but not far from where pretraining ended
    weights, _ = _backbone(next(directory.rglob('*-best.ckpt')))
    start = _pretrained(pretraining)
    assert weights.keys() == start.keys()
    assert [name for name, value in weights.items() if torch.equal(value, start[name])] == []
    ours, theirs = (
        torch.cat([state[name].flatten() for name in start]) for state in (weights, start)
    )
    assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.9


def test_the_backbone_rests_and_then_learns_at_the_configured_rate(
    project: DictConfig,
    pretraining: Path,
    tmp_path: Path,
) -> None:
    cfg = _merged(
        project,
        {
            'model': {'backbone_checkpoint': str(pretraining)},
            'training': {
                'unfreezing_epoch': 1,
                'min_epochs': 3,
                'max_epochs': 3,
                'ckpt_every_n_epochs': 1,
                'check_val_every_n_epoch': 1,
                'optimizer_params': {'learning_rate': 4e-4},
                'lr_scheduler_params': {'multisteplr': {'milestones': [3]}},
            },
        },
    )
    lightning_pose.train.train(cfg, tmp_path / 'model', skip_evaluation=True)
    epochs = {}
    for path in (tmp_path / 'model').rglob('epoch=*.ckpt'):
        if 'best' not in path.name:
            weights, stored = _backbone(path)
            epochs[stored['epoch']] = weights, stored['optimizer_states'][0]['param_groups']
    assert sorted(epochs) == [0, 1, 2]
    resting, groups = epochs[0]
    assert [group['name'] for group in groups] == ['backbone', 'head']
    assert [group['lr'] for group in groups] == [0.0, 4e-4]
    # the host warms it up from a tenth of the head's rate
    assert [group['lr'] for group in epochs[1][1]] == pytest.approx([4e-5, 4e-4])
    start = _pretrained(pretraining)
    assert all(torch.equal(resting[name], value) for name, value in start.items())
    learned = epochs[1][0]
    assert [name for name, value in learned.items() if torch.equal(value, start[name])] == []
    # each parameter is in one group, and all of the backbone in the first
    listed = [index for group in groups for index in group['params']]
    assert len(listed) == len(set(listed))
    assert len(groups[0]['params']) == len(start)


def test_boxes_crop_what_another_model_trains_on(
    project: DictConfig,
    pretraining: Path,
    trained: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The host's detector and pose model in a row: predict, create_bbox, crop, train, predict."""
    detector = tmp_path / 'detector'
    shutil.copytree(trained('heatmap'), detector)
    model = Model.from_dir(detector)
    folder = Path(project.data.data_dir)
    video, labels = folder / 'videos' / 'session_01.mp4', folder / 'CollectedData.csv'
    model.predict_on_video_file(video, compute_metrics=False)
    model.predict_on_label_csv(labels, compute_metrics=False)
    _litpose('create_bbox', detector, video, labels, '--crop_size', 64)
    _litpose('crop', detector, video, labels)
    cfg = _merged(
        project,
        {
            'data': {'video_dir': 'videos'},
            'model': {'backbone_checkpoint': str(pretraining)},
            'eval': {'predict_vids_after_training': False},
        },
    )
    OmegaConf.save(cfg, tmp_path / 'pose.yaml')
    # the command changes into the directory of the model
    monkeypatch.chdir(tmp_path)
    _litpose(
        'train',
        tmp_path / 'pose.yaml',
        '--output_dir',
        tmp_path / 'pose',
        '--detector_model',
        detector,
    )
    pose = Model.from_dir(tmp_path / 'pose')
    assert Path(pose.cfg.data.data_dir) == detector / 'cropped_images'
    boxes = pd.read_csv(detector / 'video_preds' / 'session_01_bbox.csv', index_col=0)
    found = (
        pose.predict_on_video_file(
            video,
            compute_metrics=False,
            bbox_file=detector / 'video_preds' / 'session_01_bbox.csv',
        )
        .predictions.to_numpy()
        .reshape(FRAMES, -1, 3)
    )
    # in the coordinates of the whole frame again
    for axis, corner in enumerate(['x', 'y']):
        inside = found[:, :, axis] - boxes[corner].to_numpy()[:, None]
        assert (inside > -8).all() and (inside < 64 + 8).all()


def _litpose(command: str, *arguments: object) -> None:
    """Run one of the host's commands in this process."""
    module = COMMANDS[command]
    module.handle(module.get_parser().parse_args(list(map(str, arguments))))


@pytest.mark.parametrize('kind', ['heatmap', 'heatmap_multiview_transformer'])
def test_an_exported_model_predicts_the_same(
    kind: str,
    trained: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    pytest.importorskip('onnxscript', reason='onnxscript is not installed')
    providers = onnxruntime.get_available_providers()
    if torch.cuda.is_available() and 'CUDAExecutionProvider' not in providers:
        pytest.skip('beside a GPU the host wants onnxruntime-gpu')
    directory = trained(kind)
    _litpose('export', directory, '--onnx-precision', 'fp32')
    eager = _predict(Model.from_dir(directory), tmp_path / 'eager')
    exported = Model.from_dir(directory, runtime='onnx', onnx_precision='fp32')
    np.testing.assert_allclose(_predict(exported, tmp_path / 'onnx'), eager, atol=1e-3)


def test_a_compiled_model_predicts_the_same(
    trained: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    eager = _predict(Model.from_dir(trained('heatmap')), tmp_path / 'eager')
    compiled = Model.from_dir(trained('heatmap'))
    compiled.compile()
    np.testing.assert_allclose(_predict(compiled, tmp_path / 'compiled'), eager, atol=1e-3)


def test_models_of_all_views_are_compared_on_all_of_them(
    trained: Callable[[str], Path],
    project: DictConfig,
    litpose: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    folders = [trained('heatmap_multiview_transformer'), tmp_path / 'other']
    other = shutil.copytree(folders[0], folders[1])
    (checkpoint,) = other.rglob('*-best.ckpt')
    stored = torch.load(checkpoint, map_location='cpu', weights_only=False)
    for name, value in stored['state_dict'].items():
        if name.startswith('head.') and value.is_floating_point():
            value += 0.1 * value.std() * torch.randn(value.shape)
    torch.save(stored, checkpoint)
    labels = [Path(project.data.data_dir, f'{view}.csv') for view in VIEWS]
    litpose(
        'compare',
        f'beast={folders[0]},{folders[1]}',
        '--labels',
        *labels,
        '--output_dir',
        tmp_path / 'out',
    )
    table = pd.read_csv(tmp_path / 'out' / 'keypoints.csv')
    keypoints = list(project.data.keypoint_names)
    hosts = [Model.from_dir(folder).predict_on_label_csv_multiview(labels) for folder in folders]
    for view, own in table.groupby('view'):
        tables = [cast(Any, host.metrics)[view].pixel_error_df[keypoints] for host in hosts]
        theirs = np.stack([table.to_numpy() for table in tables]).mean(axis=0)
        ours = own.pivot(index='image', columns='keypoint', values='error_px')
        ours = ours.reindex(index=tables[0].index, columns=keypoints).to_numpy()
        assert np.isfinite(ours).any()
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert set(table['view']) == set(VIEWS)
    assert (table['ensemble_deviation_px'] > 0).any()
    # the log and the page have what the command warned of: the labels were trained on
    warnings = logged_warnings(tmp_path / 'out' / 'train.log')
    assert sum('was trained on' in words for words in warnings) == 4
    assert 'so its errors there say little' in (tmp_path / 'out' / 'report.html').read_text()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device on this machine')
@pytest.mark.parametrize('kind', KINDS)
def test_semi_supervised_models_train(
    kind: str,
    project: DictConfig,
    pretraining: Path,
    tmp_path: Path,
) -> None:
    cfg = _merged(
        project,
        KINDS[kind],
        {
            'model': {'backbone_checkpoint': str(pretraining), 'losses_to_use': ['temporal']},
            # with several views the host looks for it once more, from where it runs, to predict
            'data': {'video_dir': str(Path(project.data.data_dir, project.data.video_dir))},
        },
    )
    lightning_pose.train.train(cfg, tmp_path / 'model', skip_evaluation=True)
    predictions = _predict(Model.from_dir(tmp_path / 'model'), tmp_path)
    assert np.isfinite(predictions).all()


def test_two_processes_pretrain_and_train(
    litpose: Callable[..., subprocess.CompletedProcess[str]],
    project: DictConfig,
    tmp_path: Path,
) -> None:
    OmegaConf.save(_merged(project, {'beast': {'training': {'epochs': 1}}}), tmp_path / 'c.yaml')
    # the host starts the second process in the model's directory, at a time of its own
    result = litpose(
        'train',
        'c.yaml',
        '--overrides',
        'training.num_gpus=2',
        'eval.predict_vids_after_training=false',
        OMP_NUM_THREADS='1',
        # two processes want two GPUs, or none
        cwd=tmp_path,
        **NO_GPU,
    )
    assert result.stderr.count('Starting with 2 processes') == 2
    (model,) = (tmp_path / 'outputs').glob('*/*')
    errors = pd.read_csv(model / 'predictions_pixel_error.csv', index_col=0)
    assert np.isfinite(errors.select_dtypes('number').to_numpy()).any()
    # made once, by the two together
    assert (model / 'beast' / 'report.html').is_file()
    assert len(list(tmp_path.rglob('*-best.ckpt'))) == 1


def test_the_pose_config_trains_as_it_is(
    project: DictConfig,
    pretraining: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With what is marked as to be filled in, and an end within reach."""
    example = Path(__file__).parents[1] / 'configs' / 'pose_beast.yaml'
    cfg = _merged(
        cast(DictConfig, OmegaConf.load(example)),
        {
            'data': {
                'data_dir': project.data.data_dir,
                'num_keypoints': project.data.num_keypoints,
                'keypoint_names': project.data.keypoint_names,
            },
            'eval': {'test_videos_directory': project.eval.test_videos_directory},
            'model': {'backbone_checkpoint': str(pretraining)},
            'training': {
                'min_epochs': 1,
                'max_epochs': 1,
                'check_val_every_n_epoch': 1,
                'lr_scheduler_params': {'multisteplr': {'milestones': [1]}},
            },
        },
    )
    assert '<' not in OmegaConf.to_yaml(cfg)
    with caplog.at_level('WARNING', 'lightning_pose'):
        lightning_pose.train.train(cfg, tmp_path / 'model', skip_evaluation=True)
    assert not [record for record in caplog.records if 'beast' in record.getMessage()]
    assert list((tmp_path / 'model').rglob('*-best.ckpt'))


def test_what_the_host_recommends_suits_the_backbone(
    project: DictConfig,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _litpose('recommend', Path(project.data.data_dir) / 'CollectedData.csv', '--output', tmp_path)
    cfg = cast(DictConfig, OmegaConf.load(tmp_path / 'config.yaml'))
    cfg.model.backbone = 'beast'
    with caplog.at_level('WARNING', 'lightning_pose'):
        check_pose_config(cfg)
        warn_about_resnet_optimizer(cfg)
    assert not caplog.records


def _pretrained(directory: Path) -> dict[str, Tensor]:
    """Return the weights that the host gets from a pretraining."""
    name: Any = 'beast'
    backbone, _ = build_backbone(name, backbone_checkpoint=str(directory))
    return cast(Any, backbone).vision_encoder.state_dict()
