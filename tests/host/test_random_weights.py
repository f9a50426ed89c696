"""Random weights in the place of a checkpoint: the control of every comparison."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from beast_lp.errors import BeastError
from beast_lp.host import pose
from beast_lp.host.backbone import build
from beast_lp.host.random_weights import resolve_random
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.model import random_encoder
from beast_lp.vit.save import encoder_to_transformers, save_backbone


def _cfg(seed: int = 0, **beast: Any) -> DictConfig:
    return OmegaConf.create(
        {
            'data': {'image_resize_dims': {'height': 128, 'width': 128}},
            'model': {'backbone': 'beast', 'model_type': 'heatmap'},
            'training': {'rng_seed_model_pt': seed},
            **({'beast': beast} if beast else {}),
        }
    )


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Return a pretraining's directory with a small backbone."""
    shape = Architecture(64, 2, 1, 256, 8, (64, 64))
    state = encoder_to_transformers(random_encoder(shape, 3))
    save_backbone(tmp_path / 'run' / 'backbone', shape, state)
    return tmp_path / 'run'


def test_the_shape_is_that_of_the_section_a_preset_or_a_checkpoint(checkpoint: Path) -> None:
    for setting, cfg, width in (
        ('random', _cfg(preset='vit_tiny'), 192),
        ('random:laptop', _cfg(), 128),
        (f'random:{checkpoint}', _cfg(preset='vit_tiny'), 64),
    ):
        backbone, channels = build('heatmap', resolve_random(setting, cfg))
        assert channels == width == backbone.architecture.hidden_size
        # small patches are enlarged, as those of a pretrained backbone are
        assert backbone.architecture.patch_size == 16
        assert backbone(torch.zeros(1, 3, 128, 128)).shape == (1, width, 8, 8)
    with pytest.raises(BeastError, match='random weights need a size: .*random:laptop'):
        resolve_random('random', _cfg())
    with pytest.raises(BeastError, match='no checkpoint at'):
        resolve_random('random:nowhere', _cfg())


def test_the_seed_of_the_pose_model_draws_them(checkpoint: Path) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed + 7)
        backbone, _ = build('heatmap', resolve_random(f'random:{checkpoint}', _cfg(seed)))
        return torch.nn.utils.parameters_to_vector(backbone.parameters())

    first = weights(0)
    assert torch.equal(first, weights(0))
    assert not torch.allclose(first, weights(1))
    # those of the checkpoint are not used
    trained, _ = build('heatmap', str(checkpoint))
    assert not torch.allclose(first, torch.nn.utils.parameters_to_vector(trained.parameters()))


def test_training_keeps_what_was_drawn_in_its_config(checkpoint: Path) -> None:
    cfg = _cfg(2, preset='laptop')
    cfg.model.backbone_checkpoint = f'random:{checkpoint}'
    pose.prepare_training(cfg, None, evaluates=False)
    kept = cfg.model.backbone_checkpoint
    assert '"seed": 2' in kept and resolve_random(kept, _cfg(5)) == kept
    # a folder of such a name is a folder
    cfg.model.backbone_checkpoint = '/data/random_run'
    pose.prepare_training(cfg, None, evaluates=False)
    assert cfg.model.backbone_checkpoint == '/data/random_run'


@pytest.mark.parametrize(
    ('setting', 'rate'),
    [
        ('random:laptop', 5e-4),
        ('random:vit_base', 5e-5),
        ('facebook/vit-mae-base', 5e-5),
        ('{checkpoint}', 5e-4),
        ('random:{checkpoint}', 5e-4),
    ],
)
def test_the_learning_rate_follows_the_backbone(
    setting: str,
    rate: float,
    checkpoint: Path,
) -> None:
    assert pose.learning_rate_of(setting.format(checkpoint=checkpoint)) == rate
