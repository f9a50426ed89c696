"""Tests of the figures: what is drawn equals what was given, and nothing is cut off."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.reports import figures
from beast_lp.reports.page import save_figure

COLUMNS = (
    'train_loss', 'train_reconstruction', 'train_contrastive', 'val_loss', 'val_reconstruction',
    'val_contrastive', 'val_retrieval', 'val_retrieval_chance', 'learning_rate',
    'images_per_second', 'data_wait_share',
)  # fmt: skip


def assert_well_drawn(figure: Figure, tmp_path: Path) -> None:
    """Save a figure and check its size, that it is not blank and that nothing is cut off."""
    path = tmp_path / 'figure.png'
    save_figure(figure, path, dpi=120)
    pixels = np.asarray(Image.open(path).convert('RGB'))
    expected = figure.get_size_inches()[::-1] * 120
    np.testing.assert_allclose(pixels.shape[:2], expected, atol=1)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert drawn.x0 >= 0 and drawn.y0 >= 0
    assert drawn.x1 <= width and drawn.y1 <= height


def assert_titles_apart(figure: Figure) -> None:
    """Check that the titles of neighbouring pictures do not overlap."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [axes.title.get_window_extent(canvas.get_renderer()) for axes in figure.axes]
    boxes = [box for box in boxes if box.width > 1]
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])


