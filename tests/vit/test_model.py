"""The lean ViT-MAE against transformers' own."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional
from transformers import ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTModel

from beast_lp.config import ModelConfig, parse_config
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.load import load_encoder
from beast_lp.vit.model import Encoder, MaskedAutoencoder
from beast_lp.vit.tensor_names import disk_name
from beast_lp.vit.weights import EncoderWeights, read_encoder

SIZES = ModelConfig(
    image_size=[64, 64],
    hidden_size=128,
    num_layers=2,
    decoder_hidden_size=64,
    decoder_num_layers=2,
)


@pytest.fixture
def reference() -> ViTMAEForPreTraining:
    """Return transformers' ViT-MAE with no weight left at a special value."""
    torch.manual_seed(0)
    model = ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=512,
            image_size=64,
            patch_size=16,
            decoder_hidden_size=64,
            decoder_num_hidden_layers=2,
            decoder_num_attention_heads=2,
            decoder_intermediate_size=256,
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
    loss = functional.mse_loss(ours.prediction, ours.target)
    torch.testing.assert_close(loss, theirs.loss, rtol=1e-5, atol=1e-6)
    wanted = theirs.logits.gather(1, ours.masked[..., None].expand(-1, -1, 768))
    torch.testing.assert_close(ours.prediction, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    'shape',
    [
        Architecture(48, 2, 3, 80, 16, (32, 64)),
        Architecture(64, 1, 8, 64, 8, (24, 16), layer_norm_eps=1e-3),
    ],
)
def test_an_encoder_of_any_shape_computes_what_transformers_does(shape: Architecture) -> None:
    torch.manual_seed(0)
    reference = ViTModel(ViTConfig(**shape.transformers_config()), add_pooling_layer=False).eval()
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    state = {disk_name(name): value for name, value in reference.state_dict().items()}
    encoder = Encoder(shape)
    load_encoder(encoder, EncoderWeights(shape, state, Path('reference'), {}))
    images = torch.randn(3, 3, *shape.image_size)
    torch.testing.assert_close(
        encoder.encode(images), reference(images).last_hidden_state, rtol=1e-4, atol=1e-4
    )


def test_without_decoder_there_is_no_prediction() -> None:
    model = MaskedAutoencoder(SIZES, decoder=False)
    assert model(torch.randn(2, 3, 64, 64), torch.rand(2, 16)).prediction is None
    assert not any('decoder' in name for name in model.state_dict())


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
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=512,
            image_size=4 * patch,
            patch_size=patch,
            decoder_hidden_size=64,
            decoder_num_hidden_layers=layers,
            decoder_num_attention_heads=2,
            decoder_intermediate_size=256,
        )
    ).eval()
    reference.save_pretrained(tmp_path)
    model = MaskedAutoencoder(config)
    load_encoder(model, read_encoder(tmp_path))
    # sums over many tokens nearly cancel, so in fp32 their last digits depend on the order
    reference, model = reference.double(), model.double()
    images, noise = torch.randn(3, 3, 4 * patch, 4 * patch).double(), torch.rand(3, 16)
    theirs = reference(images, noise=noise)
    ours = model(images, noise)
    assert ours.prediction is not None
    loss = functional.mse_loss(ours.prediction, ours.target)
    torch.testing.assert_close(loss, theirs.loss, rtol=1e-5, atol=1e-6)
    loss.backward()
    theirs.loss.backward()
    # what all blocks send back
    assert model.embed.weight.grad is not None
    wanted = reference.vit.embeddings.patch_embeddings.projection.weight.grad
    assert wanted is not None
    torch.testing.assert_close(
        model.embed.weight.grad,
        wanted.permute(0, 2, 3, 1).flatten(1),
        rtol=1e-7,
        atol=1e-9,
    )
    assert model.mask_token.grad is not None and reference.decoder.mask_token.grad is not None
    torch.testing.assert_close(
        model.mask_token.grad,
        reference.decoder.mask_token.grad,
        rtol=1e-7,
        atol=1e-9,
    )
