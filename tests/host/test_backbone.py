"""The backbone inside the host's own models."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning_pose.callbacks import JSONTrainingProgressTracker
from lightning_pose.models import (
    HeatmapTracker,
    HeatmapTrackerMHCRNN,
    HeatmapTrackerMultiviewTransformer,
)
from lightning_pose.models.backbones import build_backbone
from lightning_pose.models.factory import get_model_class
from torch.nn import functional

from beast_lp.errors import BeastError
from beast_lp.host.backbone import ARCHITECTURE_PREFIX, BeastBackbone
from beast_lp.host.checkpoint import callbacks
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.load import load_into_vit
from beast_lp.vit.save import save_backbone
from beast_lp.vit.tensor_names import disk_name
from beast_lp.vit.weights import read_encoder

# the host's type annotations do not know the name
BEAST: Any = 'beast'
ARCHITECTURE = Architecture(64, 2, 1, 128, 16, (64, 64))


def _save(directory: Path, architecture: Architecture = ARCHITECTURE) -> Path:
    torch.manual_seed(0)
    model = BeastBackbone(architecture)
    state = {disk_name(k): v for k, v in model.vision_encoder.state_dict().items()}
    state['embeddings.position_embeddings'] = torch.randn_like(
        state['embeddings.position_embeddings']
    )
    save_backbone(directory / 'backbone', architecture, state)
    return directory


@pytest.mark.parametrize('size', [(64, 64), (128, 128), (128, 256)])
def test_features_come_out_in_raster_order(tmp_path: Path, size: tuple[int, int]) -> None:
    """A mark in one patch moves the features of that patch most, for every patch."""
    backbone, channels = build_backbone(BEAST, backbone_checkpoint=str(_save(tmp_path)))
    backbone.eval()
    rows, columns = size[0] // 16, size[1] // 16
    blank = torch.zeros(1, 3, *size)
    with torch.no_grad():
        plain = backbone(blank)
        assert plain.shape == (1, channels, rows, columns) == (1, 64, rows, columns)
        for index in range(0, rows * columns, 5):
            row, column = divmod(index, columns)
            marked = blank.clone()
            top, left = 16 * row, 16 * column
            marked[:, :, top : top + 16, left : left + 16] = torch.randn(16, 16)
            moved = (backbone(marked) - plain).norm(dim=1).flatten()
            assert int(moved.argmax()) == index


def test_all_tensors_are_loaded_and_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level('INFO', 'lightning_pose'):
        build_backbone(BEAST, backbone_checkpoint=str(_save(tmp_path)))
    assert 'loaded 38 of 38 encoder tensors' in caplog.text


def test_no_parameter_is_unused(tmp_path: Path) -> None:
    """DDP refuses parameters without a gradient."""
    backbone, _ = build_backbone(BEAST, backbone_checkpoint=str(_save(tmp_path)))
    backbone(torch.randn(2, 3, 64, 128)).square().mean().backward()
    # the CLS token still reaches the patches through attention
    assert [n for n, p in backbone.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('patch', [12, 32])
def test_other_patch_sizes_are_refused(tmp_path: Path, patch: int) -> None:
    path = _save(tmp_path, Architecture(64, 2, 1, 128, patch, (96, 96)))
    with pytest.raises(BeastError, match=f'patches of {patch} px.*or with a smaller size'):
        build_backbone(BEAST, backbone_checkpoint=str(path))


@pytest.mark.parametrize('patch', [4, 8])
def test_smaller_patches_see_the_image_scaled_down(tmp_path: Path, patch: int) -> None:
    factor = 16 // patch
    architecture = Architecture(64, 2, 1, 128, patch, (4 * patch, 4 * patch))
    path = _save(tmp_path, architecture)
    backbone, _ = build_backbone(BEAST, backbone_checkpoint=str(path))
    small = BeastBackbone(architecture)
    load_into_vit(small.vision_encoder, read_encoder(path))
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = backbone.eval()(image)
        wanted = small.eval()(functional.avg_pool2d(image, factor))
    assert found.shape == (2, 64, 4, 4)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('factor', [1, 2])
def test_the_heatmap_head_is_built_for_stride_16(tmp_path: Path, factor: Any) -> None:
    model = HeatmapTracker(
        num_keypoints=5,
        backbone=BEAST,
        downsample_factor=factor,
        backbone_checkpoint=str(_save(tmp_path)),
        image_size=128,
    )
    heatmaps = model(torch.randn(2, 3, 128, 256))
    assert heatmaps.shape == (2, 5, 128 // 2**factor, 256 // 2**factor)


def test_the_context_model_is_built(tmp_path: Path) -> None:
    model = HeatmapTrackerMHCRNN(
        num_keypoints=5,
        backbone=BEAST,
        backbone_checkpoint=str(_save(tmp_path)),
        image_size=128,
    )
    crnn, single = model(torch.randn(2, 5, 3, 128, 128))
    assert crnn.shape == single.shape == (2, 5, 32, 32)


@pytest.mark.usefixtures('no_gpu')
def test_the_multiview_model_is_built(tmp_path: Path) -> None:
    model = HeatmapTrackerMultiviewTransformer(
        num_keypoints=5,
        num_views=2,
        backbone=BEAST,
        backbone_checkpoint=str(_save(tmp_path)),
        image_size=128,
    )
    # through the step, since what `forward` takes differs between versions of the host
    batch: Any = {
        'frames': torch.randn(3, 2, 3, 128, 128),
        'is_multiview': True,
        'bbox': torch.tensor([0.0, 0.0, 128.0, 128.0]).repeat(3, 2),
    }
    heatmaps = model.predict_step(batch, 0, return_heatmaps=True)[-1]
    assert heatmaps.shape == (3, 10, 32, 32)


@pytest.mark.parametrize(
    ('model_type', 'settings', 'shape'),
    [
        ('heatmap', {}, (4, 3, 128, 256)),
        ('heatmap_mhcrnn', {}, (8, 3, 128, 128)),
        ('heatmap_multiview_transformer', {'num_views': 2}, (4, 2, 3, 128, 128)),
    ],
)
@pytest.mark.usefixtures('no_gpu')
def test_semi_supervised_models_take_unlabelled_frames(
    tmp_path: Path,
    model_type: Any,
    settings: dict[str, Any],
    shape: tuple[int, ...],
) -> None:
    """All but the video reader, which needs a GPU; every weight gets a gradient."""
    model: Any = get_model_class(model_type, semi_supervised=True)(
        num_keypoints=5,
        backbone=BEAST,
        backbone_checkpoint=str(_save(tmp_path)),
        image_size=128,
        **settings,
    )
    views = shape[1] if len(shape) == 5 else 1
    batch = {
        'frames': torch.randn(shape),
        'transforms': torch.zeros(1),
        'is_multiview': views > 1,
        'bbox': torch.tensor([0.0, 0.0, 128.0, 128.0]).repeat(shape[0], views),
    }
    outputs: Any = model.get_loss_inputs_unlabeled(batch)
    assert torch.isfinite(outputs['keypoints_pred']).all()
    assert outputs['keypoints_pred'].shape[1] == 5 * views * 2
    outputs['keypoints_pred'].square().mean().backward()
    assert [n for n, p in model.backbone.named_parameters() if p.grad is None] == []


def test_a_pose_checkpoint_names_the_architecture_instead_of_a_path(tmp_path: Path) -> None:
    model = HeatmapTracker(
        num_keypoints=5,
        backbone=BEAST,
        backbone_checkpoint=str(_save(tmp_path)),
        image_size=128,
    )
    callbacks()[0].setup(None, model, 'fit')
    stored = model.hparams['backbone_checkpoint']
    assert str(tmp_path) not in stored
    assert stored.startswith(ARCHITECTURE_PREFIX)

    rebuilt, _ = build_backbone(BEAST, backbone_checkpoint=stored)
    shapes = {k: v.shape for k, v in rebuilt.state_dict().items()}
    assert shapes == {k: v.shape for k, v in model.backbone.state_dict().items()}


def test_the_callback_leaves_other_models_alone() -> None:
    model = torch.nn.Module()
    model.backbone = torch.nn.Linear(1, 1)
    callbacks()[0].setup(None, model, 'fit')
    assert not hasattr(model, 'hparams')


@pytest.mark.parametrize('first', [True, False])
def test_the_first_process_alone_writes_the_progress(first: bool, tmp_path: Path) -> None:
    hosts = [JSONTrainingProgressTracker(tmp_path / 'status.json'), Callback()]
    trainer = SimpleNamespace(is_global_zero=first, callbacks=[*hosts, *callbacks()])
    for callback in trainer.callbacks:
        callback.setup(trainer, torch.nn.Module(), 'fit')
    assert (hosts[0] in trainer.callbacks) == first
    assert hosts[1] in trainer.callbacks
