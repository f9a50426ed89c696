"""Names of tensors: in this package's model, in transformers (in memory and on disk), in timm.

transformers 5.9 renamed the ViT weights in memory; on disk every version still writes and reads
the older names. Those are the names that the rest of the package works with
(`encoder.layer.0.attention.attention.query.weight`, ...).

Adding names of another program:

1. write its renamings as a table beside `_TIMM`; where tensors are joined or split, do so in a
   function like `from_timm`
2. translate them in `_on_disk` of `beast_lp.vit.weights`
3. save a tiny file of that layout in `tests/vit/test_foreign_names.py`, with its forward pass
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

State = dict[str, Tensor]

CLS = 'embeddings.cls_token'
POSITIONS = 'embeddings.position_embeddings'
PATCHES = 'embeddings.patch_embeddings.projection.weight'

# (name since transformers 5.9, name on disk)
_RENAMES = (
    (r'\blayers\.(\d+)\.', r'encoder.layer.\1.'),
    # not a renaming of 5.9: some versions write the decoder of a ViT-MAE under this name
    (r'decoder_encoder\.layer\.', 'decoder_layers.'),
    (r'attention\.q_proj\.', 'attention.attention.query.'),
    (r'attention\.k_proj\.', 'attention.attention.key.'),
    (r'attention\.v_proj\.', 'attention.attention.value.'),
    (r'attention\.o_proj\.', 'attention.output.dense.'),
    (r'mlp\.fc1\.', 'intermediate.dense.'),
    (r'mlp\.fc2\.', 'output.dense.'),
)
# (name in timm's ViT, name on disk): facebookresearch/mae, DINO, DeiT and lightly-train share
# timm's names; a block's qkv is split besides
_TIMM = (
    (r'^cls_token$', CLS),
    (r'^pos_embed$', POSITIONS),
    (r'^patch_embed\.proj\.', 'embeddings.patch_embeddings.projection.'),
    (r'^norm\.', 'layernorm.'),
    (r'^blocks\.(\d+)\.', r'encoder.layer.\1.'),
    # of facebookresearch/mae alone
    (r'^mask_token$', 'decoder.mask_token'),
    (r'^decoder_blocks\.(\d+)\.', r'decoder.decoder_layers.\1.'),
    (r'^decoder_(pos_embed$|embed\.|norm\.|pred\.)', r'decoder.decoder_\1'),
    # within a block
    (r'\.norm1\.', '.layernorm_before.'),
    (r'\.norm2\.', '.layernorm_after.'),
    (r'\.attn\.proj\.', '.attention.output.dense.'),
    (r'\.mlp\.fc1\.', '.intermediate.dense.'),
    (r'\.mlp\.fc2\.', '.output.dense.'),
)
_TIMM_QKV = re.compile(r'(.*\.)attn\.qkv\.(weight|bias)')
# (module of a block here, module in a transformers layer); qkv is three there
_BLOCK_MODULES = (
    ('attention_norm', 'layernorm_before'),
    ('out', 'attention.output.dense'),
    ('mlp_norm', 'layernorm_after'),
    ('mlp_in', 'intermediate.dense'),
    ('mlp_out', 'output.dense'),
)
_QKV = tuple(f'attention.attention.{part}' for part in ('query', 'key', 'value'))
# (module of the decoder here, in transformers' ViT-MAE)
_DECODER_MODULES = (
    ('decoder_embed', 'decoder_embed'),
    ('decoder_norm', 'decoder_norm'),
    ('predict', 'decoder_pred'),
)
_KINDS = ('weight', 'bias')


def disk_name(name: str) -> str:
    """Return a tensor's name on disk, given its name under any version of transformers.

    Examples:
        >>> disk_name('layers.3.attention.q_proj.weight')
        'encoder.layer.3.attention.attention.query.weight'
    """
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def encoder_tensor_names(num_layers: int) -> list[str]:
    """Return the names on disk of all tensors of a ViT encoder without pooler."""
    names = [CLS, POSITIONS, PATCHES, PATCHES.replace('weight', 'bias')]
    modules = (*_QKV, *(theirs for _, theirs in _BLOCK_MODULES))
    names += [
        f'encoder.layer.{layer}.{module}.{kind}'
        for layer in range(num_layers)
        for module in modules
        for kind in _KINDS
    ]
    return [*names, 'layernorm.weight', 'layernorm.bias']


def is_timm(state: Mapping[str, Tensor]) -> bool:
    """Return whether a state dictionary has the names of timm's ViT."""
    return {'cls_token', 'pos_embed', 'patch_embed.proj.weight'} <= set(state)


def from_timm(state: Mapping[str, Tensor]) -> State:
    """Return a ViT under its names on disk, with the decoder of an autoencoder if it has one.

    Args:
        state: tensors under the names of timm or facebookresearch/mae. What is named otherwise
            keeps its name.

    Examples:
        >>> names = from_timm({'blocks.2.attn.qkv.bias': torch.zeros(6)})
        >>> [name.removeprefix('encoder.layer.2.attention.attention.') for name in names]
        ['query.bias', 'key.bias', 'value.bias']
    """
    result: State = {}
    for name, value in state.items():
        for pattern, replacement in _TIMM:
            name = re.sub(pattern, replacement, name)
        found = _TIMM_QKV.fullmatch(name)
        if found:
            # three parts whatever its shape, which is checked later
            parts = value.tensor_split(3)
            result |= {
                f'{found[1]}{part}.{found[2]}': one for part, one in zip(_QKV, parts, strict=True)
            }
        else:
            result[name] = value
    return result


