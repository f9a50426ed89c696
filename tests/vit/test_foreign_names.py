"""Weights under the names of other programs give what those programs compute."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from beast_lp.config import parse_config
from beast_lp.errors import BeastError
from beast_lp.vit.load import load_encoder
from beast_lp.vit.model import Encoder, MaskedAutoencoder
from beast_lp.vit.weights import infer_architecture, read_encoder

State = dict[str, Tensor]
WIDTH, LAYERS, PATCH, GRID = 128, 2, 16, 3
DECODER_WIDTH = 64


def _random(*shape: int) -> Tensor:
    # large enough that a wrong name, order or number of heads changes the output
    return torch.randn(*shape) * 0.2


def _linear(name: str, rows: int, columns: int) -> State:
    return {f'{name}.weight': _random(rows, columns), f'{name}.bias': _random(rows)}


def _norm(name: str, width: int) -> State:
    return {f'{name}.weight': 1 + _random(width), f'{name}.bias': _random(width)}


def _block(name: str, width: int) -> State:
    return {
        **_norm(f'{name}.norm1', width),
        **_linear(f'{name}.attn.qkv', 3 * width, width),
        **_linear(f'{name}.attn.proj', width, width),
        **_norm(f'{name}.norm2', width),
        **_linear(f'{name}.mlp.fc1', 4 * width, width),
        **_linear(f'{name}.mlp.fc2', width, 4 * width),
    }


def _timm(width: int = WIDTH) -> State:
    """Return the tensors of a small ViT as timm names them."""
    state = {
        'cls_token': _random(1, 1, width),
        'pos_embed': _random(1, 1 + GRID**2, width),
        'patch_embed.proj.weight': _random(width, 3, PATCH, PATCH),
        'patch_embed.proj.bias': _random(width),
        **_norm('norm', width),
    }
    for layer in range(LAYERS):
        state |= _block(f'blocks.{layer}', width)
    return state


def _decoder() -> State:
    """Return the decoder of a small ViT-MAE as facebookresearch/mae names it."""
    return {
        'mask_token': _random(1, 1, DECODER_WIDTH),
        'decoder_pos_embed': _random(1, 1 + GRID**2, DECODER_WIDTH),
        **_linear('decoder_embed', DECODER_WIDTH, WIDTH),
        **_block('decoder_blocks.0', DECODER_WIDTH),
        **_norm('decoder_norm', DECODER_WIDTH),
        **_linear('decoder_pred', 3 * PATCH**2, DECODER_WIDTH),
    }


def _reference(state: State, images: Tensor, heads: int) -> Tensor:
    """Compute what timm's ViT computes: CLS and patch tokens after the last norm."""

    def linear(name: str, x: Tensor) -> Tensor:
        return functional.linear(x, state[f'{name}.weight'], state[f'{name}.bias'])

    def norm(name: str, x: Tensor) -> Tensor:
        weight, bias = state[f'{name}.weight'], state[f'{name}.bias']
        return functional.layer_norm(x, weight.shape, weight, bias, 1e-6)

    weight, bias = state['patch_embed.proj.weight'], state['patch_embed.proj.bias']
    patches = functional.conv2d(images, weight, bias, stride=PATCH).flatten(2).transpose(1, 2)
    x = torch.cat([state['cls_token'].expand(len(images), -1, -1), patches], dim=1)
    x = x + state['pos_embed']
    for layer in range(LAYERS):
        name = f'blocks.{layer}'
        batch, tokens, width = x.shape
        qkv = linear(f'{name}.attn.qkv', norm(f'{name}.norm1', x))
        q, k, v = qkv.reshape(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-2, -1) * (width // heads) ** -0.5).softmax(dim=-1)
        attended = (attention @ v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + linear(f'{name}.attn.proj', attended)
        hidden = functional.gelu(linear(f'{name}.mlp.fc1', norm(f'{name}.norm2', x)))
        x = x + linear(f'{name}.mlp.fc2', hidden)
    return norm('norm', x)


def _prefixed(prefix: str, state: State) -> State:
    return {f'{prefix}{name}': value for name, value in state.items()}


def _other() -> State:
    return _timm()


# what a file holds, given the tensors of the encoder that is to be read from it
LAYOUTS: dict[str, Callable[[State], Any]] = {
    'timm': lambda vit: {**vit, **_linear('head', 10, WIDTH)},
    'facebookresearch/mae': lambda vit: {'model': {**vit, **_decoder()}},
    'DINO backbone': lambda vit: vit,
    'DINO training': lambda vit: {
        'student': _prefixed('module.backbone.', _other()),
        'teacher': {**_prefixed('backbone.', vit), 'head.mlp.0.weight': _random(4, 4)},
        'epoch': 3,
    },
    'student alone': lambda vit: {'student': _prefixed('module.backbone.', vit)},
    'lightly-train training': lambda vit: {
        'state_dict': {
            **_prefixed('student_embedding_model.wrapped_model._model.', _other()),
            **_prefixed('teacher_embedding_model.wrapped_model._model.', vit),
        }
    },
}


@pytest.mark.parametrize('layout', LAYOUTS)
def test_the_output_is_that_of_the_program_that_wrote_the_file(
    tmp_path: Path,
    layout: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    torch.manual_seed(0)
    vit = _timm()
    torch.save(LAYOUTS[layout](vit), tmp_path / 'theirs.pth')
    with caplog.at_level(logging.INFO):
        encoder = read_encoder(tmp_path / 'theirs.pth')
    assert encoder.architecture.layer_norm_eps == 1e-6
    assert len(encoder.state) == 38
    assert 'theirs.pth does not say how many attention heads it has, so 2 are taken' in caplog.text
    model = Encoder(encoder.architecture)
    load_encoder(model, encoder)
    images = torch.randn(2, 3, GRID * PATCH, GRID * PATCH)
    with torch.no_grad():
        found = model.eval().encode(images)
    torch.testing.assert_close(found, _reference(vit, images, heads=2), rtol=1e-4, atol=1e-4)


def test_the_decoder_of_mae_is_read_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vit, decoder = _timm(), _decoder()
    torch.save({'model': {**vit, **decoder}}, tmp_path / 'mae_pretrain.pth')
    config = parse_config(
        {
            'model': {
                'image_size': GRID * PATCH,
                'patch_size': PATCH,
                'hidden_size': WIDTH,
                'num_layers': LAYERS,
                'mask_ratio': 0.5,
                'decoder_hidden_size': DECODER_WIDTH,
                'decoder_num_layers': 1,
            }
        }
    )
    model = MaskedAutoencoder(config.model)
    load_encoder(model, read_encoder(tmp_path / 'mae_pretrain.pth'))
    loaded = model.state_dict()
    qkv = 'blocks.0.attn.qkv.weight'
    assert torch.equal(loaded['decoder_blocks.0.qkv.weight'], decoder[f'decoder_{qkv}'])
    assert torch.equal(loaded['predict.bias'], decoder['decoder_pred.bias'])
    assert torch.equal(loaded['blocks.0.qkv.weight'], vit[qkv])


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda vit: vit.pop('blocks.1.mlp.fc2.bias'), 'only 37 of the 38 tensors'),
        # fine-tuned by facebookresearch/mae on pooled tokens
        (lambda vit: vit.pop('norm.weight'), 'layernorm.weight is missing'),
        (lambda vit: vit.update({'blocks.0.ls1.gamma': _random(WIDTH)}), 'ls1.gamma, which a'),
        (lambda vit: vit.update(register_tokens=_random(1, 4, WIDTH)), 'register_tokens, which'),
        (
            lambda vit: vit.update({'blocks.0.attn.qkv.weight': _random(3 * WIDTH - 1, WIDTH)}),
            r'value.weight of .* has the shape \(127, 128\)',
        ),
        (lambda vit: vit.update(cls_token=torch.full((1, 1, WIDTH), torch.nan)), 'not finite'),
    ],
    ids=['short', 'pooled', 'layer scale', 'registers', 'qkv', 'nan'],
)
def test_what_would_compute_something_else_is_refused(
    tmp_path: Path,
    change: Callable[[State], object],
    words: str,
) -> None:
    vit = _timm()
    change(vit)
    torch.save(vit, tmp_path / 'theirs.pth')
    with pytest.raises(BeastError, match=words) as error:
        read_encoder(tmp_path / 'theirs.pth')
    assert '\n' not in str(error.value)


