"""Checks and paths before the host trains a pose model."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from beast_lp.errors import BeastError
from beast_lp.host import compose, pose
from beast_lp.host.jobs import pretrain
from beast_lp.runs.log_file import logged_warnings


def _cfg(**changes: Any) -> DictConfig:
    cfg = OmegaConf.create(
        {
            'data': {'data_dir': 'project', 'image_resize_dims': {'height': 128, 'width': 256}},
            'model': {'model_type': 'heatmap', 'backbone': 'beast'},
            'training': {'optimizer': 'AdamW', 'optimizer_params': {'learning_rate': 5e-5}},
        }
    )
    for key, value in changes.items():
        OmegaConf.update(cfg, key.replace('__', '.'), value)
    return cfg


def test_a_good_config_passes() -> None:
    pose.check_pose_config(_cfg())


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'model__model_type': 'regression'}, 'regression'),
        ({'data__downsample_factor': 3}, 'downsample_factor: 3'),
        ({'model__model_type': 'heatmap_multiview_transformer'}, 'square images.*128 x 256'),
    ],
)
def test_what_the_host_would_build_wrongly_is_refused(
    changes: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(BeastError, match=words):
        pose.check_pose_config(_cfg(**changes))


def test_without_weights_there_is_a_sentence() -> None:
    with pytest.raises(BeastError, match='needs weights'):
        pose.prepare_training(_cfg(), None)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'data': {'num_keypoints': None}}, 'num_keypoints must be set'),
        ({'data': {'image_resize_dims': {'height': 100}}}, 'multiple of 128'),
        ({'training': {'train_prob': 0.9, 'val_prob': 0.9}}, 'must be <= 1.0'),
        ({'model': {'losses_to_use': ['temporal']}}, 'temporal.* needs an NVIDIA GPU'),
    ],
)
def test_what_the_host_refuses_is_refused_before_pretraining(
    changes: dict[str, Any],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setattr(pose, '_pretraining_stage', lambda cfg, model_dir: Path('/out'))
    example = Path(__file__).parents[2] / 'configs' / 'pose_beast.yaml'
    cfg = OmegaConf.load(example)
    cfg.data.num_keypoints = len(cfg.data.keypoint_names)
    assert isinstance(cfg, DictConfig)
    monkeypatch.setattr(pose, 'refuse_late_failures', lambda cfg: None)
    pose.prepare_training(cfg.copy(), None)
    with pytest.raises(BeastError, match=words):
        pose.prepare_training(OmegaConf.merge(cfg, changes), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ('wanted', 'expected'),
    [
        (None, 'model/beast'),
        ('~/stage', 'home/stage'),
        ('stage', 'start/stage'),
    ],
)
def test_the_stage_is_kept_where_the_config_says(
    wanted: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.setattr(pose, 'START_DIR', str(tmp_path / 'start'))
    monkeypatch.setattr(pose, 'check_before_pretraining', lambda cfg: None)
    monkeypatch.setattr(pose, 'refuse_late_failures', lambda cfg: None)
    monkeypatch.setattr(pretrain, 'pretrain', lambda cfg, output_dir, *args, **kwargs: output_dir)
    cfg = _cfg(beast={'output_dir': wanted})
    pose.prepare_training(cfg, tmp_path / 'model')
    assert cfg.model.backbone_checkpoint == str(tmp_path / expected)


def test_resnet_settings_are_warned_of_but_kept(caplog: pytest.LogCaptureFixture) -> None:
    cfg = _cfg(training__optimizer='Adam', training__optimizer_params={'learning_rate': 1e-3})
    before = OmegaConf.to_yaml(cfg)
    with caplog.at_level('WARNING', 'lightning_pose'):
        pose.warn_about_resnet_optimizer(cfg)
    assert 'AdamW, with 5e-5 for ViT-B, 5e-4 for the smallest' in caplog.text
    assert OmegaConf.to_yaml(cfg) == before
    caplog.clear()
    pose.warn_about_resnet_optimizer(_cfg())
    assert not caplog.records


@pytest.mark.parametrize(
    ('config', 'words'),
    [
        ('{"hidden_size": 192}', '0.0005 for this one'),
        ('{"hidden_size": 768}', '5e-05 for this one'),
        ('{', '5e-5 for ViT-B'),
        ('[]', '5e-5 for ViT-B'),
        ('{"hidden_size": null}', '5e-5 for ViT-B'),
    ],
)
@pytest.mark.parametrize('folder', ['run', 'run/backbone'])
def test_the_warning_names_the_step_that_suits_the_checkpoint(
    folder: str,
    config: str,
    words: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / 'config.json').write_text(config)
    cfg = _cfg(
        training__optimizer='Adam',
        training__optimizer_params={'learning_rate': 1e-3},
        model__backbone_checkpoint=str(tmp_path / 'run'),
    )
    with caplog.at_level('WARNING', 'lightning_pose'):
        pose.warn_about_resnet_optimizer(cfg)
    assert words in caplog.text


@pytest.mark.parametrize(
    ('preset', 'words'),
    [
        ('laptop', '0.0005 for this one'),
        ('vit_base', '5e-05 for this one'),
    ],
)
def test_the_warning_names_the_step_that_suits_the_pretraining_to_come(
    preset: str,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cfg = _cfg(
        training__optimizer='Adam',
        training__optimizer_params={'learning_rate': 1e-3},
        beast={'preset': preset},
    )
    with caplog.at_level('WARNING', 'lightning_pose'):
        pose.warn_about_resnet_optimizer(cfg)
    assert words in caplog.text


def test_children_of_a_training_are_told_its_directories(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ('BEAST_LP_START_DIR', 'BEAST_LP_OUTPUT_DIR'):
        monkeypatch.delenv(name, raising=False)
    stages: list[Path] = []
    monkeypatch.setattr(
        pose, 'prepare_training', lambda cfg, model_dir, _: stages.append(Path(model_dir))
    )
    monkeypatch.chdir(tmp_path)
    with pose.prepared_training(_cfg(), None):
        assert os.environ['BEAST_LP_START_DIR'] == pose.START_DIR
        # a child goes through the host's command, which makes and enters another folder
        (tmp_path / 'outputs').mkdir()
        monkeypatch.chdir(tmp_path / 'outputs')
        with pose.prepared_training(_cfg(), None):
            assert Path.cwd() == tmp_path
        assert not (tmp_path / 'outputs').exists()
        assert 'BEAST_LP_START_DIR' in os.environ
    assert stages == [tmp_path, tmp_path]
    assert not {'BEAST_LP_START_DIR', 'BEAST_LP_OUTPUT_DIR'} & set(os.environ)


@pytest.mark.parametrize('rank', [0, 1])
def test_a_training_keeps_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    monkeypatch.setenv('RANK', str(rank))
    monkeypatch.setattr(pose, 'refuse_late_failures', lambda cfg: None)
    monkeypatch.setattr(pretrain, 'pretrain', lambda cfg, output_dir, *args, **kwargs: output_dir)
    monkeypatch.setattr(pose, 'check_before_pretraining', lambda cfg: None)
    cfg = _cfg(
        beast={'preset': 'laptop'},
        training__optimizer='Adam',
        training__optimizer_params={'learning_rate': 1e-3},
    )
    with pose.prepared_training(cfg, tmp_path / 'model'):
        logging.getLogger('lightning_pose.utils').warning('of the host')
    found = logged_warnings(tmp_path / 'model' / 'train.log')
    assert [words[:18] for words in found] == (
        [] if rank else ['training.optimizer', 'of the host']
    )


@pytest.mark.parametrize(
    ('folder', 'given', 'refused'),
    [
        ('outputs/2026-11-26/19-22-15', False, True),
        ('outputs/2026-11-26/19-22-15', True, False),
        ('mine', False, False),
    ],
)
def test_launched_processes_do_not_name_directories_by_the_clock(
    folder: str,
    given: bool,
    refused: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each has its own: the host would mix, or lose, what they write."""
    monkeypatch.setattr(pose, 'START_DIR', str(tmp_path))
    monkeypatch.setattr(pose, 'prepare_training', lambda *_: None)
    monkeypatch.setattr('beast_lp.pretraining.launch.launched_processes', lambda: 2)
    own = tmp_path / folder
    own.mkdir(parents=True)
    monkeypatch.chdir(own)
    if not refused:
        with pose.prepared_training(_cfg(), own if given else None):
            assert Path.cwd() == own
        return
    with (
        pytest.raises(BeastError, match='give --output_dir'),
        pose.prepared_training(_cfg(), None),
    ):
        pass
    assert Path.cwd() == tmp_path and not own.exists()


