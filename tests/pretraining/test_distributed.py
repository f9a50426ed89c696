"""Two processes do what one does on the joined batch: losses, gradients, statistics."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from beast_lp.pretraining.distributed import BatchNorm
from beast_lp.pretraining.module import mask_noise

MODEL = {
    'image_size': 32,
    'patch_size': 8,
    'hidden_size': 32,
    'num_layers': 1,
    'decoder_hidden_size': 16,
    'decoder_num_layers': 1,
}
LOSSES: dict[str, dict[str, Any]] = {
    'symmetric': {},
    'anchors': {'contrastive_form': 'anchors'},
    'learned temperature': {'temperature': 0.2, 'learn_temperature': True},
    'contrastive alone': {'reconstruction_weight': 0.0, 'norm_pix_loss': True},
}
SECTIONS = {
    name: {
        'init': 'random',
        'model': MODEL,
        'loss': {'contrastive_weight': 1.0, 'gather_negatives': True, **loss},
    }
    for name, loss in LOSSES.items()
}
# every process contrasts with its own frames alone
APART = {**SECTIONS['symmetric'], 'loss': {'contrastive_weight': 1.0}}


@pytest.fixture(scope='module')
def joined() -> torch.Tensor:
    """Return a batch of 6 pairs."""
    torch.manual_seed(5)
    return torch.randint(0, 256, (6, 2, 40, 40, 3), dtype=torch.uint8)


Results = dict[str, list[dict[str, torch.Tensor]]]


def _run(processes: int, joined: torch.Tensor, folder: Path) -> Results:
    """Return what each of some real processes computed, by section."""
    folder.mkdir()
    torch.save(([*SECTIONS.values(), APART], joined), folder / 'input.pt')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen(
            [sys.executable, Path(__file__).with_name('one_rank.py'), folder],
            env={
                **os.environ,
                'RANK': str(rank),
                'WORLD_SIZE': str(processes),
                'MASTER_ADDR': '127.0.0.1',
                'MASTER_PORT': port,
                'PYTHONPATH': str(root),
                'OMP_NUM_THREADS': '1',
            },
        )
        for rank in range(processes)
    ]
    assert [process.wait(timeout=300) for process in started] == [0] * processes
    ranks = [torch.load(folder / f'rank{rank}.pt', weights_only=True) for rank in range(processes)]
    return {name: list(all_) for name, *all_ in zip([*SECTIONS, 'apart'], *ranks, strict=True)}


@pytest.fixture(scope='module')
def alone(joined: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return what one process computes on the joined batch."""
    return _run(1, joined, tmp_path_factory.mktemp('ranks') / 'one')


@pytest.fixture(scope='module')
def shared(joined: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return what each of two processes computes on its half."""
    return _run(2, joined, tmp_path_factory.mktemp('ranks') / 'two')


@pytest.mark.parametrize('name', SECTIONS)
def test_two_processes_equal_one_on_the_joined_batch(
    name: str,
    alone: Results,
    shared: Results,
) -> None:
    (whole,) = alone[name]
    for result in shared[name]:
        assert result.keys() == whole.keys()
        for key, value in result.items():
            # a bias before BatchNorm has a gradient of zero, but for rounding
            difference, scale = (value - whole[key]).norm(), whole[key].norm()
            assert difference <= 1e-4 * scale + 1e-6, (key, difference, scale)
    assert whole['gradient model.embed.weight'].abs().max() > 1e-3
    assert whole['gradient projection.0.weight'].abs().max() > 1e-3


def test_negatives_are_gathered_only_if_asked_for(alone: Results, shared: Results) -> None:
    (whole,), (one, _) = alone['apart'], shared['apart']
    # 5 candidates, not 11
    assert float(one['loss contrastive']) < float(whole['loss contrastive']) - 0.1
    torch.testing.assert_close(
        one['loss reconstruction'],
        whole['loss reconstruction'],
        rtol=1e-5,
        atol=1e-6,
    )


def test_batch_norm_of_one_process_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(4), nn.BatchNorm1d(4)
    x = torch.randn(9, 4)
    assert torch.equal(ours(x), theirs(x))
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_masks_are_seeded_per_image_and_shared_out() -> None:
    key = (0, 'step', 4, 2)
    whole = mask_noise(6, 16, key, 0, 1)
    assert torch.equal(whole, mask_noise(6, 16, key, 0, 1))
    assert not torch.equal(whole, mask_noise(6, 16, (0, 'step', 4, 3), 0, 1))
    # no two images share a draw
    assert len({tuple(row.tolist()) for row in whole}) == 12
    for rank in range(3):
        part = mask_noise(2, 16, key, rank, 3).view(2, 2, 16)
        assert torch.equal(part, whole.view(2, 6, 16)[:, rank::3])
