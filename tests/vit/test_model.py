"""The lean ViT-MAE against transformers' own."""

from pathlib import Path

import pytest
import torch
from transformers import ViTMAEConfig, ViTMAEForPreTraining, ViTModel

from beast_lp.config import ModelConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.pretraining.losses import reconstruction_loss
from beast_lp.vit.model import (
    MaskedAutoencoder,
    encoder_to_transformers,
    load_encoder,
    patchify,
    sincos_positions,
    unpatchify,
)
from beast_lp.vit.weights import read_encoder, save_backbone

SIZES = ModelConfig(
    image_size=[64, 64],
    hidden_size=64,
    num_layers=2,
    num_heads=1,
    mlp_size=128,
    decoder_hidden_size=32,
    decoder_num_layers=2,
    decoder_num_heads=2,
    decoder_mlp_size=64,
)


@pytest.fixture
def reference() -> ViTMAEForPreTraining:
    """Return transformers' ViT-MAE with no weight left at a special value."""
    torch.manual_seed(0)
    model = ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=1,
            intermediate_size=128,
            image_size=64,
            patch_size=16,
            decoder_hidden_size=32,
            decoder_num_hidden_layers=2,
            decoder_num_attention_heads=2,
            decoder_intermediate_size=64,
        )
    ).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def test_masked_pass_equals_transformers(
    reference: ViTMAEForPreTraining,
    tmp_path: Path,
) -> None:
    reference.save_pretrained(tmp_path)
    model = MaskedAutoencoder(SIZES).eval()
    load_encoder(model, read_encoder(tmp_path))
    images, noise = torch.randn(3, 3, 64, 64), torch.rand(3, 16)
    theirs = reference(images, noise=noise)
    ours = model(images, noise)

    assert ours.prediction is not None
    assert ours.masked.shape == (3, 12)
    loss = reconstruction_loss(ours.prediction, ours.target)
    torch.testing.assert_close(loss, theirs.loss, rtol=1e-5, atol=1e-6)
    wanted = theirs.logits.gather(1, ours.masked[..., None].expand(-1, -1, 768))
    torch.testing.assert_close(ours.prediction, wanted, rtol=1e-4, atol=1e-4)


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


def test_without_decoder_there_is_no_prediction() -> None:
    model = MaskedAutoencoder(SIZES, decoder=False)
    assert model(torch.randn(2, 3, 64, 64), torch.rand(2, 16)).prediction is None
    assert not any('decoder' in name for name in model.state_dict())


def test_patches_are_in_raster_order_and_can_be_put_back() -> None:
    images = torch.randn(2, 3, 32, 48)
    patches = patchify(images, 16)
    for index in range(6):
        row, column = divmod(index, 3)
        patch = images[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        assert torch.equal(patches[:, index], patch.permute(0, 2, 3, 1).flatten(1))
    assert torch.equal(unpatchify(patches, (2, 3)), images)


def test_positions_equal_a_slow_loop() -> None:
    table = sincos_positions(8, (2, 3))[0]
    assert torch.equal(table[0], torch.zeros(8))
    for index in range(6):
        row, column = divmod(index, 3)
        slow = []
        for coordinate in (column, row):
            angles = [coordinate / 10000 ** (k / 2) for k in range(2)]
            slow += [*torch.tensor(angles).sin().tolist(), *torch.tensor(angles).cos().tolist()]
        torch.testing.assert_close(table[1 + index], torch.tensor(slow))


def test_the_mask_is_drawn_per_image_and_hides_three_quarters() -> None:
    model = MaskedAutoencoder(SIZES)
    output = model(torch.randn(8, 3, 64, 64), torch.rand(8, 16))
    assert output.masked.shape == (8, 12)
    assert len({tuple(sorted(row.tolist())) for row in output.masked}) > 1


@pytest.mark.parametrize('preset', ['vit_tiny', 'vit_small', 'vit_base', 'vit_large'])
@pytest.mark.parametrize('patch', [8, 14, 16])
@pytest.mark.parametrize('grid', [(14, 14), (8, 15)])
def test_every_size_takes_every_patch(preset: str, patch: int, grid: tuple[int, int]) -> None:
    size = [patch * side for side in grid]
    config = parse_config({'preset': preset, 'model': {'image_size': size, 'patch_size': patch}})
    patches = grid[0] * grid[1]
    # shapes alone: a real ViT-L takes seconds and gigabytes
    with torch.device('meta'):
        model = MaskedAutoencoder(config.model)
        output = model(torch.empty(2, 3, *size), torch.empty(2, patches))
        assert model.encode(torch.empty(2, 3, *size)).shape == (
            2,
            1 + patches,
            config.model.hidden_size,
        )
    assert output.cls.shape == (2, config.model.hidden_size)
    assert output.prediction is not None
    assert (
        output.prediction.shape
        == output.target.shape
        == (
            2,
            patches - patches // 4,
            3 * patch**2,
        )
    )


@pytest.mark.parametrize('patch', [8, 14, 16])
@pytest.mark.parametrize('layers', [1, 2, 3])
def test_every_patch_and_depth_computes_what_transformers_does(
    patch: int,
    layers: int,
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        **{
            **vars(SIZES),
            'image_size': [4 * patch, 4 * patch],
            'patch_size': patch,
            'decoder_num_layers': layers,
        }
    )
    reference = ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=1,
            intermediate_size=128,
            image_size=4 * patch,
            patch_size=patch,
            decoder_hidden_size=32,
            decoder_num_hidden_layers=layers,
            decoder_num_attention_heads=2,
            decoder_intermediate_size=64,
        )
    ).eval()
    reference.save_pretrained(tmp_path)
    model = MaskedAutoencoder(config)
    load_encoder(model, read_encoder(tmp_path))
    images, noise = torch.randn(3, 3, 4 * patch, 4 * patch), torch.rand(3, 16)
    theirs = reference(images, noise=noise)
    ours = model(images, noise)
    assert ours.prediction is not None
    loss = reconstruction_loss(ours.prediction, ours.target)
    torch.testing.assert_close(loss, theirs.loss, rtol=1e-5, atol=1e-6)
    loss.backward()
    theirs.loss.backward()
    # what all blocks and both shortcuts of the decoder send back
    assert model.embed.weight.grad is not None
    wanted = reference.vit.embeddings.patch_embeddings.projection.weight.grad
    assert wanted is not None
    torch.testing.assert_close(
        model.embed.weight.grad,
        wanted.permute(0, 2, 3, 1).flatten(1),
        rtol=1e-3,
        atol=1e-6,
    )
    assert model.mask_token.grad is not None and reference.decoder.mask_token.grad is not None
    torch.testing.assert_close(
        model.mask_token.grad,
        reference.decoder.mask_token.grad,
        rtol=1e-3,
        atol=1e-6,
    )
