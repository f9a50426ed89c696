"""Tests of the map of CLS tokens."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from beast_lp.reports.embedding_map import embedding_map

Check = Callable[[Figure], None]


def test_embedding_map_shows_the_principal_components(assert_well_drawn: Check) -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(60, 8)) * (9, 5, 1, 1, 1, 1, 1, 1)
    video = ['b.mp4'] * 25 + ['_a $x$ $y$.mp4'] * 35
    time = rng.random(60)
    figure = embedding_map(embeddings, video, time)
    assert_well_drawn(figure)
    left, right, bar = figure.axes

    centred = embeddings - embeddings.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    expected = centred @ vectors[:, ::-1][:, :2]
    points = np.asarray(right.collections[0].get_offsets())
    for axis in range(2):
        sign = np.sign(points[0, axis] * expected[0, axis])
        np.testing.assert_allclose(points[:, axis], sign * expected[:, axis])
    np.testing.assert_array_equal(right.collections[0].get_array(), time)
    by_video = [np.asarray(group.get_offsets()) for group in left.collections]
    np.testing.assert_array_equal(by_video[0], points[25:])
    np.testing.assert_array_equal(by_video[1], points[:25])
    assert f'({values[-1] / values.sum():.0%} of variance)' in left.get_xlabel()
    assert bar.get_ylabel() == 'time elapsed in the video'
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ['_a $x$ $y$.mp4', 'b.mp4']
    for axes in (left, right):
        assert (points >= (axes.get_xlim()[0], axes.get_ylim()[0])).all()
        assert (points <= (axes.get_xlim()[1], axes.get_ylim()[1])).all()
        assert axes.get_aspect() == 1


@pytest.mark.parametrize(
    'long_name',
    [
        # differ where names are shortened, and at their ends
        'all_sessions_of_the_experiment_2024-01-{:02d}/camera_of_a_very_long_name/left.mp4',
        'm' * 60 + '{:02d}.mp4',
    ],
)
def test_many_videos_leave_the_rarest_grey(assert_well_drawn: Check, long_name: str) -> None:
    rng = np.random.default_rng(0)
    video = [long_name.format(i) for i in range(15) for _ in range(3 if i < 3 else 5)]
    figure = embedding_map(5000 * rng.normal(size=(len(video), 4)), video, rng.random(len(video)))
    assert_well_drawn(figure)
    groups = figure.axes[0].collections
    assert [len(np.asarray(group.get_offsets())) for group in groups] == [9] + [5] * 12
    looks = {
        (to_hex(np.asarray(group.get_facecolor())[0]), len(group.get_paths()[0]))
        for group in groups
    }
    assert len(looks) == 13
    legend = figure.legends[0]
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[-1] == '3 other videos'
    assert len(set(labels)) == 13
    boxes = [text.get_window_extent() for text in legend.get_texts()]
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])


def test_tokens_that_are_not_finite_are_left_out_and_counted() -> None:
    embeddings = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float16)
    embeddings[[2, 5]] = np.nan
    figure = embedding_map(embeddings, list('aaabbbccc'), np.linspace(0, 1, 9))
    left, right, _ = figure.axes
    assert '7 frames' in left.get_title(loc='left')
    assert '2 not finite' in left.get_title(loc='left')
    np.testing.assert_array_equal(
        right.collections[0].get_array(), np.delete(np.linspace(0, 1, 9), [2, 5])
    )


def test_equal_tokens_still_give_a_map(assert_well_drawn: Check) -> None:
    figure = embedding_map(np.ones((5, 4)), list('aabbb'), np.linspace(0, 1, 5))
    assert_well_drawn(figure)
    assert '(0% of variance)' in figure.axes[0].get_xlabel()


@pytest.mark.parametrize('shape', [(2, 4), (5, 1)])
def test_a_map_needs_three_tokens_of_two_dimensions(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match='needs 3 finite tokens'):
        embedding_map(np.ones(shape), ['a'] * shape[0], np.zeros(shape[0]))
