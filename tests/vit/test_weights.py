"""Strict, counted loading of every kind of checkpoint."""

import json
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from transformers import ViTConfig, ViTModel

from beast_lp.config import parse_config
from beast_lp.errors import BeastError
from beast_lp.pretraining.module import BeastModule
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.load import load_encoder, load_into_vit
from beast_lp.vit.patches import interpolate_positions
from beast_lp.vit.weights import read_encoder

ARCHITECTURE = Architecture(64, 2, 1, 128, 16, (64, 64))


def _vit(image_size: int | list[int] = 64) -> ViTModel:
    config = {**ARCHITECTURE.transformers_config(), 'image_size': image_size}
    model = ViTModel(ViTConfig(**config), add_pooling_layer=False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def _old_name(name: str) -> str:
    """Return a tensor's name before transformers 5.9, written out independently."""
    name = re.sub(r'^layers\.', 'encoder.layer.', name)
    for new, old in {
        'attention.q_proj': 'attention.attention.query',
        'attention.k_proj': 'attention.attention.key',
        'attention.v_proj': 'attention.attention.value',
        'attention.o_proj': 'attention.output.dense',
        'mlp.fc1': 'intermediate.dense',
        'mlp.fc2': 'output.dense',
    }.items():
        name = name.replace(new, old)
    return name


def _old_state(model: ViTModel, prefix: str = '') -> dict[str, torch.Tensor]:
    return {prefix + _old_name(k): v.clone() for k, v in model.state_dict().items()}


@pytest.mark.parametrize('prefix', ['', 'vit_mae.vit.', 'vit.'])
@pytest.mark.parametrize('suffix', ['.ckpt', '.safetensors', '.pt'])
def test_old_weight_names_load_bit_identically(tmp_path: Path, prefix: str, suffix: str) -> None:
    source, target = _vit(), _vit()
    state = _old_state(source, prefix)
    assert any('attention.attention.query' in name for name in state)
    path = tmp_path / f'authors{suffix}'
    if suffix == '.safetensors':
        safetensors.torch.save_file(state, path)
    else:
        torch.save({'state_dict': {**state, 'projection.weight': torch.zeros(3)}}, path)

    used = load_into_vit(target, read_encoder(path))
    assert used == len(target.state_dict()) == 38
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


def test_new_weight_names_load_bit_identically(tmp_path: Path) -> None:
    source, target = _vit(), _vit()
    torch.save(source.state_dict(), tmp_path / 'new.pth')
    assert load_into_vit(target, read_encoder(tmp_path / 'new.pth')) == 38
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


def test_a_transformers_directory_and_a_pretraining_output_load(tmp_path: Path) -> None:
    model = _vit()
    model.save_pretrained(tmp_path / 'out' / 'backbone')
    for path in (tmp_path / 'out', tmp_path / 'out' / 'backbone'):
        encoder = read_encoder(path)
        assert encoder.architecture == ARCHITECTURE
        assert len(encoder.state) == 38


@pytest.mark.parametrize('size', [[96, 96], [64, 128]])
def test_position_embeddings_are_interpolated(tmp_path: Path, size: list[int]) -> None:
    source, target = _vit(), _vit(size)
    source.save_pretrained(tmp_path / 'm')
    load_into_vit(target, read_encoder(tmp_path / 'm'))
    grid = (size[0] // 16, size[1] // 16)
    wanted = interpolate_positions(source.embeddings.position_embeddings.detach(), (4, 4), grid)
    assert torch.equal(target.embeddings.position_embeddings, wanted)
    # what transformers does at run time for an image of that size
    image = torch.randn(1, 3, *size)
    with torch.no_grad():
        a = source.eval()(image, interpolate_pos_encoding=True).last_hidden_state
        b = target.eval()(image).last_hidden_state
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_missing_tensors_are_counted_and_refused(tmp_path: Path) -> None:
    state = _old_state(_vit())
    few = {
        k: v
        for k, v in state.items()
        if k.startswith('embeddings') or 'layernorm' in k or 'layer.0.intermediate' in k
    }
    torch.save(few, tmp_path / 'few.ckpt')
    with pytest.raises(BeastError, match='only .* of the .* tensors'):
        read_encoder(tmp_path / 'few.ckpt')


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    torch.save({'state_dict': {'conv1.weight': torch.zeros(1)}}, tmp_path / 'resnet.ckpt')
    with pytest.raises(BeastError, match='no ViT encoder.*conv1.weight'):
        read_encoder(tmp_path / 'resnet.ckpt')
    (tmp_path / 'm').mkdir()
    (tmp_path / 'm' / 'config.json').write_text(json.dumps({'model_type': 'resnet'}))
    safetensors.torch.save_file(_old_state(_vit()), tmp_path / 'm' / 'model.safetensors')
    with pytest.raises(BeastError, match="'resnet'"):
        read_encoder(tmp_path / 'm')


def test_another_width_than_the_model_is_refused(tmp_path: Path) -> None:
    _vit().save_pretrained(tmp_path / 'm')
    wide = ViTModel(
        ViTConfig(**Architecture(128, 2, 2, 128, 16, (64, 64)).transformers_config()),
        add_pooling_layer=False,
    )
    with pytest.raises(BeastError, match='only .* of 38 tensors'):
        load_into_vit(wide, read_encoder(tmp_path / 'm'))


@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [
        ('hidden_size', 128, 'cls_token'),
        ('intermediate_size', 256, 'intermediate'),
        ('patch_size', 8, 'patch_embeddings'),
        ('image_size', 96, 'position_embeddings'),
        ('num_hidden_layers', 1, 'has 2 layers'),
        ('num_hidden_layers', 3, 'only 38 of the 54 tensors'),
    ],
)
def test_a_config_that_contradicts_the_weights_is_refused(
    tmp_path: Path,
    key: str,
    value: int,
    words: str,
) -> None:
    _vit().save_pretrained(tmp_path)
    config = json.loads((tmp_path / 'config.json').read_text())
    (tmp_path / 'config.json').write_text(json.dumps({**config, key: value}))
    with pytest.raises(BeastError, match=words):
        read_encoder(tmp_path)


def _own_checkpoint(path: Path, image_size: list[int]) -> BeastModule:
    """Write a Lightning checkpoint of a pretraining module, as a run does."""
    module = BeastModule(
        parse_config(
            {
                'init': 'random',
                'model': {
                    'image_size': image_size,
                    'patch_size': 16,
                    'hidden_size': 32,
                    'num_layers': 2,
                    'mask_ratio': 0.5,
                    'decoder_hidden_size': 16,
                    'decoder_num_layers': 1,
                },
            }
        )
    )
    checkpoint: dict = {'state_dict': module.state_dict(), 'global_step': 3}
    module.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)
    return module


def test_a_checkpoint_of_a_run_serves_as_backbone_and_as_start(tmp_path: Path) -> None:
    module = _own_checkpoint(tmp_path / 'best.ckpt', [32, 64])
    encoder = read_encoder(tmp_path / 'best.ckpt')
    # neither heads of this width nor a grid of this shape can be told from the tensors
    assert encoder.architecture == module.model.architecture
    vit = ViTModel(
        ViTConfig(**encoder.architecture.transformers_config()), add_pooling_layer=False
    )
    assert load_into_vit(vit, encoder) == len(vit.state_dict())
    images = torch.randn(2, 3, 32, 64)
    with torch.no_grad():
        theirs = vit.eval()(images).last_hidden_state
        torch.testing.assert_close(theirs, module.model.eval().encode(images))

    fresh = BeastModule(module.config)
    load_encoder(fresh.model, encoder)
    for name, value in module.model.state_dict().items():
        assert torch.equal(fresh.model.state_dict()[name], value), name
