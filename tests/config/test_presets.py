"""Sets of values under one name."""

import pytest

from beast_lp.config import PRESETS, parse_config
from beast_lp.config.presets import PRESET_HELP


@pytest.mark.parametrize('preset', PRESETS)
def test_every_preset_is_valid(preset: str) -> None:
    assert parse_config({'preset': preset}).preset == preset


def test_every_preset_has_its_line_of_help() -> None:
    assert PRESET_HELP.keys() == PRESETS.keys()


@pytest.mark.parametrize(
    ('preset', 'sizes'),
    [
        ('vit_large', (16, 4096, 16, 2048)),
        ('vit_base', (12, 3072, 16, 2048)),
        ('vit_small', (6, 1536, 8, 1024)),
        ('vit_tiny', (3, 768, 2, 256)),
        ('laptop', (2, 512, 2, 256)),
    ],
)
def test_heads_and_mlps_follow_from_the_widths(preset: str, sizes: tuple[int, ...]) -> None:
    model = parse_config({'preset': preset}).model
    names = ('num_heads', 'mlp_size', 'decoder_num_heads', 'decoder_mlp_size')
    assert tuple(getattr(model, name) for name in names) == sizes
    # a config of an older version names them
    given = {'preset': preset, 'model': dict(zip(names, sizes, strict=True))}
    assert parse_config(given).model == model


def test_a_narrow_model_has_one_head() -> None:
    model = parse_config({'model': {'hidden_size': 32, 'decoder_hidden_size': 16}}).model
    assert (model.num_heads, model.mlp_size) == (1, 128)
    assert (model.decoder_num_heads, model.decoder_mlp_size) == (1, 64)


@pytest.mark.parametrize('preset', PRESETS)
def test_cameras_stand_still_but_in_the_recipe_of_the_paper(preset: str) -> None:
    config = parse_config({'preset': preset})
    if config.init == 'random' or preset == 'continue':
        assert config.augmentation.flip_horizontal == 0
        assert config.training.optimizer == 'muon'
    else:
        # the paper's
        training = config.training
        assert (training.optimizer, training.steps, training.epochs) == ('adamw', None, 800)
        assert (training.peak_learning_rate * 256 / training.batch_size, training.beta2) == (
            5e-5,
            0.999,
        )
        assert config.augmentation.flip_horizontal == 0.5


def test_continuing_is_the_same_rate_in_a_sixth_of_the_steps() -> None:
    first, second = (parse_config({'preset': name}).training for name in ('laptop', 'continue'))
    assert second.peak_learning_rate == first.peak_learning_rate
    assert first.steps is not None and second.steps == first.steps / 6
