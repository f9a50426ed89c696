"""Places of weights: on this machine, and in the hub's cache."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import ViTConfig, ViTModel

from beast_lp.errors import BeastError
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.weights import read_encoder

SHAPE = Architecture(64, 2, 1, 128, 16, (64, 64))


def test_places_without_weights_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BeastError, match='no checkpoint at'):
        read_encoder(tmp_path / 'nothing')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(BeastError, match='no model.safetensors'):
        read_encoder(tmp_path / 'empty')
    (tmp_path / 'run' / 'checkpoints').mkdir(parents=True)
    with pytest.raises(BeastError, match='has not finished'):
        read_encoder(tmp_path / 'run')
    (tmp_path / 'a.txt').touch()
    with pytest.raises(BeastError, match='no weight file'):
        read_encoder(tmp_path / 'a.txt')
    (tmp_path / 'broken.safetensors').write_bytes(b'no tensors')
    with pytest.raises(BeastError, match='cannot be read'):
        read_encoder(tmp_path / 'broken.safetensors')


def test_the_hubs_cache_serves_without_a_network(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub.constants as constants

    snapshot = tmp_path / 'models--lab--mae' / 'snapshots' / 'abc'
    vit = ViTModel(ViTConfig(**SHAPE.transformers_config()), add_pooling_layer=False)
    vit.save_pretrained(snapshot)
    (tmp_path / 'models--lab--mae' / 'refs').mkdir()
    (tmp_path / 'models--lab--mae' / 'refs' / 'main').write_text('abc')
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    assert len(read_encoder('lab/mae').state) == 38

    # a checkpoint under its training program's name
    for file in snapshot.iterdir():
        file.unlink()
    state = {f'vit_mae.vit.{name}': value for name, value in vit.state_dict().items()}
    torch.save({'state_dict': state}, snapshot / 'epoch=9-best.ckpt')
    assert len(read_encoder('lab/mae').state) == 38
    torch.save({'state_dict': state}, snapshot / 'last.ckpt')
    with pytest.raises(BeastError, match=r'several weight files \(epoch=9-best.ckpt, last.ckpt\)'):
        read_encoder('lab/mae')

    shutil.rmtree(tmp_path / 'models--lab--mae')
    words = 'hf download lab/mae --local-dir mae` .*beast.init=random'
    with pytest.raises(BeastError, match=words):
        read_encoder('lab/mae')