def shown(axes: Axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def line(axes: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(found.get_xdata(), dtype=float), np.asarray(found.get_ydata(), dtype=float)


def panel(figure: Figure, title: str) -> Axes:
    (found,) = [axes for axes in figure.axes if axes.get_title(loc='left') == title]
    return found


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def pictures(count: int, height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 3, height, width)).astype(np.float32)


def metrics_table(rows: int) -> pd.DataFrame:
    values = np.random.default_rng(0).uniform(0.2, 0.9, (rows, len(COLUMNS)))
    table = pd.DataFrame(dict(zip(COLUMNS, values.T, strict=True)))
    table['val_retrieval_chance'] = 0.125
    table.insert(0, 'step', 10 * np.arange(1, rows + 1))
    table.insert(0, 'epoch', np.arange(rows))
    return table


def test_contact_sheet_shows_every_image_with_its_aspect(tmp_path: Path) -> None:
    images = (pictures(11).transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    captions = [f'frame {index}' for index in range(11)]
    figure = figures.contact_sheet(images, captions, columns=4)
    assert_well_drawn(figure, tmp_path)
    assert_titles_apart(figure)
    assert len(figure.axes) == 11
    tops = [round(axes.get_position().y1, 6) for axes in figure.axes]
    assert [tops.count(top) for top in sorted(set(tops), reverse=True)] == [4, 4, 3]
    for axes, image, caption in zip(figure.axes, images, captions, strict=True):
        np.testing.assert_array_equal(shown(axes), image)
        assert axes.get_title() == caption
        box = axes.get_window_extent()
        assert box.width / box.height == pytest.approx(32 / 24)


@pytest.mark.parametrize('size', [(200, 20), (20, 200)])
def test_contact_sheet_of_one_narrow_image(tmp_path: Path, size: tuple[int, int]) -> None:
    images = (pictures(1, *size).transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    figure = figures.contact_sheet(images, ['7'])
    assert_well_drawn(figure, tmp_path)
    box = figure.axes[0].get_window_extent()
    assert box.height / box.width == pytest.approx(size[0] / size[1])


def test_long_captions_are_shortened_in_the_middle_and_stay_apart() -> None:
    images = np.zeros((3, 24, 32, 3), np.uint8)
    figure = figures.contact_sheet(images, ['session_' + 'WM' * 40 + f' {i}' for i in range(3)])
    assert_titles_apart(figure)
    for index, axes in enumerate(figure.axes):
        assert axes.get_title().startswith('session_') and '…' in axes.get_title()
        assert axes.get_title().endswith(f'M {index}')


def test_shortened_captions_fit_as_drawn() -> None:
    for word in ('W', 'i', 'm.', 'a_1/'):
        figure = figures.contact_sheet(np.zeros((2, 24, 32, 3), np.uint8), [word * 60] * 2)
        assert_titles_apart(figure)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        for axes in figure.axes:
            drawn = axes.title.get_window_extent(canvas.get_renderer()).width
            assert 0.8 < drawn / axes.get_window_extent().width <= 1


def test_captions_are_drawn_as_they_stand(tmp_path: Path) -> None:
    captions = [r'$\bad{$.mp4', 'a\tb', 'x\udcff']
    figure = figures.contact_sheet(np.zeros((3, 24, 60, 3), np.uint8), captions)
    save_figure(figure, tmp_path / 'figure.png')
    assert [axes.get_title() for axes in figure.axes] == [r'$\bad{$.mp4', r'a\tb', r'x\udcff']


def test_captions_of_two_lines_have_room(tmp_path: Path) -> None:
    images = np.zeros((4, 24, 60, 3), np.uint8)
    images[..., :30, :] = np.arange(24, dtype=np.uint8)[:, None, None] * 9
    figure = figures.contact_sheet(images, ['a\nb', 'c', 'd' * 99 + '\ne', 'f'], columns=2)
    assert_well_drawn(figure, tmp_path)
    assert figure.axes[2].get_title().endswith('d\ne')
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    caption = figure.axes[2].title.get_window_extent(canvas.get_renderer())
    assert caption.y1 < figure.axes[0].get_window_extent().y0


def test_contact_sheet_refuses_wrong_counts() -> None:
    images = np.zeros((2, 24, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="'captions': 1"):
        figures.contact_sheet(images, ['one'])
    with pytest.raises(ValueError, match='at least one'):
        figures.contact_sheet(images[:0], [])


def test_reconstructions_stand_beside_their_originals(tmp_path: Path) -> None:
    originals, masked, reconstructed = (pictures(4, seed=seed) for seed in range(3))
    figure = figures.reconstructions(originals, masked, reconstructed)
    assert_well_drawn(figure, tmp_path)
    assert len(figure.axes) == 12
    places = [axes.get_position() for axes in figure.axes]
    order = sorted(range(12), key=lambda index: (-places[index].y0, places[index].x0))
    grid = [figure.axes[index] for index in order]
    titles = [axes.get_title() for axes in grid[:3]]
    assert titles == ['original', 'masked input', 'reconstruction']
    for row in range(4):
        for column, expected in enumerate((originals, masked, reconstructed)):
            image = shown(grid[3 * row + column])
            np.testing.assert_allclose(image, expected[row].transpose(1, 2, 0))


def test_reconstruction_clips_and_marks_broken_pixels() -> None:
    originals = pictures(1)
    broken = originals.copy()
    broken[0, :, 0, 0] = (-3, 0.5, 7)
    broken[0, 1, 2, 2] = np.nan
    image = shown(figures.reconstructions(originals, originals, broken).axes[-1])
    np.testing.assert_array_equal(image[0, 0], (0, 0.5, 1))
    np.testing.assert_array_equal(image[2, 2], (1, 0, 0))


def test_reconstructions_refuse_different_shapes() -> None:
    with pytest.raises(ValueError, match='shapes differ'):
        figures.reconstructions(pictures(2), pictures(2), pictures(2, height=25))


def test_retrieval_says_by_colour_and_word_what_was_found(tmp_path: Path) -> None:
    anchors, nearest = pictures(10), pictures(10, seed=1)
    correct = np.arange(10) % 3 == 0
    captions = [f'video {index}\n→ video {index + 1}' for index in range(10)]
    figure = figures.retrieval_examples(anchors, nearest, correct, captions)
    assert_well_drawn(figure, tmp_path)
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


def test_training_curves_plot_the_table(tmp_path: Path) -> None:
    table = metrics_table(rows=6)
    table.loc[[0, 2, 4], [name for name in COLUMNS if name.startswith('val_')]] = np.nan
    figure = figures.training_curves(table)
    assert_well_drawn(figure, tmp_path)
    assert len(figure.axes) == 7
    titles = ('Total loss', 'Reconstruction', 'Contrastive')
    for title, name in zip(titles, ('loss', 'reconstruction', 'contrastive'), strict=True):
        x, y = line(panel(figure, title), 'training')
        np.testing.assert_array_equal(x, range(6))
        np.testing.assert_array_equal(y, table[f'train_{name}'])
        x, y = line(panel(figure, title), 'validation')
        np.testing.assert_array_equal(x, [1, 3, 5])
        np.testing.assert_array_equal(y, table[f'val_{name}'].dropna())
    for title, label, name in (
        ('Retrieval of the positive', 'validation', 'val_retrieval'),
        ('Learning rate', 'learning rate', 'learning_rate'),
        ('Throughput', 'throughput', 'images_per_second'),
    ):
        np.testing.assert_array_equal(line(panel(figure, title), label)[1], table[name].dropna())
    np.testing.assert_array_equal(
        line(figure.axes[6], 'waiting for data')[1], table['data_wait_share']
    )
    for axes in figure.axes[:6]:
        assert axes.get_xlabel() == 'epoch'
        assert axes.get_ylabel()
    assert panel(figure, 'Contrastive').get_ylabel() == 'InfoNCE (nats)'


def test_chance_line_lies_at_the_given_value() -> None:
    axes = panel(figures.training_curves(metrics_table(5)), 'Retrieval of the positive')
    np.testing.assert_array_equal(line(axes, 'chance')[1], [0.125, 0.125])
    bottom, top = axes.get_ylim()
    assert bottom <= 0.125 <= top
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ['validation', 'chance']


def test_chance_that_changes_is_drawn_point_by_point() -> None:
    table = metrics_table(4)
    table['val_retrieval_chance'] = [0.1, np.nan, 0.2, 0.2]
    axes = panel(figures.training_curves(table), 'Retrieval of the positive')
    x, y = line(axes, 'chance')
    np.testing.assert_array_equal(x, [0, 2, 3])
    np.testing.assert_array_equal(y, [0.1, 0.2, 0.2])


def test_perfect_retrieval_stays_inside_the_panel() -> None:
    table = metrics_table(3).assign(val_retrieval=1.0)
    assert panel(figures.training_curves(table), 'Retrieval of the positive').get_ylim()[1] > 1


def test_absent_quantities_are_named_not_recorded(tmp_path: Path) -> None:
    table = metrics_table(4)[['epoch', 'train_loss', 'val_contrastive']]
    figure = figures.training_curves(table.assign(val_contrastive=np.nan))
    assert_well_drawn(figure, tmp_path)
    assert len(figure.axes) == 6
    assert texts(panel(figure, 'Total loss')) == []
    for axes in figure.axes[1:]:
        assert texts(axes) == ['not recorded']


def test_no_rows_at_all(tmp_path: Path) -> None:
    figure = figures.training_curves(metrics_table(3).iloc[:0])
    assert_well_drawn(figure, tmp_path)
    assert all(texts(axes) == ['not recorded'] for axes in figure.axes)


def test_a_single_row_is_visible(tmp_path: Path) -> None:
    table = metrics_table(1)
    figure = figures.training_curves(table)
    assert_well_drawn(figure, tmp_path)
    axes = panel(figure, 'Total loss')
    (point,) = [entry for entry in axes.lines if entry.get_label() == 'training']
    np.testing.assert_array_equal(point.get_ydata(), table['train_loss'])
    assert point.get_marker() == 'o'
    np.testing.assert_array_equal(
        line(panel(figure, 'Retrieval of the positive'), 'chance')[1], [0.125, 0.125]
    )


def test_abscissa_falls_back_to_step_and_row() -> None:
    table = metrics_table(4).assign(epoch=[0, 0, 1, 1])
    axes = panel(figures.training_curves(table), 'Total loss')
    np.testing.assert_array_equal(line(axes, 'training')[0], [10, 20, 30, 40])
    assert axes.get_xlabel() == 'step'
    axes = panel(figures.training_curves(table.drop(columns=['epoch', 'step'])), 'Total loss')
    np.testing.assert_array_equal(line(axes, 'training')[0], [0, 1, 2, 3])
    assert axes.get_xlabel() == 'row of the table'


def test_infinite_losses_are_counted(tmp_path: Path) -> None:
    table = metrics_table(4)[['epoch', 'train_loss']].assign(train_loss=[0.5, np.inf, 0.4, np.inf])
    figure = figures.training_curves(table)
    assert_well_drawn(figure, tmp_path)
    axes = panel(figure, 'Total loss')
    x, y = line(axes, 'training (2 infinite, not drawn)')
    np.testing.assert_array_equal(x, [0, 2])
    np.testing.assert_array_equal(y, [0.5, 0.4])
    assert axes.get_legend() is not None


def test_wide_ranges_are_logarithmic_and_say_so() -> None:
    table = metrics_table(4)
    table = table.assign(train_loss=[5.0, 1.0, 0.2, 0.1], train_contrastive=[4, 0, 0, 0])
    figure = figures.training_curves(table)
    assert panel(figure, 'Total loss').get_yscale() == 'log'
    assert panel(figure, 'Total loss').get_ylabel() == 'loss (log scale)'
    assert panel(figure, 'Reconstruction').get_yscale() == 'linear'
    assert panel(figure, 'Contrastive').get_yscale() == 'linear'


def test_embedding_map_shows_the_principal_components(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(60, 8)) * (9, 5, 1, 1, 1, 1, 1, 1)
    video = ['b.mp4'] * 25 + ['_a $x$ $y$.mp4'] * 35
    time = rng.random(60)
    figure = figures.embedding_map(embeddings, video, time)
    assert_well_drawn(figure, tmp_path)
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
def test_many_videos_leave_the_rarest_grey(tmp_path: Path, long_name: str) -> None:
    rng = np.random.default_rng(0)
    video = [long_name.format(i) for i in range(15) for _ in range(3 if i < 3 else 5)]
    figure = figures.embedding_map(
        5000 * rng.normal(size=(len(video), 4)), video, rng.random(len(video))
    )
    assert_well_drawn(figure, tmp_path)
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
    figure = figures.embedding_map(embeddings, list('aaabbbccc'), np.linspace(0, 1, 9))
    left, right, _ = figure.axes
    assert '7 CLS tokens' in left.get_title(loc='left')
    assert '2 not finite' in left.get_title(loc='left')
    np.testing.assert_array_equal(
        right.collections[0].get_array(), np.delete(np.linspace(0, 1, 9), [2, 5])
    )


def test_equal_tokens_still_give_a_map(tmp_path: Path) -> None:
    figure = figures.embedding_map(np.ones((5, 4)), list('aabbb'), np.linspace(0, 1, 5))
    assert_well_drawn(figure, tmp_path)
    assert '(0% of variance)' in figure.axes[0].get_xlabel()


@pytest.mark.parametrize('shape', [(2, 4), (5, 1)])
def test_a_map_needs_three_tokens_of_two_dimensions(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match='needs 3 finite tokens'):
        figures.embedding_map(np.ones(shape), ['a'] * shape[0], np.zeros(shape[0]))


def test_pyplot_is_never_imported() -> None:
    script = (
        'import sys, beast_lp.reports.pretraining; sys.exit("matplotlib.pyplot" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', script], check=False).returncode == 0


def test_snapshots_stand_in_the_order_of_training(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    originals, masked = draw.random((2, 2, 3, 16, 24))
    snapshots = {9: draw.integers(0, 256, (2, 3, 16, 24), np.uint8),
                 1: draw.integers(0, 256, (2, 3, 16, 24), np.uint8)}
    figure = figures.reconstructions_over_epochs(originals, masked, snapshots)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[::2] == ['original', 'masked input', 'epoch 1', 'epoch 9']
    np.testing.assert_allclose(
        shown(figure.axes[5]), np.moveaxis(snapshots[1][1], 0, -1) / 255, atol=1e-6
    )
    assert_well_drawn(figure, tmp_path)
    assert_titles_apart(figure)
    with pytest.raises(ValueError, match='shape'):
        figures.reconstructions_over_epochs(originals, masked, {1: snapshots[1][:1]})
    with pytest.raises(ValueError, match='expected snapshots'):
        figures.reconstructions_over_epochs(originals, masked, {})


def test_the_probe_stands_beside_what_it_must_beat(tmp_path: Path) -> None:
    metrics = pd.DataFrame({
        'epoch': [0, 1, 2], 'probe_px': [np.nan, 12.0, 9.0],
        'probe_start_px': [np.nan, 15.0, 15.0], 'probe_constant_px': [np.nan, 40.0, 40.0],
    })
    figure = figures.probe_curve(metrics)
    (axes,) = figure.axes
    x, y = line(axes, 'frozen features, ridge regression')
    assert x.tolist() == [1, 2] and y.tolist() == [12, 9]
    assert line(axes, 'with the initial weights')[1].tolist() == [15, 15]
    assert line(axes, 'constant prediction')[1].tolist() == [40, 40]
    assert_well_drawn(figure, tmp_path)


def test_short_runs_are_drawn_by_weight_and_the_chosen_one_is_marked(tmp_path: Path) -> None:
    table = pd.DataFrame({
        'contrastive_weight': [0.1, 0.0, 0.03], 'probe_px': [np.nan] * 3,
        'val_cls_retrieval': [0.9, 0.1, 0.5], 'val_reconstruction': [0.4, 0.2, 0.3],
        'chosen': [True, False, False],
    })
    figure = figures.tuning(table)
    assert 'not recorded' in [text.get_text() for text in figure.axes[0].texts]
    retrieval = figure.axes[1]
    assert [label.get_text() for label in retrieval.get_xticklabels()] == ['0', '0.03', '0.1']
    assert retrieval.lines[0].get_ydata().tolist() == [0.1, 0.5, 0.9]  # type: ignore[union-attr]
    x, y = line(retrieval, 'chosen')
    assert (x.tolist(), y.tolist()) == ([2], [0.9])
    assert_well_drawn(figure, tmp_path)
