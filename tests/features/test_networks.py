from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import ViTConfig, ViTModel

from beast_lp.errors import BeastError
from beast_lp.features.networks import NetworkSource, vit_source
from beast_lp.features.source import hash_files, hash_tensors
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.pixels import normalise
from beast_lp.vit.tensor_names import disk_name
from beast_lp.vit.weights import EncoderWeights

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 32, 64, 3), np.uint8)


def reference(eps: float = 1e-5) -> tuple[ViTModel, EncoderWeights]:
    """Return transformers' own ViT with random weights, and the same weights as read here."""
    torch.manual_seed(0)
    architecture = Architecture(64, 2, 2, 128, 16, (32, 32), layer_norm_eps=eps)
    model = ViTModel(ViTConfig(**architecture.transformers_config()), add_pooling_layer=False)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    state = {disk_name(name): value for name, value in model.state_dict().items()}
    return model.eval(), EncoderWeights(architecture, state, 'made here', {})  # type: ignore[arg-type]


@pytest.mark.usefixtures('no_gpu')
@pytest.mark.parametrize('eps', [1e-12, 1e-2])
def test_a_vit_gives_what_transformers_gives_patches_in_raster_order(eps: float) -> None:
    model, encoder = reference(eps)
    source = vit_source(encoder, 'x', image_size=(32, 64), precision='fp32')
    assert (source.dim, source.grid, source.patch_dim) == (64, (2, 4), 64)
    encoded = source.encode(FRAMES, patches=True)
    images = normalise(torch.from_numpy(FRAMES).permute(0, 3, 1, 2) / 255)
    with torch.no_grad():
        tokens = model(images, interpolate_pos_encoding=True).last_hidden_state
    np.testing.assert_allclose(encoded.cls, tokens[:, 0].numpy(), rtol=1e-3, atol=1e-4)
    assert encoded.patches is not None
    for row in range(2):
        for column in range(4):
            torch.testing.assert_close(
                encoded.patches[:, :, row, column],
                tokens[:, 1 + 4 * row + column],
                rtol=1e-3,
                atol=1e-4,
            )
    assert source.encode(FRAMES, patches=False).patches is None


def test_bf16_stays_near_fp32() -> None:
    _, encoder = reference()
    exact, fast = (
        vit_source(encoder, 'x', precision=p).encode(FRAMES[:, :, :32].copy(), False)
        for p in ('fp32', 'bf16')
    )
    error = np.linalg.norm(exact.cls - fast.cls) / np.linalg.norm(exact.cls)
    assert 0 < error < 0.05


def test_a_size_that_does_not_fit_the_patches_is_refused() -> None:
    with pytest.raises(BeastError, match='multiples of 16'):
        vit_source(reference()[1], 'x', image_size=(30, 32))


def test_any_network_with_a_map_is_a_source() -> None:
    class Halves(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            maps = nn.functional.avg_pool2d(images, 16)
            return maps.mean(dim=(2, 3)), maps

    source = NetworkSource(Halves(), 'x', 'backbone', (32, 64), 'abc', 'fp32')
    assert (source.dim, source.grid, source.patch_dim, source.hash) == (3, (2, 4), 3, 'abc')


def test_a_network_that_cannot_take_the_size_is_refused() -> None:
    class Picky(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images.reshape(1, 7), images

    with pytest.raises(BeastError, match='cannot take images of 32 x 64'):
        NetworkSource(Picky(), 'a net', 'backbone', (32, 64), 'abc', 'fp32')


def test_the_hash_is_of_names_shapes_and_values() -> None:
    a, b = torch.arange(6.0), torch.ones(2, dtype=torch.bfloat16)
    same = hash_tensors({'a': a, 'b': b})
    assert same == hash_tensors({'b': b.clone(), 'a': a.clone()})
    others = [{'a': a, 'c': b}, {'a': a.view(2, 3), 'b': b}, {'a': a + 1, 'b': b}, {'a': a}]
    assert len({same, *map(hash_tensors, others)}) == 5


@pytest.mark.gpu
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    source = vit_source(reference()[1], 'x', image_size=(32, 64), precision='fp32')
    assert source._device.type == 'cuda'
    on_gpu = source.encode(FRAMES, patches=True)
    source._device = torch.device('cpu')
    source.network.cpu()
    on_cpu = source.encode(FRAMES, patches=True)
    np.testing.assert_allclose(on_gpu.cls, on_cpu.cls, rtol=1e-2, atol=1e-2)
    assert on_gpu.patches is not None
    assert on_cpu.patches is not None
    torch.testing.assert_close(on_gpu.patches.cpu(), on_cpu.patches, rtol=1e-2, atol=1e-2)


def test_the_hash_of_files_knows_their_names_and_bytes_but_not_their_folder(
    tmp_path: Path,
) -> None:
    for folder, names in (('a', 'xy'), ('b', 'xy'), ('c', 'yx')):
        (tmp_path / folder).mkdir()
        for name, content in zip(names, (b'1', b'2'), strict=True):
            (tmp_path / folder / name).write_bytes(content)
    keys = [
        hash_files([tmp_path / folder / name for name in order])
        for folder, order in (('a', 'xy'), ('b', 'yx'), ('c', 'xy'))
    ]
    assert keys[0] == keys[1] != keys[2]
    assert hash_files([]) is None
