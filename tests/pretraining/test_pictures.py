"""What the model makes of fixed frames, now and over the epochs."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer

from beast_lp.config import BeastConfig, parse_config
from beast_lp.pretraining.checkpoints import Stopped
from beast_lp.pretraining.module import BeastModule
from beast_lp.pretraining.pictures import (
    read_snapshots,
    reconstruct,
    snapshot_epochs,
    spread,
)
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.vit.patches import patchify
from beast_lp.vit.pixels import denormalise, normalise

MODEL = {
    'image_size': 32,
    'patch_size': 8,
    'hidden_size': 32,
    'num_layers': 1,
    'decoder_hidden_size': 16,
    'decoder_num_layers': 1,
}


def _module(**loss: object) -> BeastModule:
    torch.manual_seed(0)
    return BeastModule(parse_config({'init': 'random', 'model': MODEL, 'loss': loss})).eval()


@torch.no_grad()
def test_visible_patches_are_shown_as_they_are_and_hidden_ones_grey() -> None:
    module = _module()
    images = normalise(torch.rand(3, 3, 32, 32))
    originals, masked, completed = (patchify(x, 8) for x in reconstruct(module, images))
    torch.testing.assert_close(originals, patchify(denormalise(images), 8))
    grey = (masked == 0.5).all(dim=-1)
    assert grey.sum(dim=1).tolist() == [12, 12, 12]
    torch.testing.assert_close(masked[~grey], originals[~grey])
    torch.testing.assert_close(completed[~grey], originals[~grey])
    assert not torch.allclose(completed[grey], originals[grey], atol=0.05)


@torch.no_grad()
def test_normalised_patches_get_their_brightness_back() -> None:
    module = _module(norm_pix_loss=True)
    dark, bright = torch.full((1, 3, 32, 32), 0.1), torch.full((1, 3, 32, 32), 0.9)
    _, _, completed = reconstruct(module, normalise(torch.cat([dark, bright])))
    assert float(completed[0].mean()) < 0.2
    assert float(completed[1].mean()) > 0.8


@torch.no_grad()
def test_without_a_decoder_there_is_nothing_to_show() -> None:
    module = _module(reconstruction_weight=0.0)
    assert all(len(part) == 0 for part in reconstruct(module, torch.randn(2, 3, 32, 32)))


def test_a_selection_is_spread_evenly() -> None:
    assert spread(range(9), 3) == [0, 4, 8]
    assert spread(range(2), 5) == [0, 1]


@pytest.mark.parametrize('epochs', [1, 2, 5, 40, 800])
def test_snapshots_are_few_and_include_the_first_and_the_last_epoch(epochs: int) -> None:
    chosen = snapshot_epochs(epochs)
    assert chosen[0] == 0 and chosen[-1] == epochs - 1
    assert len(chosen) == min(epochs, len(chosen)) <= 8


def test_a_run_takes_pictures_of_the_same_frames(
    tiny_config: Callable[..., BeastConfig],
    videos: list[Path],
    tmp_path: Path,
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = tiny_config(training={'epochs': 30})
    run_pretraining(config, videos, tmp_path / 'out')
    snapshots = read_snapshots(RunFiles(tmp_path / 'out').snapshots)
    assert list(snapshots) == [epoch + 1 for epoch in snapshot_epochs(30)]
    first, last = snapshots[1], snapshots[30]
    # visible patches are shown as they are: half of the picture stays, the rest is learned
    same = (first == last).mean()
    assert 0.4 < same < 0.8
    assert first.shape == last.shape == (4, 3, 32, 32)
    assert first.dtype == np.uint8
    events = EventAccumulator(str(tmp_path / 'out' / 'tb_logs'))
    events.Reload()
    assert 'reconstruction' in events.Tags()['images']
    assert {'images_per_second', 'data_wait_share', 'hours_left'} <= set(events.Tags()['scalars'])


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_the_picture_of_an_epoch_is_there_when_the_run_is_stopped_at_its_end(
    number: int,
    tiny_config: Callable[..., BeastConfig],
    videos: list[Path],
    tmp_path: Path,
) -> None:
    class StopInLastStep(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            if trainer.current_epoch == 1 and trainer.is_last_batch:
                signal.raise_signal(number)

    config = tiny_config(training={'epochs': 4, 'validation_fraction': 0.0})
    files = RunFiles(tmp_path / 'out')
    with pytest.raises(Stopped):
        run_pretraining(config, videos, files.directory, callbacks=[StopInLastStep()])
    assert list(read_snapshots(files.snapshots)) == [1, 2]
    run_pretraining(config, videos, files.directory)
    assert list(read_snapshots(files.snapshots)) == [1, 2, 3, 4]
