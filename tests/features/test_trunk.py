"""The tokens of a ViT in a store, and the layers that are left for training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ViTModel

from beast_lp.config import ModelConfig
from beast_lp.errors import BeastError
from beast_lp.features.extract import ExtractionSettings, extract_features
from beast_lp.features.networks import NetworkSource, vit_source
from beast_lp.features.patches import PatchReduction
from beast_lp.features.source import Encoded, FeatureSource
from beast_lp.features.store import FeatureStore
from beast_lp.features.trunk import Trunk
from beast_lp.video.read import FrameReader
from beast_lp.vit.model import MaskedAutoencoder, encoder_to_transformers
from beast_lp.vit.pixels import normalise, to_unit
from beast_lp.vit.weights import read_encoder, save_backbone

WriteVideo = Callable[..., Path]


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    """Return a small random ViT, 3 x 4 patches."""
    torch.manual_seed(0)
    config = ModelConfig(
        image_size=[48, 64], hidden_size=32, num_layers=3, num_heads=2, mlp_size=64
    )
    model = MaskedAutoencoder(config, decoder=False)
    save_backbone(tmp_path / 'vit', model.architecture, encoder_to_transformers(model))
    return tmp_path / 'vit'


@pytest.fixture
def video(write_video: WriteVideo) -> Path:
    """Return 70 frames of noise, more than one batch."""
    frames = np.random.default_rng(0).integers(0, 255, (70, 48, 64, 3), dtype=np.uint8)
    return write_video('noise.mp4', frames)


def _transformers_tokens(backbone: Path, video: Path) -> np.ndarray:
    model = ViTModel.from_pretrained(backbone, add_pooling_layer=False).eval()
    frames = torch.from_numpy(np.stack(list(FrameReader(video, (48, 64)))))
    with torch.no_grad():
        tokens = model(normalise(to_unit(frames)))
    return tokens.last_hidden_state.numpy()


def _source(backbone: Path) -> NetworkSource:
    return vit_source(read_encoder(backbone), backbone, precision='fp32')


def _embed(source: FeatureSource, video: Path, directory: Path) -> FeatureStore:
    settings = ExtractionSettings(batch_size=64, patches=True)
    return FeatureStore.open(extract_features(source, [video], directory, settings, False)[0])


def test_tokens_are_transformers_in_raster_order(
    backbone: Path,
    video: Path,
    tmp_path: Path,
) -> None:
    store = _embed(_source(backbone), video, tmp_path / 'store')
    expected = _transformers_tokens(backbone, video)
    assert store.patches is not None and store.info.grid == (3, 4)
    np.testing.assert_allclose(store.cls, expected[:, 0], atol=2e-5)
    np.testing.assert_allclose(store.patches, expected[:, 1:], atol=5e-3)
    assert store.frame.tolist() == list(range(70))
    np.testing.assert_allclose(store.time, np.arange(70) / 25)


def test_a_coarser_grid_is_the_mean_of_neighbours(backbone: Path, video: Path) -> None:
    frames = np.stack(list(FrameReader(video, (48, 64))))[:2]
    maps = _source(backbone).encode(frames, patches=True).patches
    assert maps is not None
    coarse = PatchReduction((2, 2))(maps)
    # of 3 rows, both cells share the middle one
    expected = [
        maps[:, :, rows, columns].mean(dim=(2, 3)).numpy()
        for rows in (slice(0, 2), slice(1, 3))
        for columns in (slice(0, 2), slice(2, 4))
    ]
    np.testing.assert_allclose(coarse, np.stack(expected, axis=1), atol=1e-5)


def test_hidden_tokens_and_their_layers_make_the_whole_vit(
    backbone: Path,
    video: Path,
    tmp_path: Path,
) -> None:
    source = Trunk(_source(backbone), unfreeze=2)
    store = _embed(source, video, tmp_path / 'store')
    assert store.patches is not None and store.info.grid == (1, 13)
    hidden = torch.from_numpy(np.asarray(store.patches, dtype=np.float32))
    found = source.tail()(hidden).detach().numpy()
    np.testing.assert_allclose(found, _transformers_tokens(backbone, video)[:, 1:], atol=1e-2)
    assert source.hash != Trunk(_source(backbone), unfreeze=1).hash


def test_an_interrupted_store_continues(
    backbone: Path,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = _source(backbone)
    whole = _embed(source, video, tmp_path / 'whole')
    encode, calls = source.encode, []

    def killed(frames: np.ndarray, patches: bool) -> Encoded:
        calls.append(len(frames))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return encode(frames, patches)

    monkeypatch.setattr(source, 'encode', killed)
    with pytest.raises(KeyboardInterrupt):
        _embed(source, video, tmp_path / 'killed')
    resumed = _embed(source, video, tmp_path / 'killed')
    # 64 frames, then the rest in vain, then the rest alone
    assert calls == [64, 6, 6]
    assert whole.patches is not None and resumed.patches is not None
    np.testing.assert_allclose(resumed.patches, whole.patches, atol=1e-3)
    assert resumed.frame.tolist() == whole.frame.tolist()


def test_features_of_other_weights_are_not_taken(
    backbone: Path,
    video: Path,
    tmp_path: Path,
) -> None:
    source = _source(backbone)
    _embed(source, video, tmp_path / 'store')
    source.hash = 'other'
    with pytest.raises(BeastError, match='already holds other features: .* other weights'):
        _embed(source, video, tmp_path / 'store')
    with pytest.raises(BeastError, match='unfreeze_layers=9, but .* has 3 layers'):
        Trunk(source, unfreeze=9)
