"""What each part of BEAST brings: backbones x tasks x seeds, with confidence intervals.

    python integration_tests/evidence/ablation.py --output_dir DIRECTORY

Every seed has a pretraining of its own on the unlabelled videos of the recording. All backbones
have the same architecture, anchors, steps and fine-tuning steps (`budget.json`), and of each seed
the same splits and labelled frames. `--budget laptop` is the preset `laptop` as a user types it,
`night` the preset `vit_tiny`.

What is done is never computed again: the same command continues after a kill and repeats what
failed. Started twice at once with OMP_NUM_THREADS=1, it uses two cores. The directory holds
`results.csv` (a row per cell), `summary.csv` (means, 95 % intervals, gains over random weights
paired by seed) and `figures/`; with all tasks it grows to a few gigabytes.
"""

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
from backbones import BACKBONES
from budget import BUDGETS, keep_budget
from cells import BusyError, Cell, claimed, read_results, result_file, run_all
from figures import task_figure
from intervals import summarise
from recordings import missing
from tasks import LABELS, TASKS, compute

from beast_lp.runs.files import finished_file


def plan(
    tasks: Sequence[str],
    backbones: Sequence[str],
    seeds: int,
    labels: Sequence[int] | None = None,
) -> list[Cell]:
    """Return all cells, one seed after the other, so that an early stop leaves whole tables.

    Args:
        tasks: names.
        backbones: names.
        seeds: number of seeds.
        labels: numbers of labelled frames, where a task varies them; None for all.
    """
    return [
        Cell(task, count, backbone, seed)
        for seed in range(seeds)
        for task in tasks
        for count in TASKS[task].labels
        if not labels or not count or count in labels
        for backbone in backbones
    ]


def present(asked: Sequence[str] | None) -> list[str]:
    """Return the tasks that were asked for, or else all whose recordings are on this machine.

    Args:
        asked: names; None for all.

    Raises:
        SystemExit: if a recording of a task that was asked for is missing.
    """
    tasks = []
    for name in asked or TASKS:
        lacking = missing(TASKS[name].recording)
        if not lacking:
            tasks.append(name)
            continue
        said = f'{name} needs {lacking[0]}, which is not there (see recordings.py)'
        if asked:
            raise SystemExit(said)
        print(f'{said}; it is left out')
    return tasks


def write_summary(directory: Path) -> pd.DataFrame:
    """Write tables and figures of all cells that are done; return the summary."""
    better = {name: task.better for name, task in TASKS.items()}
    results = read_results(directory, better, list(BACKBONES))
    if results.empty:
        return results
    summary = summarise(results)
    for table, name in ((results, 'results.csv'), (summary, 'summary.csv')):
        with finished_file(directory / name) as part:
            table.to_csv(part, index=False)
    (directory / 'figures').mkdir(exist_ok=True)
    for name, task in TASKS.items():
        own, means = (pd.DataFrame(table[table['task'] == name]) for table in (results, summary))
        if len(own):
            figure = task_figure(own, means, BACKBONES, task.title, task.unit, task.reference)
            with finished_file(directory / 'figures' / f'{name}.png') as part:
                figure.savefig(part, format='png')
    return summary


def main() -> None:
    """Compute what is missing, and say after each cell what there is."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--output_dir', type=Path, required=True)
    parser.add_argument(
        '--tasks',
        nargs='+',
        choices=TASKS,
        help='all whose recordings are there, unless given',
    )
    parser.add_argument('--backbones', nargs='+', choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument(
        '--labels',
        nargs='+',
        type=int,
        choices=LABELS,
        help='numbers of labelled frames of the pose tasks',
    )
    parser.add_argument('--seeds', type=int, default=3, help='number of seeds, from 0')
    parser.add_argument('--budget', choices=BUDGETS, default='laptop')
    options = parser.parse_args()
    directory: Path = options.output_dir.absolute()
    budget = BUDGETS[options.budget]
    keep_budget(directory, budget)
    # the host changes the directory, and keeps its own logs there
    os.chdir(directory)
    tasks = present(options.tasks)
    cells = plan(tasks, options.backbones, options.seeds, options.labels)

    def report(cell: Cell, scores: dict[str, float] | None) -> None:
        done = sum(result_file(directory, cell).exists() for cell in cells)
        said = 'FAILED, see cells/' if scores is None else f'{scores["score"]:.3f}'
        print(f'=== {cell.name}: {said}; {done} of {len(cells)} cells are done', flush=True)
        # of several processes, that which is at it writes what there is
        with suppress(BusyError), claimed(directory / 'summary'):
            write_summary(directory)

    failed = run_all(directory, cells, lambda cell: compute(directory, cell, budget), report)
    with claimed(directory / 'summary', patience=60):
        print(write_summary(directory).round(3).to_string(index=False))
    if failed:
        raise SystemExit(
            f'{len(failed)} of {len(cells)} cells failed; the reasons are in {directory}/cells/'
            '*.error.txt, and the same command repeats them: '
            + ', '.join(cell.name for cell in failed)
        )


if __name__ == '__main__':
    main()
