"""From the `beast:` section of a pose config to the typed schema, and back."""

import subprocess
import sys
from typing import Any

import pytest
from omegaconf import OmegaConf

from beast_lp.config import PRESETS, BeastConfig, config_yaml, parse_config
from beast_lp.errors import BeastError


def test_absent_section_means_the_papers_defaults() -> None:
    config = parse_config(None)
    assert config == BeastConfig()
    assert config.model.num_patches == 196
    assert config.model.num_visible == 49
    assert config.loss.contrastive_weight == 0.03
    assert config.training.epochs == 800


def test_user_keys_take_precedence_over_the_preset() -> None:
    config = parse_config({'preset': 'laptop', 'training': {'epochs': 3}})
    assert config.training.epochs == 3
    assert config.training.batch_size == PRESETS['laptop']['training']['batch_size']
    assert config.init == 'random'


def test_a_length_in_epochs_takes_precedence_over_a_presets_length_in_steps() -> None:
    assert parse_config({'preset': 'laptop'}).training.steps is not None
    given = parse_config({'preset': 'laptop', 'training': {'epochs': 3}}).training
    assert (given.steps, given.num_epochs) == (None, 3)
    both = {'preset': 'laptop', 'training': {'epochs': 3, 'steps': 100}}
    assert parse_config(both).training.steps == 100


@pytest.mark.parametrize('steps', [1, 7, 50, 51, 99, 1000, 12_345])
def test_a_length_in_steps_is_divided_into_at_most_fifty_epochs(steps: int) -> None:
    training = parse_config({'training': {'steps': steps}}).training
    each, epochs = training.steps_per_epoch, training.num_epochs
    assert each is not None
    assert epochs <= 50
    # the last epoch is whole, so that a run may be longer by less than one
    assert steps <= each * epochs < steps + each


def test_the_peak_of_the_learning_rate_is_that_of_older_versions() -> None:
    # 5e-5 for 256 frames is 2.5e-5 for the 128 of a step
    config = parse_config({'training': {'learning_rate': 5e-5}})
    assert config.training.peak_learning_rate == 2.5e-5
    with pytest.raises(BeastError, match='found 0.001; give beast.training.peak_learning_rate'):
        parse_config({'training': {'learning_rate': 1e-3}})


def test_one_number_is_a_square_image() -> None:
    assert parse_config({'model': {'image_size': 96}}).model.image_size == [96, 96]


def test_yaml_round_trip() -> None:
    section = {'preset': 'vit_tiny', 'videos': ['a b.mp4'], 'loss': {'temperature': 2}}
    config = parse_config(section)
    assert parse_config(OmegaConf.create(config_yaml(config)).beast) == config


@pytest.mark.parametrize(
    ('section', 'words'),
    [
        ({'modle': {}}, ['beast.modle', "'model'"]),
        ({'training': {'epoch': 3}}, ['beast.training.epoch', "'epochs'"]),
        ({'training': {'epochs': 'many'}}, ['beast.training.epochs', "'many'"]),
        ({'training': {'epochs': 2.5}}, ['beast.training.epochs', "'2.5'"]),
        (
            {'training': {'epochs': 0}},
            ['beast.training.epochs', 'between 1 and 1000000', 'found 0'],
        ),
        ({'training': 3}, ['beast.training', 'mapping', '3']),
        ({'training': {'batch_size': 7}}, ['even', '7']),
        ({'preset': 'vit_bas'}, ['vit_bas', "'vit_base'"]),
        ({'anchors': {'strategy': 'best'}}, ['beast.anchors.strategy', 'distinct', "'best'"]),
        ({'model': {'image_size': 100}}, ['image_size', 'multiples', '16']),
        ({'model': {'image_size': [32, 32, 3]}}, ['image_size', '[height, width]']),
        ({'model': {'hidden_size': 100}}, ['beast.model.hidden_size', 'of 64', 'found 100']),
        ({'model': {'hidden_size': 30}}, ['beast.model.hidden_size', 'of 4', 'found 30']),
        (
            {'model': {'decoder_hidden_size': 80}},
            ['beast.model.decoder_hidden_size', 'of 32', 'found 80'],
        ),
        ({'model': {'image_size': 16}}, ['mask_ratio', 'hides none']),
        ({'loss': {'reconstruction_weight': 0, 'contrastive_weight': 0}}, ['both 0']),
        ({'loss': {'temperature': 0}}, ['temperature', 'greater than 0']),
        ({'model': {'patch_size': 0}}, ['beast.model.patch_size', 'between 1 and 256', 'found 0']),
        ({'model': {'image_size': 224, 'patch_size': -16}}, ['patch_size', 'found -16']),
        ({'model': {'mlp_size': 64}}, ['beast.model.mlp_size is no longer', '3072', 'found 64']),
        ({'augmentation': {'flip_vertical': 0.5}}, ['flip_vertical is no longer', 'found 0.5']),
        ({'model': {'hidden_size': 0}}, ['beast.model.hidden_size', 'found 0']),
        (
            {'model': {'decoder_hidden_size': -16}},
            ['beast.model.decoder_hidden_size', 'found -16'],
        ),
        ({'seed': -1}, ['beast.seed', 'between 0 and', 'found -1']),
        ({'seed': 2**32}, ['beast.seed', '4294967295', 'found 4294967296']),
        ({'segmentation': {'seed': 3}}, ['beast.segmentation.seed', 'no longer', 'uses 0']),
        (
            {'segmentation': {'split': {'by': 'folds', 'test_videos': 'test'}}},
            ['split.test_videos is for', 'by=folds', 'set beast.segmentation.split.by=video'],
        ),
        (
            OmegaConf.create({'beast': {'seed': '${data.nope}'}}).beast,
            ['beast.seed', 'data.nope', 'cannot be resolved'],
        ),
        ({'init': None}, ['beast.init']),
        ('laptop', ['mapping', "found 'laptop'", '`beast: {preset: laptop}`']),
        (['laptop'], ['mapping', "['laptop']", '`beast: {preset: vit_base}`']),
    ],
)
def test_bad_values_get_a_sentence(section: Any, words: list[str]) -> None:
    with pytest.raises(BeastError) as error:
        parse_config(section)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert '\n' not in str(error.value)


