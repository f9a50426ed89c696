"""Stored frames as network input, and back as pictures."""

import pytest
import torch

from beast_lp.vit.pixels import denormalise, network_input, normalise, to_unit


def test_normalisation_is_undone_for_pictures() -> None:
    frames = torch.randint(0, 256, (2, 5, 6, 3), dtype=torch.uint8)
    unit = to_unit(frames)
    assert unit.shape == (2, 3, 5, 6)
    assert float(unit[1, 2, 3, 4]) == pytest.approx(int(frames[1, 3, 4, 2]) / 255)
    torch.testing.assert_close(denormalise(normalise(unit)), unit, rtol=0, atol=1e-6)


def test_network_input_is_the_normalised_picture() -> None:
    frames = torch.randint(0, 256, (2, 3, 5, 7, 3), dtype=torch.uint8)
    before = frames.clone()
    torch.testing.assert_close(
        network_input(frames), normalise(to_unit(frames)), rtol=1e-5, atol=1e-6
    )
    assert torch.equal(frames, before)