def is_own(state: Mapping[str, Tensor], prefix: str = '') -> bool:
    """Return whether a state dictionary is that of this package's `MaskedAutoencoder`."""
    return {f'{prefix}{name}' for name in ('cls_token', 'positions', 'embed.weight')} <= set(state)


def encoder_from_own(state: Mapping[str, Tensor]) -> State:
    """Return the encoder of a `MaskedAutoencoder` under transformers' names on disk."""
    weight = state['embed.weight']
    patch = round((weight.shape[1] / 3) ** 0.5)
    return {
        CLS: state['cls_token'],
        POSITIONS: state['positions'],
        # a linear layer on (row, column, channel) pixels, as a convolution on (channel, row, col)
        PATCHES: weight.view(-1, patch, patch, 3).permute(0, 3, 1, 2),
        PATCHES.replace('weight', 'bias'): state['embed.bias'],
        'layernorm.weight': state['norm.weight'],
        'layernorm.bias': state['norm.bias'],
        **_blocks_from_own(state, 'blocks', 'encoder.layer'),
    }


def decoder_from_own(state: Mapping[str, Tensor]) -> State:
    """Return the decoder of a `MaskedAutoencoder` under a ViT-MAE's names; empty without one."""
    if 'mask_token' not in state:
        return {}
    decoder = {
        'mask_token': state['mask_token'],
        'decoder_pos_embed': state['decoder_positions'],
        **{
            f'{theirs}.{kind}': state[f'{ours}.{kind}']
            for ours, theirs in _DECODER_MODULES
            for kind in _KINDS
        },
        **_blocks_from_own(state, 'decoder_blocks', 'decoder_layers'),
    }
    return {f'decoder.{name}': value for name, value in decoder.items()}


def encoder_to_own(state: Mapping[str, Tensor]) -> State:
    """Return an encoder under the names of `MaskedAutoencoder`."""
    return {
        'cls_token': state[CLS],
        'positions': state[POSITIONS],
        'embed.weight': state[PATCHES].permute(0, 2, 3, 1).flatten(1),
        'embed.bias': state[PATCHES.replace('weight', 'bias')],
        'norm.weight': state['layernorm.weight'],
        'norm.bias': state['layernorm.bias'],
        **_blocks_to_own(state, 'encoder.layer', 'blocks'),
    }


def decoder_to_own(other: Mapping[str, Tensor]) -> State:
    """Return a ViT-MAE's decoder under the names of `MaskedAutoencoder`.

    Args:
        other: tensors of a file other than the encoder's, by their names on disk.

    Returns:
        the decoder; empty where the file holds none.
    """
    state = {
        name.removeprefix('decoder.'): value
        for name, value in other.items()
        if name.startswith('decoder.')
    }
    needed = ['mask_token', 'decoder_pos_embed', 'decoder_layers.0.output.dense.bias']
    if not set(needed) <= set(state):
        return {}
    return {
        'mask_token': state['mask_token'],
        'decoder_positions': state['decoder_pos_embed'],
        **{
            f'{ours}.{kind}': state[f'{theirs}.{kind}']
            for ours, theirs in _DECODER_MODULES
            for kind in _KINDS
        },
        **_blocks_to_own(state, 'decoder_layers', 'decoder_blocks'),
    }


def _layers(state: Mapping[str, Tensor], blocks: str) -> range:
    pattern = re.compile(re.escape(blocks) + r'\.(\d+)\.')
    return range(
        1 + max((int(found[1]) for name in state if (found := pattern.match(name))), default=-1)
    )


def _blocks_from_own(state: Mapping[str, Tensor], ours: str, theirs: str) -> State:
    result: State = {}
    for layer in _layers(state, ours):
        a, b = f'{ours}.{layer}', f'{theirs}.{layer}'
        for kind in _KINDS:
            for own, other in _BLOCK_MODULES:
                result[f'{b}.{other}.{kind}'] = state[f'{a}.{own}.{kind}']
            parts = state[f'{a}.qkv.{kind}'].chunk(3)
            result |= {f'{b}.{name}.{kind}': part for name, part in zip(_QKV, parts, strict=True)}
    return result


def _blocks_to_own(state: Mapping[str, Tensor], theirs: str, ours: str) -> State:
    result: State = {}
    for layer in _layers(state, theirs):
        a, b = f'{ours}.{layer}', f'{theirs}.{layer}'
        for kind in _KINDS:
            for own, other in _BLOCK_MODULES:
                result[f'{a}.{own}.{kind}'] = state[f'{b}.{other}.{kind}']
            result[f'{a}.qkv.{kind}'] = torch.cat([state[f'{b}.{part}.{kind}'] for part in _QKV])
    return result
