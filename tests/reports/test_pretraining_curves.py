"""Tests of the curves: what is drawn equals the table, and what it lacks is named."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beast_lp.pretraining.floors import FLOORS
from beast_lp.reports.pretraining_curves import probe_curve, training_curves, tuning_panels

Check = Callable[[Figure], None]

COLUMNS = (
    'train_loss', 'train_reconstruction', 'train_contrastive', 'val_loss', 'val_reconstruction',
    'val_contrastive', 'val_retrieval', 'val_retrieval_chance', 'learning_rate',
    'images_per_second', 'data_wait_share',
)  # fmt: skip


def line(axes: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(found.get_xdata(), dtype=float), np.asarray(found.get_ydata(), dtype=float)


def panel(figure: Figure, title: str) -> Axes:
    (found,) = [axes for axes in figure.axes if axes.get_title(loc='left') == title]
    return found


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def metrics_table(rows: int) -> pd.DataFrame:
    values = np.random.default_rng(0).uniform(0.2, 0.9, (rows, len(COLUMNS)))
    table = pd.DataFrame(dict(zip(COLUMNS, values.T, strict=True)))
    table['val_retrieval_chance'] = 0.125
    table.insert(0, 'step', 10 * np.arange(1, rows + 1))
    table.insert(0, 'epoch', np.arange(rows))
    return table


def test_training_curves_plot_the_table(assert_well_drawn: Check) -> None:
    table = metrics_table(rows=6)
    table.loc[[0, 2, 4], [name for name in COLUMNS if name.startswith('val_')]] = np.nan
    figure = training_curves(table)
    assert_well_drawn(figure)
    assert len(figure.axes) == 7
    titles = ('Total loss', 'Reconstruction', 'Contrastive')
    for title, name in zip(titles, ('loss', 'reconstruction', 'contrastive'), strict=True):
        x, y = line(panel(figure, title), 'training')
        np.testing.assert_array_equal(x, range(1, 7))
        np.testing.assert_array_equal(y, table[f'train_{name}'])
        x, y = line(panel(figure, title), 'validation')
        np.testing.assert_array_equal(x, [2, 4, 6])
        np.testing.assert_array_equal(y, table[f'val_{name}'].dropna())
    for title, label, name in (
        ('Retrieval by the visible patches', 'validation', 'val_retrieval'),
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
    axes = panel(training_curves(metrics_table(5)), 'Retrieval by the visible patches')
    np.testing.assert_array_equal(line(axes, 'chance')[1], [0.125, 0.125])
    bottom, top = axes.get_ylim()
    assert bottom <= 0.125 <= top
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ['validation', 'chance']


def test_chance_that_changes_is_drawn_point_by_point() -> None:
    table = metrics_table(4)
    table['val_retrieval_chance'] = [0.1, np.nan, 0.2, 0.2]
    axes = panel(training_curves(table), 'Retrieval by the visible patches')
    x, y = line(axes, 'chance')
    np.testing.assert_array_equal(x, [1, 3, 4])
    np.testing.assert_array_equal(y, [0.1, 0.2, 0.2])


def test_perfect_retrieval_stays_inside_the_panel() -> None:
    table = metrics_table(3).assign(val_retrieval=1.0)
    assert panel(training_curves(table), 'Retrieval by the visible patches').get_ylim()[1] > 1


def test_absent_quantities_are_named_not_recorded(assert_well_drawn: Check) -> None:
    table = metrics_table(4)[['epoch', 'train_loss', 'val_contrastive']]
    figure = training_curves(table.assign(val_contrastive=np.nan))
    assert_well_drawn(figure)
    assert len(figure.axes) == 2
    assert texts(panel(figure, 'Total loss')) == []
    assert texts(panel(figure, 'Contrastive')) == ['not recorded']


def test_a_new_measure_gets_a_panel_by_its_name(assert_well_drawn: Check) -> None:
    table = metrics_table(4).assign(
        train_time_order=[4.0, 3, 2, 1], val_time_order=[5.0, 4, 3, 2], seconds_left=9.0
    )
    figure = training_curves(table)
    assert_well_drawn(figure)
    assert len(figure.axes) == 8
    axes = panel(figure, 'Time order')
    assert line(axes, 'training')[1].tolist() == [4, 3, 2, 1]
    assert line(axes, 'validation')[1].tolist() == [5, 4, 3, 2]


def test_retrieval_by_several_vectors_shares_a_panel() -> None:
    table = metrics_table(3).assign(val_cls_retrieval=[0.1, 0.2, 0.3])
    axes = panel(training_curves(table), 'Retrieval by the visible patches')
    assert line(axes, 'validation, by CLS')[1].tolist() == [0.1, 0.2, 0.3]
    np.testing.assert_array_equal(line(axes, 'validation')[1], table['val_retrieval'])


def test_no_rows_at_all(assert_well_drawn: Check) -> None:
    figure = training_curves(metrics_table(3).iloc[:0])
    assert_well_drawn(figure)
    assert all(texts(axes) == ['not recorded'] for axes in figure.axes)


def test_a_single_row_is_visible(assert_well_drawn: Check) -> None:
    table = metrics_table(1)
    figure = training_curves(table)
    assert_well_drawn(figure)
    axes = panel(figure, 'Total loss')
    (point,) = [entry for entry in axes.lines if entry.get_label() == 'training']
    np.testing.assert_array_equal(point.get_ydata(), table['train_loss'])
    assert point.get_marker() == 'o'
    np.testing.assert_array_equal(
        line(panel(figure, 'Retrieval by the visible patches'), 'chance')[1], [0.125, 0.125]
    )


def test_abscissa_falls_back_to_step_and_row() -> None:
    table = metrics_table(4).assign(epoch=[0, 0, 1, 1])
    axes = panel(training_curves(table), 'Total loss')
    np.testing.assert_array_equal(line(axes, 'training')[0], [10, 20, 30, 40])
    assert axes.get_xlabel() == 'step'
    axes = panel(training_curves(table.drop(columns=['epoch', 'step'])), 'Total loss')
    np.testing.assert_array_equal(line(axes, 'training')[0], [0, 1, 2, 3])
    assert axes.get_xlabel() == 'row of the table'


def test_infinite_losses_are_counted(assert_well_drawn: Check) -> None:
    table = metrics_table(4)[['epoch', 'train_loss']].assign(train_loss=[0.5, np.inf, 0.4, np.inf])
    figure = training_curves(table)
    assert_well_drawn(figure)
    axes = panel(figure, 'Total loss')
    x, y = line(axes, 'training (2 infinite, not drawn)')
    np.testing.assert_array_equal(x, [1, 3])
    np.testing.assert_array_equal(y, [0.5, 0.4])
    assert axes.get_legend() is not None


def test_wide_ranges_are_logarithmic_and_say_so() -> None:
    table = metrics_table(4)
    table = table.assign(train_loss=[5.0, 1.0, 0.2, 0.1], train_contrastive=[4, 0, 0, 0])
    figure = training_curves(table)
    assert panel(figure, 'Total loss').get_yscale() == 'log'
    ticks = panel(figure, 'Total loss').yaxis.get_major_formatter()
    assert [ticks(value) for value in (0.1, 1, 10)] == ['0.1', '1', '10']
    assert panel(figure, 'Total loss').get_ylabel() == 'loss (log scale)'
    assert panel(figure, 'Reconstruction').get_yscale() == 'linear'
    assert panel(figure, 'Contrastive').get_yscale() == 'linear'


def test_the_probe_stands_beside_what_it_must_beat(assert_well_drawn: Check) -> None:
    metrics = pd.DataFrame(
        {
            'epoch': [0, 1, 2],
            'probe_px': [np.nan, 12.0, 9.0],
            'probe_start_px': [np.nan, 15.0, 15.0],
            'probe_constant_px': [np.nan, 40.0, 40.0],
        }
    )
    figure = probe_curve(metrics)
    (axes,) = figure.axes
    x, y = line(axes, 'this run')
    assert x.tolist() == [2, 3] and y.tolist() == [12, 9]
    assert line(axes, 'this run, before training')[1].tolist() == [15, 15]
    assert line(axes, 'a constant prediction')[1].tolist() == [40, 40]
    assert_well_drawn(figure)


def test_every_floor_of_the_probe_is_a_dashed_line(assert_well_drawn: Check) -> None:
    metrics = pd.DataFrame({'epoch': [0, 1], 'probe_px': [12.0, 9.0], 'probe_z_px': [15.0, 11.0]})
    metrics['probe_start_px'] = metrics['probe_random_px'] = 21.0
    for level, name in enumerate(('constant', 'pixels', 'components')):
        metrics[f'probe_{name}_px'] = [np.nan, 10.0 + level]
    figure = probe_curve(metrics)
    assert_well_drawn(figure)
    (axes,) = figure.axes
    for level, name in enumerate(('constant', 'pixels', 'components')):
        assert line(axes, FLOORS[name])[1].tolist() == [10 + level] * 2
    assert line(axes, FLOORS['random'])[1].tolist() == [21, 21]
    assert line(axes, 'the same, each feature scaled by itself')[1].tolist() == [15, 11]
    # random initial weights are one line
    assert len(axes.lines) == 2 + 4
    assert len({drawn.get_color() for drawn in axes.lines}) == 5


def test_explained_shares_and_chance_have_their_places(assert_well_drawn: Check) -> None:
    table = metrics_table(4).assign(
        val_explained=[-9.0, 0.1, 0.2, 0.3],
        val_background_explained=[-9.0, -0.5, 0.1, 0.2],
        train_contrastive_chance=3.0,
        val_contrastive_chance=2.5,
        val_pixel_retrieval=0.9,
    )
    figure = training_curves(table)
    assert_well_drawn(figure)
    axes = panel(figure, 'Explained in held-out frames')
    assert line(axes, 'beyond the mean picture')[1].tolist() == [-9, 0.1, 0.2, 0.3]
    assert line(axes, "beyond each video's median")[1].tolist() == [-9, -0.5, 0.1, 0.2]
    assert axes.get_ylim() == (-1.0, 1.03)
    assert line(panel(figure, 'Contrastive'), 'chance')[1].tolist() == [2.5] * 4
    retrieval = panel(figure, 'Retrieval by the visible patches')
    assert line(retrieval, 'validation, by grey pixels')[1].tolist() == [0.9] * 4
    assert len(figure.axes) == 8


def test_short_runs_are_drawn_by_weight_and_the_chosen_one_is_marked(
    assert_well_drawn: Check,
) -> None:
    table = pd.DataFrame(
        {
            'contrastive_weight': [0.1, 0.0, 0.03] * 2,
            'probe_px': [np.nan] * 6,
            'val_cls_retrieval': [0.9, 0.1, 0.5, 0.7, 0.3, 0.5],
            'val_reconstruction': [0.4, 0.2, 0.3] * 2,
            'val_new': [4, 2, 3] * 2,
            'chosen': [True, False, False] * 2,
        }
    )
    figure = tuning_panels(table)
    assert figure.axes[3].get_ylabel() == 'val_new'
    assert 'not recorded' in [text.get_text() for text in figure.axes[0].texts]
    retrieval = figure.axes[1]
    assert [label.get_text() for label in retrieval.get_xticklabels()] == ['0', '0.03', '0.1']
    means, runs = retrieval.lines[:2]
    np.testing.assert_allclose(np.asarray(means.get_ydata(), float), [0.2, 0.5, 0.8])
    np.testing.assert_array_equal(runs.get_xdata(), [2, 0, 1] * 2)
    np.testing.assert_array_equal(runs.get_ydata(), table.val_cls_retrieval)
    x, y = line(retrieval, 'chosen')
    assert x.tolist() == [2] and y == pytest.approx([0.8])
    assert_well_drawn(figure)