def test_the_largest_vits_have_wider_heads() -> None:
    state = {
        'embeddings.patch_embeddings.projection.weight': torch.empty(1280, 3, 14, 14),
        'embeddings.position_embeddings': torch.empty(1, 257, 1280),
        'encoder.layer.0.intermediate.dense.weight': torch.empty(5120, 1),
    }
    shape = infer_architecture(state, Path('mae_pretrain_vit_huge.pth'))
    assert (shape.num_heads, shape.image_size) == (16, (224, 224))


def test_a_checkpoint_laid_out_like_the_released_ones_starts_a_pretraining(tmp_path: Path) -> None:
    """The authors' package wraps transformers' ViT-MAE as `vit_mae` in a Lightning module."""
    torch.manual_seed(0)
    size = GRID * PATCH
    vit_mae = ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=1,
            intermediate_size=256,
            image_size=size,
            patch_size=PATCH,
            decoder_hidden_size=64,
            decoder_num_hidden_layers=1,
            decoder_num_attention_heads=1,
            decoder_intermediate_size=256,
        )
    ).eval()
    torch.save(
        {
            'epoch': 9,
            'global_step': 100,
            'pytorch-lightning_version': '2.5.0',
            'state_dict': {
                **_prefixed('vit_mae.', vit_mae.state_dict()),
                **_linear('proj.proj.0', 64, 64),
                'temperature': torch.zeros(()),
            },
            'hyper_parameters': {'config': {'model': {'model_params': {'mask_ratio': 0.75}}}},
            'callbacks': {},
        },
        tmp_path / 'released.ckpt',
    )
    encoder = read_encoder(tmp_path / 'released.ckpt')
    model = MaskedAutoencoder(
        parse_config(
            {
                'model': {
                    'image_size': size,
                    'patch_size': PATCH,
                    'hidden_size': 64,
                    'num_layers': 2,
                    'mask_ratio': 0.5,
                    'decoder_hidden_size': 64,
                    'decoder_num_layers': 1,
                }
            }
        ).model
    )
    load_encoder(model, encoder)
    theirs = vit_mae.state_dict()
    assert torch.equal(model.state_dict()['predict.weight'], theirs['decoder.decoder_pred.weight'])
    images = torch.randn(2, 3, size, size)
    # transformers masks nothing at a ratio of 0, but shuffles the patches unless told their order
    vit_mae.vit.config.mask_ratio = 0.0
    order = torch.arange(GRID**2).expand(2, -1).float()
    with torch.no_grad():
        wanted = vit_mae.vit(images, noise=order).last_hidden_state
        torch.testing.assert_close(model.eval().encode(images), wanted, rtol=1e-4, atol=1e-4)
