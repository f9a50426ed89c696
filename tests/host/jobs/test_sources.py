from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_pose.models.backbones import factory
from transformers import Dinov2Config, Dinov2Model

from beast_lp.config import BeastConfig
from beast_lp.errors import BeastError
from beast_lp.features.networks import LeanViT, NetworkSource
from beast_lp.features.pca import Basis, FramePCA
from beast_lp.host.backbone import BeastBackbone
from beast_lp.host.jobs.sources import (
    SOURCES,
    _module_source,
    backbone_names,
    backbone_source,
    open_source,
    pose_source,
    source_files,
)
from beast_lp.host.random_weights import random_name, shape_like
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.model import random_encoder
from beast_lp.vit.pixels import normalise
from beast_lp.vit.save import encoder_to_transformers, save_backbone

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
pytestmark = pytest.mark.usefixtures('no_gpu')
IMAGES = normalise(torch.from_numpy(FRAMES).permute(0, 3, 1, 2) / 255)


def test_a_resnet_gives_its_averaged_map_and_the_map(
    resnet_cache: dict[str, torch.Tensor],
) -> None:
    source = open_source('resnet18', (64, 96), 'fp32')
    assert isinstance(source, NetworkSource)
    assert (source.kind, source.dim, source.grid) == ('backbone', 512, (2, 3))
    assert torch.equal(
        source.network.state_dict()['backbone.0.weight'], resnet_cache['conv1.weight']
    )
    source = open_source('resnet18', (64, 64), 'fp32')
    encoded = source.encode(FRAMES, patches=True)
    network, _ = factory.build_backbone('resnet18')
    with torch.no_grad():
        maps = network.eval()(IMAGES)
    assert encoded.patches is not None
    torch.testing.assert_close(encoded.patches, maps, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(encoded.cls, maps.mean((2, 3)).numpy(), rtol=1e-4, atol=1e-4)


def test_weights_that_cannot_be_had_get_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError('no network')

    monkeypatch.setattr(factory, 'build_backbone', offline)
    with pytest.raises(BeastError, match="weights of 'vits_dino' are neither"):
        backbone_source('vits_dino', None, 'fp32')


def test_the_backbone_of_a_pose_model_is_read_as_a_plain_vit() -> None:
    torch.manual_seed(0)
    backbone = BeastBackbone(Architecture(64, 2, 2, 128, 16, (64, 64))).eval()
    source = _module_source(backbone, 'a model', 'pose model', (64, 64), 'fp32')
    assert isinstance(source.network, LeanViT)
    encoded = source.encode(FRAMES, patches=True)
    with torch.no_grad():
        maps = backbone(IMAGES)
        tokens = backbone.vision_encoder(IMAGES).last_hidden_state
    assert encoded.patches is not None
    torch.testing.assert_close(encoded.patches, maps, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(encoded.cls, tokens[:, 0].numpy(), rtol=1e-3, atol=1e-4)


def test_another_vit_gives_its_cls_token() -> None:
    torch.manual_seed(0)
    backbone = torch.nn.Module()
    backbone.vision_encoder = Dinov2Model(
        Dinov2Config(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=64,
            patch_size=16,
        )
    ).eval()
    source = _module_source(backbone, 'a dino', 'backbone', (64, 64), 'fp32')
    encoded = source.encode(FRAMES, patches=True)
    with torch.no_grad():
        tokens = backbone.vision_encoder(IMAGES).last_hidden_state
    np.testing.assert_allclose(encoded.cls, tokens[:, 0].numpy(), rtol=1e-3, atol=1e-4)
    assert encoded.patches is not None
    torch.testing.assert_close(
        encoded.patches[:, :, 1, 2], tokens[:, 1 + 4 + 2], rtol=1e-3, atol=1e-4
    )


def test_each_kind_of_source_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / 'pose').mkdir()
    (tmp_path / 'pose' / 'config.yaml').touch()
    (tmp_path / 'pretraining').mkdir()
    for name in ('config.yaml', 'beast.yaml'):
        (tmp_path / 'pretraining' / name).touch()
    (tmp_path / 'frame_pca.npz').touch()
    for name, kind in (
        (tmp_path / 'frame_pca.npz', 'frame PCA'),
        (tmp_path / 'pose', 'pose model'),
        ('resnet18', 'backbone'),
        (tmp_path / 'pretraining', 'vit'),
        ('facebook/vit-mae-base', 'vit'),
        ('motion', 'motion energy'),
        ('random', 'random weights'),
        ('random:laptop', 'random weights'),
        ('random_run', None),
        ('resnet5', None),
    ):
        first = next((key for key, one in SOURCES.items() if one.accepts(str(name))), None)
        assert first == kind


def test_components_of_frames_keep_their_image_size(tmp_path: Path) -> None:
    path = tmp_path / 'frame_pca.npz'
    basis = Basis(np.zeros(64, np.float32), np.eye(64, dtype=np.float32)[:3], np.ones(3))
    FramePCA(basis, (8, 8), path).save(path)
    source = open_source(str(path), (8, 8))
    assert (source.kind, source.dim, source.image_size) == ('frame PCA', 3, (8, 8))
    assert source.kind in SOURCES
    with pytest.raises(BeastError, match='fitted to frames of 8 x 8 px; leave out --image_size'):
        open_source(str(path), (16, 16))


def test_the_files_that_a_source_is_opened_from(tmp_path: Path) -> None:
    (tmp_path / 'frame_pca.npz').touch()
    assert source_files(str(tmp_path / 'frame_pca.npz')) == [tmp_path / 'frame_pca.npz']
    assert not source_files('resnet18')
    backbone = tmp_path / 'run' / 'backbone'
    backbone.mkdir(parents=True)
    (backbone / 'model.safetensors').touch()
    assert source_files(str(tmp_path / 'run')) == [backbone / 'model.safetensors']
    (backbone / 'config.json').touch()
    assert source_files(str(backbone))[1:] == [backbone / 'config.json']
    pose = tmp_path / 'pose'
    checkpoints = pose / 'tb_logs' / 'm' / 'version_0' / 'checkpoints'
    checkpoints.mkdir(parents=True)
    (pose / 'config.yaml').write_text('model: {model_type: heatmap, model_name: m}\n')
    with pytest.raises(BeastError, match='no checkpoint of a pose model'):
        source_files(str(pose))
    (checkpoints / 'a-best.ckpt').touch()
    assert source_files(str(pose)) == [pose / 'config.yaml', checkpoints / 'a-best.ckpt']


def test_random_weights_have_the_shape_of_a_preset_or_a_checkpoint(tmp_path: Path) -> None:
    source = open_source('random:laptop')
    assert (source.kind, source.dim, source.image_size) == ('random weights', 128, (64, 64))
    assert source.kind in SOURCES and not source_files('random:laptop')
    assert open_source('random:laptop').hash == source.hash
    encoded = source.encode(FRAMES, patches=True)
    assert np.isfinite(encoded.cls).all() and np.ptp(encoded.cls, axis=0).max() > 0
    shape = Architecture(64, 1, 1, 64, 16, (32, 32))
    save_backbone(tmp_path / 'backbone', shape, encoder_to_transformers(random_encoder(shape, 5)))
    like = open_source(f'random:{tmp_path / "backbone"}', (64, 64))
    assert (like.dim, like.image_size) == (64, (64, 64))
    assert like.hash != open_source(str(tmp_path / 'backbone')).hash
    assert [file.name for file in source_files(f'random:{tmp_path / "backbone"}')] == [
        'model.safetensors',
        'config.json',
    ]
    # as the config of a pose model names them
    given = open_source(random_name(shape, seed=0), (64, 64))
    assert given.hash == like.hash and not source_files(random_name(shape, seed=0))
    assert open_source(random_name(shape, seed=1), (64, 64)).hash != like.hash
    with pytest.raises(BeastError, match='no checkpoint at nowhere'):
        open_source('random:nowhere')


def test_random_alone_is_of_the_default_preset() -> None:
    assert shape_like(BeastConfig.preset).hidden_size == 768
    assert SOURCES['random weights'].accepts('random')


def test_a_name_that_is_nothing_gets_the_names_that_are() -> None:
    assert {'resnet50', 'vits_dino'} <= set(backbone_names())
    with pytest.raises(BeastError, match=r"'resnet5' is no source .*resnet50"):
        open_source('resnet5')


@pytest.mark.parametrize(
    'content',
    [b'a: 1\n', b'', b'word', b'- 1\n', b'a: \0\n', b'a: 1\na: 1\n', b'a: caf\xe9\n', b'a: [\n'],
)
def test_a_damaged_config_is_that_of_no_pose_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'config.yaml').write_bytes(content)
    with pytest.raises(
        BeastError, match='not that of a pose model|cannot be read as a config|holds no mapping'
    ):
        open_source(str(tmp_path))


def test_a_folder_with_another_config_is_no_pose_model(tmp_path: Path) -> None:
    (tmp_path / 'config.yaml').write_text(
        'model: {model_type: heatmap, model_name: test}\n'
        'data: {image_resize_dims: {height: 64, width: 64}}\n'
    )
    with pytest.raises(BeastError, match='no checkpoint of a pose model'):
        open_source(str(tmp_path))


@pytest.mark.parametrize('size', [None, (64, 64)])
@pytest.mark.parametrize(
    'content', ['model: {model_type: heatmap}', 'model: {model_type: 7}\ndata: {}']
)
def test_a_config_of_a_pose_model_that_lacks_settings_gets_a_sentence(
    content: str,
    size: tuple[int, int] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('beast_lp.host.jobs.sources.check_pose_checkpoint', lambda *args: None)
    (tmp_path / 'config.yaml').write_text(content)
    with pytest.raises(BeastError, match=r'config\.yaml cannot be read as the config of') as error:
        pose_source(str(tmp_path), size, 'fp32')
    assert '\n' not in str(error.value)
