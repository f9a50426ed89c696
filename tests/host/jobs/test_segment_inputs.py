"""Videos, labels and settings that a config names for segmentation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from beast_lp.config import parse_config
from beast_lp.config.segmentation import DecodingConfig
from beast_lp.errors import BeastError
from beast_lp.host.jobs.segment_inputs import check_inputs, config_of_use, resolve


def test_a_link_to_a_video_is_that_video(tmp_path: Path) -> None:
    for name in ('videos/a.mp4', 'videos/b.mp4', 'others/c.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'test').mkdir()
    for name, target in (('x.mp4', 'videos/b.mp4'), ('y.mp4', 'others/c.mp4')):
        (tmp_path / 'test' / name).symlink_to(tmp_path / target)
    cfg = OmegaConf.create(
        {
            'data': {'data_dir': str(tmp_path), 'video_dir': 'videos'},
            'beast': {'segmentation': {'split': {'test_videos': 'test'}}},
        }
    )
    inputs = resolve(cfg, parse_config(cfg.beast).segmentation)
    names = ['videos/a.mp4', 'videos/b.mp4', 'test/y.mp4']
    assert inputs.videos == [tmp_path / name for name in names]
    assert inputs.held_out == [tmp_path / name for name in names[1:]]


def test_paths_start_at_the_data_directory_or_at_home(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    for name in ('videos/a.mp4', 'project/b.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    section = {
        'videos': ['~/videos', 'b.mp4'],
        'labels': '~/labels',
        'features_dir': '~/features',
        'keypoints_dir': 'keypoints',
        'split': {'test_videos': '~/videos/a.mp4'},
    }
    project = tmp_path / 'project'
    cfg = OmegaConf.create(
        {
            'data': {'data_dir': str(project)},
            'beast': {'segmentation': section},
        }
    )
    inputs = resolve(cfg, parse_config(cfg.beast).segmentation)
    assert inputs.videos == [tmp_path / 'videos' / 'a.mp4', project / 'b.mp4']
    assert inputs.held_out == inputs.videos[:1]
    assert (inputs.labels, inputs.features_dir) == (tmp_path / 'labels', tmp_path / 'features')
    assert inputs.keypoints_dir == project / 'keypoints'
    del cfg.beast.segmentation.videos
    with pytest.raises(BeastError, match='set data.video_dir .* beast.segmentation.videos'):
        resolve(cfg, parse_config(cfg.beast).segmentation)


def test_models_are_used_as_the_config_says_and_else_as_in_training() -> None:
    trained = parse_config(
        {
            'segmentation': {
                'features': 'cls',
                'subject': 'a',
                'ignore': ['odd'],
                'labels': 'scored',
                'videos': 'old',
                'decoding': {'min_bout_frames': 5},
                'background': 'class',
            }
        }
    ).segmentation
    used = config_of_use(OmegaConf.create({}), trained)
    assert used == replace(trained, videos=None)
    cfg = OmegaConf.create(
        {
            'method': 'viterbi',
            'beast': {
                'segmentation': {
                    'features': 'patches',
                    'subject': 'b',
                    'ignore': [],
                    'background': 'unscored',
                    'features_dir': 'features',
                    # what older versions wrote
                    'decoding': {'method': '${method}', 'stay': 0.95},
                    'label_format': 'auto',
                    'videos': 'new',
                }
            },
        }
    )
    assert config_of_use(cfg, trained) == replace(
        trained, subject='b', ignore=[], videos='new', decoding=DecodingConfig('viterbi', 5)
    )
    # features that `litpose embed` wrote are where those of the new videos are
    stored = replace(trained, features_dir='old')
    assert config_of_use(cfg, stored).features_dir == 'features'
    # a model of crops is used on crops, whose boxes may lie elsewhere, one of whole frames is not
    cfg.beast.segmentation = {'bbox_dir': 'boxes'}
    assert config_of_use(cfg, replace(trained, bbox_dir='old')).bbox_dir == 'boxes'
    assert config_of_use(OmegaConf.create({}), replace(trained, bbox_dir='old')).bbox_dir == 'old'
    assert config_of_use(cfg, trained).bbox_dir is None


@pytest.mark.parametrize(
    ('action', 'section', 'model_dir', 'words'),
    [
        ('train', {'features': 'both_kinds'}, None, 'beast.segmentation.features must be'),
        ('train', {'videos': 'nowhere'}, None, 'nowhere does not exist'),
        ('train', {'labels': 'nowhere'}, None, 'no labels at .*nowhere'),
        ('evaluate', {'labels': 'nowhere'}, '.', 'no labels at .*nowhere'),
        ('predict', {}, 'model', 'no folder .*model; give the output directory'),
    ],
)
def test_paths_and_settings_are_checked_first(
    action: str,
    section: dict[str, Any],
    model_dir: str | None,
    words: str,
    tmp_path: Path,
) -> None:
    (tmp_path / 'a.mp4').touch()
    (tmp_path / 'labels').mkdir()
    section = {'videos': 'a.mp4', 'labels': 'labels', **section}
    cfg = OmegaConf.create(
        {'data': {'data_dir': str(tmp_path)}, 'beast': {'segmentation': section}}
    )
    with pytest.raises(BeastError, match=words):
        check_inputs(cfg, action, (), tmp_path / model_dir if model_dir else None)
    # labels are not needed to predict
    section = {**section, 'features': 'cls', 'videos': 'a.mp4'}
    cfg.beast.segmentation = section
    check_inputs(cfg, 'predict', (), tmp_path)
