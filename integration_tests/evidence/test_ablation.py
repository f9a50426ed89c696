"""The bookkeeping of the ablation: what its numbers mean, and that nothing is computed twice."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import recordings
from ablation import plan, present, write_summary
from backbones import BACKBONES, settings
from budget import BUDGETS, keep_budget
from cells import BusyError, Cell, claimed, read_results, result_file, run_all
from figures import task_figure
from intervals import summarise, t_interval
from matplotlib.collections import LineCollection
from readout import mean_error
from tasks import TASKS

from beast_lp.config import parse_config
from beast_lp.video.labelled import LabelledFrames


def test_an_interval_is_that_of_the_tables() -> None:
    # Student's t for 95 % and 2, 4 degrees of freedom: 4.303, 2.776
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx(
        (2.0, 2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3
    )
    values = [0.3, 0.1, 0.4, 0.1, 0.5]
    spread = math.sqrt(sum((value - 0.28) ** 2 for value in values) / 4)
    assert t_interval(values) == pytest.approx(
        (0.28, 0.28 - 2.7764 * spread / math.sqrt(5), 0.28 + 2.7764 * spread / math.sqrt(5)),
        abs=1e-4,
    )
    single = t_interval([0.7])
    assert single.mean == 0.7 and math.isnan(single.low) and math.isnan(single.high)


def test_an_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(5, 2, (1500, 3))
    intervals = [t_interval(row.tolist(), 0.8) for row in draws]
    assert np.mean([i.low < 5 < i.high for i in intervals]) == pytest.approx(0.8, abs=0.03)


def test_gains_are_paired_by_seed_and_positive_where_better() -> None:
    rows = [
        ('pose', labels, backbone, seed, 'lower', 10 * seed + labels - gain * (1 + seed))
        for labels in (10, 50)
        for backbone, gain in (('random', 0), ('beast', 2))
        for seed in range(3)
        if (labels, backbone, seed) != (50, 'random', 2)
    ]
    table = pd.DataFrame(
        rows, columns=pd.Index(['task', 'labels', 'backbone', 'seed', 'better', 'score'])
    )
    summary = summarise(table).set_index(['labels', 'backbone'])
    assert summary['seeds'].tolist() == [3, 3, 2, 3]
    # gains 2, 4, 6: the seeds' own differences do not widen the interval; with 50 labels the
    # last seed is missing
    row = summary.loc[[(10, 'beast')], ['mean', 'gain', 'gain_low', 'gain_high']].to_numpy()[0]
    assert row.tolist() == pytest.approx([np.mean([8, 16, 24]), *t_interval([2, 4, 6])])
    assert summary['gain'].tolist() == pytest.approx([0, 4, 0, 3])
    without = summarise(pd.DataFrame(table[table['backbone'] == 'beast']))
    assert np.isnan(without['gain'].to_numpy()).all()


CELLS = [Cell('pose_fly', 10, 'beast', seed) for seed in range(3)]


def test_what_is_done_is_never_computed_again_and_what_failed_is(tmp_path: Path) -> None:
    computed: list[int] = []

    def compute(cell: Cell) -> dict[str, float]:
        computed.append(cell.seed)
        if cell.seed == 1 and len(computed) < 4:
            raise ValueError('for once')
        return {'score': float(cell.seed), 'reference': 2.0}

    assert run_all(tmp_path, CELLS, compute, lambda *_: None) == [CELLS[1]]
    error = result_file(tmp_path, CELLS[1]).with_suffix('.error.txt')
    assert 'ValueError: for once' in error.read_text()
    # a run that was killed while it wrote
    result_file(tmp_path, CELLS[1]).with_suffix('.json.part').write_text('{')
    said: list[Cell] = []
    assert run_all(tmp_path, CELLS, compute, lambda cell, _: said.append(cell)) == []
    assert computed == [0, 1, 2, 1]
    # many processes would each write all tables and figures again for every cell that was done
    assert said == [CELLS[1]]
    assert not error.exists()
    table = read_results(tmp_path, {'pose_fly': 'lower'}, ['beast'])
    assert table['score'].tolist() == [0, 1, 2]


def test_a_cell_of_another_process_is_left_to_it(tmp_path: Path) -> None:
    said: list[int] = []

    def compute(cell: Cell) -> dict[str, float]:
        if cell.seed == 1 and said == [0]:
            # the other process, as it were, is at the backbone that this one needs
            raise BusyError
        return {'score': 0.0}

    def report(cell: Cell, _: object) -> None:
        said.append(cell.seed)

    assert run_all(tmp_path, CELLS, compute, report) == []
    assert said == [0, 2, 1]
    with claimed(tmp_path / 'x'), pytest.raises(BusyError), claimed(tmp_path / 'x'):
        pass


def test_results_of_two_budgets_do_not_mix(tmp_path: Path) -> None:
    for _ in range(2):
        keep_budget(tmp_path, BUDGETS['laptop'])
    with pytest.raises(SystemExit, match='another budget'):
        keep_budget(tmp_path, BUDGETS['night'])


def test_backbones_are_what_the_preset_gives_a_user() -> None:
    chosen = settings('beast', 0, BUDGETS['laptop'])
    chosen.training.loader = 'auto'
    assert chosen == parse_config({'preset': 'laptop'})


def test_backbones_differ_in_their_variant_alone() -> None:
    base = settings('beast', 3, BUDGETS['night'])
    assert (base.seed, base.init) == (3, 'random')
    for name, (section, key, value) in {
        'vit_m': ('loss', 'contrastive_weight', 0),
        'vit_c': ('loss', 'reconstruction_weight', 0),
        'vic_mae': ('pairs', 'positive', 'anywhere'),
        'random_anchors': ('anchors', 'strategy', 'random'),
        'strong_contrast': ('loss', 'contrastive_weight', 1),
        'norm_pix': ('loss', 'norm_pix_loss', True),
    }.items():
        variant = settings(name, 3, BUDGETS['night'])
        assert getattr(getattr(variant, section), key) == value
        for other in ('model', 'training', 'augmentation', 'windows'):
            assert getattr(variant, other) == getattr(base, other)


def test_tables_and_figures_of_an_unfinished_run(tmp_path: Path) -> None:
    cells = plan(list(TASKS), list(BACKBONES), 2)
    assert len(set(cells)) == 2 * 8 * (10 * 3 + 3 * 1)
    assert write_summary(tmp_path).empty
    # the first seed, and a part of the second
    done = len(cells) // 2 + 20
    for number, cell in enumerate(cells[:done]):
        file = result_file(tmp_path, cell)
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            json.dumps(
                {
                    **vars(cell),
                    'seconds': 1.0,
                    'scores': {'score': number / done, 'reference': 0.5},
                }
            )
        )
    summary = write_summary(tmp_path)
    assert summary['seeds'].sum() == len(pd.read_csv(tmp_path / 'results.csv')) == done
    assert summary['task'].unique().tolist() == list(TASKS)
    figures = sorted(path.name for path in (tmp_path / 'figures').iterdir())
    assert figures == sorted(f'{name}.png' for name in TASKS)


def test_floors_are_drawn_where_a_task_has_them() -> None:
    results = pd.DataFrame(
        {
            'labels': [10, 10, 25, 25],
            'backbone': ['beast'] * 4,
            'seed': [0, 1, 0, 1],
            'score': [4.0, 5, 2, 3],
            'reference': [9.0] * 4,
            'floor_pixels': [6.0, 8, 5, 5],
            'floor_random': [np.nan] * 4,
            'task': 'readout_fly',
            'better': 'lower',
        }
    )
    figure = task_figure(results, summarise(results), {'beast': 'BEAST'}, '', 'px', 'constant')
    (axes,) = figure.axes
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ['constant', '16 x 16 grey pixels', 'BEAST']
    levels = [item for item in axes.collections if isinstance(item, LineCollection)]
    heights = {float(segment[0][1]) for item in levels for segment in item.get_segments()}
    assert {9.0, 7.0, 5.0} <= heights
    bare = task_figure(
        results.drop(columns=['floor_pixels', 'floor_random']),
        summarise(results),
        {'beast': 'BEAST'},
        '',
        'px',
        'constant',
    )
    assert len(bare.legends[0].get_texts()) == 2


def test_a_reading_is_scored_on_the_frames_that_it_did_not_see() -> None:
    draw = np.random.default_rng(0)
    positions = draw.uniform(0, 9, (12, 1, 2))
    frames = LabelledFrames([], ['nose'], positions, [])
    orders = [draw.permutation(12) for _ in range(3)]
    expected = [
        np.linalg.norm(positions[order[:4]].mean(axis=0) - positions[order[4:]], axis=-1).mean()
        for order in orders
    ]
    assert mean_error(np.zeros((12, 1)), frames, orders, 4) == pytest.approx(np.mean(expected))
    assert mean_error(positions[:, 0], frames, orders, 8) < 0.01


def test_tasks_without_their_recording_are_left_out_or_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there, lacking = tmp_path / 'there.mp4', tmp_path / 'lacking.mp4'
    there.touch()
    for name in recordings.RECORDINGS:
        video = lacking if name == 'openfield' else there
        monkeypatch.setitem(recordings.RECORDINGS, name, [video])
    monkeypatch.setitem(recordings.BOXES, 'openfield_crops', there)
    without = ['pose_openfield', 'readout_openfield']
    assert present(None) == [name for name in TASKS if name not in without]
    said = capsys.readouterr().out
    assert all(f'{name} needs {lacking}' in said for name in without)
    assert present(['pose_mouse']) == ['pose_mouse']
    with pytest.raises(SystemExit, match=f'readout_openfield needs {lacking}'):
        present(['pose_mouse', 'readout_openfield'])
