"""Tests of the sheets of anchors: each picture is what was given, in its place."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from beast_lp.reports.anchor_sheets import contact_sheet, thumbnail_sheet
from beast_lp.reports.page import draw_png

Check = Callable[[Figure], None]


def shown(axes: Axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def pictures(count: int, height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 3, height, width)).astype(np.float32)


def test_contact_sheet_shows_every_image_with_its_aspect(
    assert_well_drawn: Check, assert_titles_apart: Check
) -> None:
    images = (pictures(11).transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    captions = [f'frame {index}' for index in range(11)]
    figure = contact_sheet(images, captions, columns=4)
    assert_well_drawn(figure)
    assert_titles_apart(figure)
    assert len(figure.axes) == 11
    tops = [round(axes.get_position().y1, 6) for axes in figure.axes]
    assert [tops.count(top) for top in sorted(set(tops), reverse=True)] == [4, 4, 3]
    for axes, image, caption in zip(figure.axes, images, captions, strict=True):
        np.testing.assert_array_equal(shown(axes), image)
        assert axes.get_title() == caption
        box = axes.get_window_extent()
        assert box.width / box.height == pytest.approx(32 / 24)


def test_thumbnails_show_spread_pictures_of_each_video_in_its_row(
    assert_well_drawn: Check,
) -> None:
    wide = np.stack([np.full((60, 120, 3), 10 * number, np.uint8) for number in range(15)])
    tall = np.full((2, 120, 60, 3), 200, np.uint8)
    figure = thumbnail_sheet([wide, tall], ['day1/left.mp4', 'a_very_long_name_' * 5])
    assert_well_drawn(figure)
    first, second = (shown(axes) for axes in figure.axes)
    assert first.shape == second.shape
    # 8 pictures of 45 x 90 px, 4 px apart
    assert [int(first[10, 94 * number + 5, 0]) for number in range(8)] == [
        0, 20, 40, 60, 80, 100, 120, 140,
    ]  # fmt: skip
    assert (first[45:] == 255).all() and (first[:, 90:94] == 255).all()
    assert (second[:90, :45] == 200).all() and (second[:, 94:] == 255).all()
    names = [axes.texts[0].get_text() for axes in figure.axes]
    assert names[0] == 'day1/left.mp4' and '…' in names[1]


@pytest.mark.parametrize('size', [(200, 20), (20, 200)])
def test_contact_sheet_of_one_narrow_image(
    assert_well_drawn: Check,
    size: tuple[int, int],
) -> None:
    images = (pictures(1, *size).transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    figure = contact_sheet(images, ['7'])
    assert_well_drawn(figure)
    box = figure.axes[0].get_window_extent()
    assert box.height / box.width == pytest.approx(size[0] / size[1])


def test_long_captions_are_shortened_in_the_middle_and_stay_apart(
    assert_titles_apart: Check,
) -> None:
    images = np.zeros((3, 24, 32, 3), np.uint8)
    figure = contact_sheet(images, ['session_' + 'WM' * 40 + f' {i}' for i in range(3)])
    assert_titles_apart(figure)
    for index, axes in enumerate(figure.axes):
        assert axes.get_title().startswith('session_') and '…' in axes.get_title()
        assert axes.get_title().endswith(f'M {index}')


def test_shortened_captions_fit_as_drawn(assert_titles_apart: Check) -> None:
    for word in ('W', 'i', 'm.', 'a_1/'):
        figure = contact_sheet(np.zeros((2, 24, 32, 3), np.uint8), [word * 60] * 2)
        assert_titles_apart(figure)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        for axes in figure.axes:
            drawn = axes.title.get_window_extent(canvas.get_renderer()).width
            assert 0.8 < drawn / axes.get_window_extent().width <= 1


def test_captions_are_drawn_as_they_stand() -> None:
    captions = [r'$\bad{$.mp4', 'a\tb', 'x\udcff']
    figure = contact_sheet(np.zeros((3, 24, 60, 3), np.uint8), captions)
    draw_png(figure)
    assert [axes.get_title() for axes in figure.axes] == [r'$\bad{$.mp4', r'a\tb', r'x\udcff']


def test_captions_of_two_lines_have_room(assert_well_drawn: Check) -> None:
    images = np.zeros((4, 24, 60, 3), np.uint8)
    images[..., :30, :] = np.arange(24, dtype=np.uint8)[:, None, None] * 9
    figure = contact_sheet(images, ['a\nb', 'c', 'd' * 99 + '\ne', 'f'], columns=2)
    assert_well_drawn(figure)
    assert figure.axes[2].get_title().endswith('d\ne')
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    caption = figure.axes[2].title.get_window_extent(canvas.get_renderer())
    assert caption.y1 < figure.axes[0].get_window_extent().y0


def test_contact_sheet_refuses_wrong_counts() -> None:
    images = np.zeros((2, 24, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="'captions': 1"):
        contact_sheet(images, ['one'])
    with pytest.raises(ValueError, match='at least one'):
        contact_sheet(images[:0], [])
