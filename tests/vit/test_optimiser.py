"""Optimisers, and the learning rate over the steps."""

import copy
import math
from dataclasses import fields

import pytest
import torch
from torch import nn

from beast_lp.config import ModelConfig, TrainingConfig
from beast_lp.config.setting import declaration
from beast_lp.errors import BeastError
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.optimiser import OPTIMISERS, JointOptimizer, muon, schedule_factor

SETTINGS = TrainingConfig(weight_decay=0.1, beta2=0.95)


def _model() -> MaskedAutoencoder:
    torch.manual_seed(0)
    sizes = {'hidden_size': 32, 'num_layers': 2, 'decoder_hidden_size': 16}
    return MaskedAutoencoder(
        ModelConfig(image_size=[16, 16], patch_size=4, decoder_num_layers=1, **sizes)
    )


def _gradients(model: nn.Module, step: int) -> None:
    """Give every parameter some gradient."""
    draw = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=draw)


def test_the_optimisers_are_the_choices_of_the_schema() -> None:
    (field,) = (field for field in fields(TrainingConfig) if field.name == 'optimizer')
    choices = declaration(field).choices
    assert choices is not None
    assert list(OPTIMISERS) == list(choices)


@pytest.mark.parametrize('name', OPTIMISERS)
def test_every_parameter_is_trained_once_and_matrices_decay(name: str) -> None:
    model = _model()
    optimizer = OPTIMISERS[name](model, 1e-3, SETTINGS)
    given = [id(p) for group in optimizer.param_groups for p in group['params']]
    assert sorted(given) == sorted(id(p) for p in model.parameters())
    for group in optimizer.param_groups:
        for parameter in group['params']:
            assert group['weight_decay'] == (0.1 if parameter.ndim == 2 else 0)


def test_muon_takes_the_matrices_of_the_blocks_alone() -> None:
    model = _model()
    optimizer = muon(model, 1e-3, SETTINGS)
    assert isinstance(optimizer, JointOptimizer)
    names = {id(p): name for name, p in model.named_parameters()}
    taken = {names[id(p)] for p in optimizer.parts[0].param_groups[0]['params']}
    # qkv, out and two of the MLP, in two blocks and one of the decoder
    assert len(taken) == 12
    assert all('blocks.' in name and name.endswith('weight') for name in taken)


def test_the_joint_optimiser_steps_as_its_parts_would() -> None:
    model, apart = _model(), _model()
    joint = muon(model, 1e-2, SETTINGS)
    parts = muon(apart, 1e-2, SETTINGS)
    assert isinstance(parts, JointOptimizer)
    for step in range(3):
        _gradients(model, step)
        _gradients(apart, step)
        joint.step()
        for part in parts.parts:
            part.step()
    for one, other in zip(model.parameters(), apart.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize('name', OPTIMISERS)
def test_a_resumed_optimiser_takes_the_same_steps(name: str) -> None:
    model = _model()
    optimizer = OPTIMISERS[name](model, 1e-2, SETTINGS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    for step in range(2):
        _gradients(model, step)
        optimizer.step()
        schedule.step()
    resumed = copy.deepcopy(model)
    again = OPTIMISERS[name](resumed, 1e-2, SETTINGS)
    later = torch.optim.lr_scheduler.LambdaLR(again, lambda step: 1 / (1 + step))
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    later.load_state_dict(schedule.state_dict())
    before = [p.detach().clone() for p in resumed.parameters()]
    for step in (2, 3):
        for one, its, rate in ((model, optimizer, schedule), (resumed, again, later)):
            _gradients(one, step)
            its.step()
            rate.step()
    for old, one, other in zip(before, model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
        assert not torch.equal(old, other)


def test_the_joint_optimiser_computes_the_gradients_that_it_is_given() -> None:
    model = _model()
    optimizer = muon(model, 1e-2, SETTINGS)

    def closure() -> float:
        loss = sum((p.square().sum() for p in model.parameters()), torch.zeros(()))
        loss.backward()
        return loss.item()

    first, second = (optimizer.step(closure) for _ in range(2))
    assert second < first


def test_muon_names_the_torch_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, 'Muon')
    with pytest.raises(BeastError, match=r'needs torch 2\.9, found .*optimizer=adamw'):
        muon(_model(), 1e-3, SETTINGS)


@pytest.mark.parametrize(
    ('total', 'warmup', 'floor'),
    [
        (1000, 0.15, 0.1),
        (7, 0.5, 0.0),
        (1, 0.15, 0.1),
        (10, 0.0, 0.1),
        (10, 1.0, 0.2),
    ],
)
def test_the_schedule_equals_a_slow_version(total: int, warmup: float, floor: float) -> None:
    rise = round(total * warmup)
    for step in range(total):
        if step < rise:
            wanted = floor + (1 - floor) * step / rise
        else:
            done = min(1.0, (step - rise) / max(1, total - 1 - rise))
            wanted = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
        assert schedule_factor(step, total, warmup, floor) == pytest.approx(wanted)


def test_the_schedule_starts_and_ends_at_the_floor_and_peaks_at_one() -> None:
    factors = [schedule_factor(step, 1000, 0.15, 0.1) for step in range(1000)]
    assert factors[0] == factors[-1] == pytest.approx(0.1)
    assert max(factors) == factors[150] == 1.0