def test_the_images_of_the_pose_model_give_the_size_where_nothing_else_does() -> None:
    assert parse_config({}).model.image_size == [224, 224]
    config = parse_config({'model': {'patch_size': 16}}, (128, 384))
    assert (config.model.image_size, config.windows.longest_side) == ([128, 384], 384)
    for section, side in (({'preset': 'laptop'}, 64), ({'model': {'image_size': 128}}, 128)):
        config = parse_config(section, (128, 384))
        assert config.model.image_size == [side, side]
        assert config.windows.longest_side == parse_config(section).windows.longest_side


@pytest.mark.parametrize(
    ('section', 'longest'),
    [
        ({}, 256),
        ({'model': {'image_size': 448}}, 448),
        ({'model': {'image_size': [128, 384]}}, 384),
        ({'preset': 'laptop'}, 96),
        ({'preset': 'laptop', 'model': {'image_size': 224}}, 224),
        # what the user asks for is theirs
        ({'model': {'image_size': 448}, 'windows': {'longest_side': 300}}, 300),
        ({'model': {'image_size': 448}, 'windows': {'processes': 2}}, 448),
    ],
)
def test_clips_are_no_smaller_than_the_images(section: dict[str, Any], longest: int) -> None:
    config = parse_config(section)
    assert config.windows.longest_side == longest
    assert parse_config(OmegaConf.create(config_yaml(config)).beast) == config


def test_parsing_imports_neither_torch_nor_the_host() -> None:
    # a mistake in a config is found in a second, not after all that is heavy was imported
    heavy = "{'torch', 'lightning', 'lightning_pose', 'transformers', 'pandas'}"
    script = f'import sys, beast_lp.config; print(sorted({heavy} & sys.modules.keys()))'
    found = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == '[]'


@pytest.mark.parametrize(
    'key',
    [
        'projects',
        'tune',
        'model.image_size',
        'segmentation.classes',
        'segmentation.ignore',
        'encoding.encoders',
        'encoding.trials.window',
    ],
)
@pytest.mark.parametrize('item', [[1], {'a': 1}])
def test_a_list_in_a_list_gets_a_sentence(key: str, item: object) -> None:
    section = OmegaConf.create()
    OmegaConf.update(section, key, [item, [2]])
    with pytest.raises(BeastError, match=f'^beast.{key} must be a list of single values, found'):
        parse_config(section)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('tune', [1e30]),
        ('pairs.offset_ms', 1e30),
        ('loss.reconstruction_weight', 1e30),
        ('loss.contrastive_weight', 1e30),
        ('loss.temperature', 1e30),
        ('training.peak_learning_rate', 1e30),
        ('training.weight_decay', 1e30),
        ('segmentation.fitting.learning_rate', 1e30),
        ('encoding.bin_ms', 10**30),
        ('encoding.clock_offset_s', -1e30),
        ('encoding.split.block_s', 10**30),
        ('encoding.trials.window', [-1e30, 1]),
    ],
)
def test_numbers_with_which_no_run_is_of_use_are_refused(key: str, value: object) -> None:
    section = OmegaConf.create()
    OmegaConf.update(section, key, value)
    with pytest.raises(BeastError, match=f'^beast.{key} must be between'):
        parse_config(section)
