"""Draws that depend on their key alone."""

import torch

from beast_lp.runs.seeds import derive_seed, numpy_generator, torch_generator


def test_equal_keys_give_equal_draws_and_others_do_not() -> None:
    keys = [(0, 'crop', 1), (0, 'crop', 2), (1, 'crop', 1), (0, 'flip', 1), (0, 1, 'crop'), (0,)]
    assert len({derive_seed(*key) for key in keys}) == len(keys)
    first, second = (numpy_generator(*keys[0]).random(3).tolist() for _ in range(2))
    assert first == second
    assert first != numpy_generator(*keys[1]).random(3).tolist()
    draws = [torch.rand(3, generator=torch_generator(*key)) for key in (keys[0], keys[0], keys[1])]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_seeds_are_the_same_on_every_machine() -> None:
    assert derive_seed(0, 'crop', 3) == 4644375542229697938