def test_relative_checkpoints_become_absolute_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / 'project' / 'inside').mkdir(parents=True)
    (tmp_path / 'beside').mkdir()
    monkeypatch.setattr(pose, 'START_DIR', str(tmp_path))
    monkeypatch.setattr(compose, 'START_DIR', str(tmp_path))
    assert pose.absolute_path('beside', _cfg()) == str(tmp_path / 'beside')
    assert pose.absolute_path('inside', _cfg()) == str(tmp_path / 'project' / 'inside')
    assert pose.absolute_path('facebook/vit-mae-base', _cfg()) == 'facebook/vit-mae-base'
    assert pose.absolute_path('/x/y', _cfg()) == '/x/y'
    # a config that holds a `beast:` section alone
    assert pose.absolute_path('beside', OmegaConf.create()) == str(tmp_path / 'beside')
    assert pose.absolute_path('/x/y', OmegaConf.create()) == '/x/y'

    # the user's home
    monkeypatch.setenv('HOME', str(tmp_path))
    assert pose.absolute_path('~/beside', _cfg()) == str(tmp_path / 'beside')
    assert pose.absolute_path('~/not yet', _cfg()) == str(tmp_path / 'not yet')

    cfg = _cfg(model__backbone_checkpoint='beside')
    pose.prepare_training(cfg, None, evaluates=False)
    assert cfg.model.backbone_checkpoint == str(tmp_path / 'beside')
