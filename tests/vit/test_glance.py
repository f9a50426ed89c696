"""A glance at initial weights tells when a closer look can wait, and only then."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from transformers import ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTModel

from beast_lp.config import ModelConfig
from beast_lp.errors import BeastError
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.glance import fits_at_a_glance
from beast_lp.vit.model import Encoder
from beast_lp.vit.save import encoder_to_transformers, save_backbone

MODEL = ModelConfig(image_size=[64, 64], patch_size=16, hidden_size=64, num_layers=2)
SHAPE = Architecture.from_config(MODEL)


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    """Return a backbone as a pretraining writes it."""
    save_backbone(tmp_path / 'backbone', SHAPE, encoder_to_transformers(Encoder(SHAPE)))
    return tmp_path / 'backbone'


def test_whole_weights_of_the_right_sizes_fit(backbone: Path, tmp_path: Path) -> None:
    assert fits_at_a_glance(backbone, MODEL)
    # the directory of a run
    assert fits_at_a_glance(tmp_path, MODEL)
    sizes = SHAPE.transformers_config()
    for name, model in {
        'vit': ViTModel(ViTConfig(**sizes)),
        'mae': ViTMAEForPreTraining(ViTMAEConfig(**{**sizes, 'image_size': 64})),
    }.items():
        model.save_pretrained(str(tmp_path / name), safe_serialization=True)
        assert fits_at_a_glance(tmp_path / name, MODEL), name
    # positions are interpolated
    assert fits_at_a_glance(backbone, replace(MODEL, image_size=[96, 96]))


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('hidden_size', 128),
        ('num_layers', 1),
        ('num_layers', 3),
        ('num_heads', 2),
        ('mlp_size', 128),
        ('patch_size', 8),
    ],
)
def test_other_sizes_need_a_closer_look(tmp_path: Path, name: str, value: int) -> None:
    other = replace(SHAPE, **{name: value})
    save_backbone(tmp_path / 'other', other, encoder_to_transformers(Encoder(other)))
    assert not fits_at_a_glance(tmp_path / 'other', MODEL)
    # whose sizes the file states in vain
    save_backbone(tmp_path / 'claimed', SHAPE, encoder_to_transformers(Encoder(other)))
    # the number of heads leaves no trace in the tensors
    assert fits_at_a_glance(tmp_path / 'claimed', MODEL) == (name == 'num_heads')


def _remove_a_tensor(folder: Path) -> None:
    file = folder / 'model.safetensors'
    state = safetensors.torch.load_file(file)
    del state['encoder.layer.1.layernorm_after.bias']
    safetensors.torch.save_file(state, file)


def _reshape_a_tensor(folder: Path) -> None:
    file = folder / 'model.safetensors'
    state = safetensors.torch.load_file(file)
    state['embeddings.position_embeddings'] = torch.zeros(1, 5, 64)
    safetensors.torch.save_file(state, file)


def _cut(folder: Path) -> None:
    file = folder / 'model.safetensors'
    file.write_bytes(file.read_bytes()[:-10])


def _pickle(folder: Path) -> None:
    file = folder / 'model.safetensors'
    torch.save(safetensors.torch.load_file(file), folder / 'pytorch_model.bin')
    file.unlink()


def _undescribed(folder: Path) -> None:
    (folder / 'config.json').unlink()


def _no_json(folder: Path) -> None:
    (folder / 'config.json').write_text('{')


def _a_list(folder: Path) -> None:
    (folder / 'config.json').write_text('[]')


def _no_size(folder: Path) -> None:
    file = folder / 'config.json'
    file.write_text(json.dumps({**json.loads(file.read_text()), 'image_size': 'large'}))


@pytest.mark.parametrize(
    'change',
    [
        _remove_a_tensor,
        _reshape_a_tensor,
        _cut,
        _pickle,
        _undescribed,
        _no_json,
        _a_list,
        _no_size,
    ],
)
def test_what_is_odd_needs_a_closer_look(backbone: Path, change: Callable[[Path], None]) -> None:
    change(backbone)
    assert not fits_at_a_glance(backbone, MODEL)


def test_missing_weights_are_refused_at_once(backbone: Path) -> None:
    with pytest.raises(BeastError, match='no checkpoint at'):
        fits_at_a_glance(backbone / 'nothing', MODEL)
    shutil.rmtree(backbone)
    with pytest.raises(BeastError, match='no checkpoint at'):
        fits_at_a_glance(backbone, MODEL)
