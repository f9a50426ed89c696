"""How many threads share a training step."""

import os

import pytest
import torch

from beast_lp.config import parse_config
from beast_lp.pretraining.threads import small_step, suitable_threads


@pytest.mark.parametrize(
    ('preset', 'small'),
    [('laptop', True), ('vit_tiny', False), ('vit_small', False), ('vit_base', False)],
)
def test_only_the_smallest_preset_has_small_steps(preset: str, small: bool) -> None:
    assert small_step(parse_config({'preset': preset})) is small


def test_a_large_batch_makes_a_small_model_worth_several_threads() -> None:
    config = parse_config({'preset': 'laptop', 'training': {'batch_size': 512}})
    assert not small_step(config)


@pytest.mark.parametrize(('preset', 'chosen', 'threads'), [
    ('laptop', None, 1),
    ('laptop', '3', 3),
    ('vit_tiny', None, 3),
])  # fmt: skip
def test_a_small_step_has_one_thread_unless_the_user_chose(
    preset: str, chosen: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if chosen:
        monkeypatch.setenv('OMP_NUM_THREADS', chosen)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with suitable_threads(parse_config({'preset': preset})):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert os.environ.get('OMP_NUM_THREADS') == chosen
