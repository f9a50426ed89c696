"""Weights of the host's backbones where their libraries keep what they downloaded."""

from pathlib import Path

import pytest
import torch


@pytest.fixture
def resnet_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Put a ResNet-18 where torch keeps what it downloaded; returns its tensors."""
    from torchvision.models import ResNet18_Weights, resnet18

    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    torch.manual_seed(0)
    state = resnet18(weights=None).state_dict()
    folder = tmp_path / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    torch.save(state, folder / Path(ResNet18_Weights.IMAGENET1K_V1.url).name)
    return state
