"""Shapes of encoders that files describe: read, or refused before anything is built."""

import json
from pathlib import Path
from typing import Any

import pytest

from beast_lp.errors import BeastError
from beast_lp.vit.architecture import Architecture

SHAPE = Architecture(64, 2, 1, 256, patch_size=16, image_size=(32, 48), layer_norm_eps=1e-6)
FILE = Path('config.json')


def test_both_descriptions_are_read_back() -> None:
    assert Architecture.from_json(SHAPE.to_json(), FILE) == SHAPE
    assert Architecture.from_transformers_config(SHAPE.transformers_config(), FILE) == SHAPE
    square = SHAPE.transformers_config() | {'image_size': 32}
    assert Architecture.from_transformers_config(square, FILE).image_size == (32, 32)


WRONG: list[Any] = [None, -1, 0, 10**30, 1.5, float('nan'), 'x', '', [], [None], {}, True]


@pytest.mark.parametrize('value', WRONG, ids=repr)
@pytest.mark.parametrize(
    'key',
    ['hidden_size', 'num_hidden_layers', 'num_attention_heads', 'intermediate_size', 'patch_size'],
)
def test_a_size_that_cannot_be_gets_a_sentence(key: str, value: object) -> None:
    values = SHAPE.transformers_config() | {key: value}
    with pytest.raises(BeastError, match=r'^config\.json gives .* of the ViT, which cannot be'):
        Architecture.from_transformers_config(values, FILE)


@pytest.mark.parametrize('value', [*WRONG, [32], [32, None], [32, 48, 3], '32'], ids=repr)
def test_an_image_size_that_cannot_be_gets_a_sentence(value: object) -> None:
    values = SHAPE.transformers_config() | {'image_size': value}
    with pytest.raises(BeastError, match=r'as image_size of the ViT, which cannot be'):
        Architecture.from_transformers_config(values, FILE)


@pytest.mark.parametrize('value', [None, -1, 7, 10**30, float('nan'), '1e-12', [], True], ids=repr)
def test_an_epsilon_that_cannot_be_gets_a_sentence(value: object) -> None:
    values = SHAPE.transformers_config() | {'layer_norm_eps': value}
    with pytest.raises(BeastError, match=r'as layer_norm_eps of the ViT, which cannot be'):
        Architecture.from_transformers_config(values, FILE)


def test_heads_that_do_not_divide_the_width_get_a_sentence() -> None:
    values = SHAPE.transformers_config() | {'num_attention_heads': 3}
    with pytest.raises(BeastError, match='divides a width of 64 among 3 heads'):
        Architecture.from_transformers_config(values, FILE)


@pytest.mark.parametrize('values', [[], 'vit', 7, None])
def test_settings_that_are_no_mapping_get_a_sentence(values: object) -> None:
    with pytest.raises(BeastError, match=r'^config\.json '):
        Architecture.from_transformers_config(values, FILE)


@pytest.mark.parametrize(
    'text',
    ['', '[]', '7', '{}', '{"image_size": 3}', '[' * 100_000]
    + [
        json.dumps(json.loads(SHAPE.to_json()) | changed)
        for changed in ({'more': 1}, {'mlp_size': 0})
    ],
)
def test_a_damaged_statement_of_a_checkpoint_gets_a_sentence(text: str) -> None:
    with pytest.raises(BeastError, match=r'^config\.json ') as error:
        Architecture.from_json(text, FILE)
    assert '\n' not in str(error.value)
