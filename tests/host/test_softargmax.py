"""Hosts that read heatmaps wrongly are known by what they do."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_pose.models import HeatmapTracker
from lightning_pose.models.heads import heatmap as host

from beast_lp.host import softargmax


@pytest.fixture
def right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the host's function read heatmaps rightly, whatever version is installed."""
    if softargmax.soft_argmax_error() > 4:
        _turn_around(monkeypatch)


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the meaning of its temperature turned around."""
    if softargmax.soft_argmax_error() < 4:
        _turn_around(monkeypatch)


def _turn_around(monkeypatch: pytest.MonkeyPatch) -> None:
    original = host.run_subpixelmaxima
    monkeypatch.setattr(
        host,
        'run_subpixelmaxima',
        lambda heatmaps, factor, temperature: original(heatmaps, factor, 1 / temperature),
    )


def _messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    softargmax.warn_if_heatmaps_are_misread.cache_clear()
    with caplog.at_level('WARNING', 'lightning_pose'):
        for _ in range(2):
            softargmax.warn_if_heatmaps_are_misread()
    return [record.getMessage() for record in caplog.records]


@pytest.mark.usefixtures('right')
def test_a_host_that_reads_heatmaps_rightly_is_not_spoken_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert _messages(caplog) == []


@pytest.mark.usefixtures('wrong')
def test_a_host_that_does_not_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    (message,) = _messages(caplog)
    assert 'lightning-pose 2.' in message
    assert 'kornia' in message


def test_building_the_backbone_asks_and_draws_no_random_number(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A model starts from the same weights, whether it is the first of its process or not."""
    asked: list[int] = []
    check = softargmax.warn_if_heatmaps_are_misread.__wrapped__
    monkeypatch.setattr(
        'beast_lp.host.backbone.warn_if_heatmaps_are_misread', lambda: asked.append(1) or check()
    )
    with pytest.raises(Exception, match='no checkpoint'):
        backbone: Any = 'beast'
        HeatmapTracker(
            num_keypoints=1,
            backbone=backbone,
            torch_seed=0,
            backbone_checkpoint=str(tmp_path / 'none'),
        )
    assert asked
    torch.manual_seed(0)
    state = torch.get_rng_state()
    check()
    assert torch.equal(torch.get_rng_state(), state)
