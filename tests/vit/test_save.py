"""Backbones in transformers' format."""

from pathlib import Path

import torch
from transformers import ViTModel

from beast_lp.config import ModelConfig
from beast_lp.vit.load import load_encoder
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.save import encoder_to_transformers, save_backbone
from beast_lp.vit.weights import read_encoder

SIZES = ModelConfig(
    image_size=[64, 64], hidden_size=64, num_layers=2, decoder_hidden_size=32, decoder_num_layers=2
)


def test_saved_backbone_opens_in_transformers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MaskedAutoencoder(SIZES).eval()
    save_backbone(tmp_path / 'backbone', model.architecture, encoder_to_transformers(model))
    vit = ViTModel.from_pretrained(str(tmp_path / 'backbone'), add_pooling_layer=False).eval()
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(
        model.encode(images),
        vit(images).last_hidden_state,
        rtol=1e-4,
        atol=1e-5,
    )
    # and back again without loss
    other = MaskedAutoencoder(SIZES)
    load_encoder(other, read_encoder(tmp_path / 'backbone'))
    for name, value in encoder_to_transformers(model).items():
        assert torch.equal(encoder_to_transformers(other)[name], value), name
