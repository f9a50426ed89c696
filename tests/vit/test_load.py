"""Strict, counted loading into both kinds of models."""

from pathlib import Path

import pytest
import torch

from beast_lp.config import ModelConfig
from beast_lp.errors import BeastError
from beast_lp.vit.load import load_encoder
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.save import encoder_to_transformers, save_backbone
from beast_lp.vit.weights import read_encoder

SIZES = ModelConfig(
    image_size=[64, 64], hidden_size=64, num_layers=2, decoder_hidden_size=32, decoder_num_layers=2
)


def test_initial_weights_of_another_size_are_interpolated(tmp_path: Path) -> None:
    model = MaskedAutoencoder(SIZES)
    save_backbone(tmp_path / 'b', model.architecture, encoder_to_transformers(model))
    wide = ModelConfig(**{**vars(SIZES), 'image_size': [64, 96]})
    other = MaskedAutoencoder(wide)
    load_encoder(other, read_encoder(tmp_path / 'b'))
    assert other.positions.shape == (1, 1 + 4 * 6, 64)
    assert torch.equal(other.positions[:, 0], model.positions[:, 0])
    assert torch.equal(other.blocks[0].qkv.weight, model.blocks[0].qkv.weight)  # type: ignore


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    model = MaskedAutoencoder(SIZES)
    save_backbone(tmp_path / 'b', model.architecture, encoder_to_transformers(model))
    deeper = MaskedAutoencoder(ModelConfig(**{**vars(SIZES), 'num_layers': 3}))
    with pytest.raises(BeastError, match='num_layers 2.*num_layers is 3'):
        load_encoder(deeper, read_encoder(tmp_path / 'b'))
