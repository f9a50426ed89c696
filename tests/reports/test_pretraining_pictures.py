"""Tests of the pictures in rows: each is what was given, in its place, under its caption."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from beast_lp.reports.pretraining_pictures import (
    reconstructions,
    reconstructions_over_epochs,
    retrieval_examples,
)

Check = Callable[[Figure], None]


def shown(axes: Axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def pictures(count: int, height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 3, height, width)).astype(np.float32)


def test_reconstructions_stand_beside_their_originals(assert_well_drawn: Check) -> None:
    originals, masked, reconstructed = (pictures(4, seed=seed) for seed in range(3))
    figure = reconstructions(originals, masked, reconstructed)
    assert_well_drawn(figure)
    assert len(figure.axes) == 12
    places = [axes.get_position() for axes in figure.axes]
    order = sorted(range(12), key=lambda index: (-places[index].y0, places[index].x0))
    grid = [figure.axes[index] for index in order]
    titles = [axes.get_title() for axes in grid[:3]]
    assert titles == ['original', 'visible patches', 'reconstruction']
    for row in range(4):
        for column, expected in enumerate((originals, masked, reconstructed)):
            image = shown(grid[3 * row + column])
            np.testing.assert_allclose(image, expected[row].transpose(1, 2, 0))


def test_reconstruction_clips_and_marks_broken_pixels() -> None:
    originals = pictures(1)
    broken = originals.copy()
    broken[0, :, 0, 0] = (-3, 0.5, 7)
    broken[0, 1, 2, 2] = np.nan
    image = shown(reconstructions(originals, originals, broken).axes[-1])
    np.testing.assert_array_equal(image[0, 0], (0, 0.5, 1))
    np.testing.assert_array_equal(image[2, 2], (1, 0, 0))


def test_reconstructions_refuse_different_shapes() -> None:
    with pytest.raises(ValueError, match='shapes differ'):
        reconstructions(pictures(2), pictures(2), pictures(2, height=25))


def test_retrieval_says_by_colour_and_word_what_was_found(
    assert_well_drawn: Check, assert_titles_apart: Check
) -> None:
    anchors, nearest = pictures(10), pictures(10, seed=1)
    correct = np.arange(10) % 3 == 0
    captions = [f'video {index}\n→ video {index + 1}' for index in range(10)]
    figure = retrieval_examples(anchors, nearest, correct, captions)
    assert_well_drawn(figure)
    assert_titles_apart(figure)
    assert len(figure.axes) == 20
    for index in range(10):
        upper, lower = figure.axes[2 * index : 2 * index + 2]
        np.testing.assert_allclose(shown(upper), anchors[index].transpose(1, 2, 0))
        np.testing.assert_allclose(shown(lower), nearest[index].transpose(1, 2, 0))
        assert upper.get_title() == captions[index]
        assert upper.get_position().y0 > lower.get_position().y1
        assert upper.get_position().x0 == lower.get_position().x0
        assert lower.get_xlabel() == ('positive' if correct[index] else 'other frame')
        colour = to_hex(lower.spines['left'].get_edgecolor())
        assert colour == ('#0072b2' if correct[index] else '#d55e00')


def test_snapshots_stand_in_the_order_of_training(
    assert_well_drawn: Check, assert_titles_apart: Check
) -> None:
    draw = np.random.default_rng(0)
    originals, masked = draw.random((2, 2, 3, 16, 24))
    snapshots = {
        9: draw.integers(0, 256, (2, 3, 16, 24), np.uint8),
        1: draw.integers(0, 256, (2, 3, 16, 24), np.uint8),
    }
    figure = reconstructions_over_epochs(originals, masked, snapshots)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[::2] == ['original', 'visible patches', 'epoch 1', 'epoch 9']
    np.testing.assert_allclose(
        shown(figure.axes[5]), np.moveaxis(snapshots[1][1], 0, -1) / 255, atol=1e-6
    )
    assert_well_drawn(figure)
    assert_titles_apart(figure)
    with pytest.raises(ValueError, match='shape'):
        reconstructions_over_epochs(originals, masked, {1: snapshots[1][:1]})
    with pytest.raises(ValueError, match='expected snapshots'):
        reconstructions_over_epochs(originals, masked, {})
