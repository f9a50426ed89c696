"""What the read-out of a trained model has to beat."""

import numpy as np
import torch

from beast_lp.config import parse_config
from beast_lp.pretraining.floors import (
    COMPONENTS,
    FLOORS,
    component_features,
    floor_features,
    grey_pixels,
    random_encoder,
)

TINY = {'model': {'image_size': 32, 'hidden_size': 32, 'num_layers': 1}, 'init': 'random'}


def _pictures(count: int, side: int = 32) -> torch.Tensor:
    draw = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=draw)


def test_grey_pixels_are_means_of_what_they_cover() -> None:
    pictures = _pictures(2)
    found = grey_pixels(pictures).reshape(2, 16, 16)
    for row, column in ((0, 0), (3, 11), (15, 15)):
        area = pictures[1, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].numpy()
        grey = np.mean(area @ np.array([0.299, 0.587, 0.114]))
        np.testing.assert_allclose(found[1, row, column], grey, rtol=1e-5)
    assert grey_pixels(_pictures(1, side=8)).shape == (1, 64)
    with torch.autocast('cpu', torch.bfloat16):
        np.testing.assert_array_equal(grey_pixels(pictures).reshape(2, 16, 16), found)


def test_components_are_those_of_all_frames() -> None:
    own, others = _pictures(30), _pictures(40)
    found = component_features(own, others)
    assert found.shape == (30, COMPONENTS)
    every = grey_pixels(torch.cat([own, others]), 32)
    centred = every - every.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:COMPONENTS]
    expected = centred[:30] @ axes.T
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-2, atol=1)
    # as many as there are frames
    assert component_features(own[:5]).shape == (5, 5)


def test_random_weights_repeat_and_leave_other_draws_alone() -> None:
    model = parse_config(TINY).model
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    first, second, other = (random_encoder(model, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), wanted)
    assert torch.equal(first.embed.weight, second.embed.weight)
    assert not torch.equal(first.embed.weight, other.embed.weight)
    assert not first.training


def test_every_floor_has_words_and_features() -> None:
    features = floor_features(_pictures(12), _pictures(20))
    assert {*features, 'random'} == set(FLOORS)
    assert all(len(values) == 12 for values in features.values())
    assert (features['constant'] == 0).all()
