"""One page per recording from the pose models of an ablation: frames, hard keypoints, labels.

    python integration_tests/evidence/recording_pages.py --directory DIRECTORY --output FOLDER

A page shows the errors of both backbones over the number of labelled frames, the same frames as
predicted by both, and the error over the disagreement of all models (as `litpose compare`). The
frames are those that no model was trained or validated on. `small_frames_*.png` are for a guide.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from backbones import BACKBONES, RANDOM
from cells import Cell
from figures import small_png, task_figure
from intervals import summarise
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from pose import read_points
from recordings import PROJECTS
from tasks import TASKS

from beast_lp.host.jobs.compared_models import predicted_positions
from beast_lp.reports.ensemble import curve_table, curves_figure, ensemble_spread, summary_table
from beast_lp.reports.labelled_frames import LEGEND, draw_labelled
from beast_lp.reports.page import Section, write_report
from beast_lp.reports.style import DPI, SMALL, add_legend
from beast_lp.runs.files import finished_file

POSE_TASKS = ('pose_mouse', 'pose_fly', 'pose_crops')
COMPARED = (RANDOM, 'beast')
# quantiles of the error from random weights, of which one frame each is shown
SHOWN = (0.1, 0.5, 0.75, 0.95)

Positions = Float[np.ndarray, 'models frames keypoints 2']


@dataclass(frozen=True)
class Predictions:
    """Predictions of the same frames by all models.

    Attributes:
        pictures: picture of each frame.
        truth: labelled positions, px, NaN where there is none.
        by_backbone: positions of each backbone's models, px.
    """

    pictures: list[Path]
    truth: Float[np.ndarray, 'frames keypoints 2']
    by_backbone: dict[str, Positions]

    def errors(self, backbone: str) -> Float[np.ndarray, 'models frames keypoints']:
        """Return the distance of each prediction to the label, px."""
        return np.linalg.norm(self.by_backbone[backbone] - self.truth, axis=-1)


def read_predictions(directory: Path, task: str, labels: int, seeds: list[int]) -> Predictions:
    """Read what the models of a task predict for frames that none of them has seen.

    Args:
        directory: output directory of the ablation.
        task: name of the task.
        labels: labelled frames that the models were trained on.
        seeds: seeds of the models.
    """
    project = PROJECTS[TASKS[task].recording]
    suffix = '_new' if (project / 'CollectedData_new.csv').exists() else ''
    truth = read_points(project / f'CollectedData{suffix}.csv')
    tables: dict[str, list[pd.DataFrame]] = {}
    for backbone in COMPARED:
        for seed in seeds:
            own = directory / 'heads' / Cell(task, labels, backbone, seed).name
            table = read_points(own / f'predictions{suffix}.csv')
            if not suffix:
                # the host names the part of each frame in the last column
                table = table[table.iloc[:, -1].to_numpy() == 'test']
            tables.setdefault(backbone, []).append(pd.DataFrame(table))
    every = [table for own in tables.values() for table in own]
    keypoints = truth.columns.get_level_values(1).unique().tolist()
    unseen = [name for name in truth.index if all(name in table.index for table in every)]
    return Predictions(
        [project / name for name in unseen],
        truth.loc[unseen].to_numpy(float).reshape(len(unseen), -1, 2),
        {
            backbone: np.stack([predicted_positions(table, unseen, keypoints) for table in own])
            for backbone, own in tables.items()
        },
    )


def frames_figure(predictions: Predictions) -> Figure:
    """Draw frames with their labels and the predictions of the first model of each backbone.

    A column is the frame at one quantile of the error from random weights, the easiest first.
    """
    errors = {name: np.nanmean(predictions.errors(name)[0], axis=1) for name in COMPARED}
    ranked = np.argsort(errors[RANDOM])
    frames = [ranked[int(share * (len(ranked) - 1))] for share in SHOWN]
    figure = Figure(figsize=(2.2 * len(frames), 4.9), dpi=DPI, layout='constrained')
    axes = figure.subplots(len(COMPARED), len(frames), squeeze=False)
    handles = []
    for row, name in zip(axes, COMPARED, strict=True):
        for cell, frame in zip(row, frames, strict=True):
            with Image.open(predictions.pictures[frame]) as picture:
                pixels = np.asarray(picture.convert('RGB'))
            found = predictions.by_backbone[name][0, frame]
            handles = draw_labelled(cell, pixels, predictions.truth[frame], found)
        place = {'transform': row[0].transAxes, 'rotation': 90, 'ha': 'right', 'va': 'center'}
        row[0].text(-0.04, 0.5, BACKBONES[name], fontsize=SMALL, **place)
    add_legend(figure, handles, LEGEND, loc='outside lower center', ncols=2)
    return figure


def findings(summary: pd.DataFrame, results: pd.DataFrame) -> list[tuple[bool | None, str]]:
    """Return a sentence per number of labels: how much better, in how many seeds."""
    sentences: list[tuple[bool | None, str]] = []
    for row in pd.DataFrame(summary[summary['backbone'] == 'beast']).to_dict(orient='records'):
        own = results[results['labels'] == row['labels']].pivot(
            index='seed', columns='backbone', values='score'
        )
        gains = (own[RANDOM] - own['beast']).dropna()
        better = (gains > 0).sum()
        sentences.append(
            (
                bool(row['gain_low'] > 0) or (None if row['gain'] > 0 else False),
                f'{row["labels"]} labelled frames: {row["gain"]:.1f} px better than random '
                f'weights (95 % interval {row["gain_low"]:.1f} to {row["gain_high"]:.1f}), in '
                f'{better} of {len(gains)} seeds',
            )
        )
    return sentences


def write_recording(directory: Path, task: str, output: Path) -> Path:
    """Write the page of one recording.

    Args:
        directory: output directory of the ablation.
        task: a pose task of which both backbones were run.
        output: folder of the page.
    """
    every = pd.read_csv(directory / 'results.csv')
    chosen = (every['task'] == task) & every['backbone'].isin(COMPARED)
    results = pd.DataFrame(every[chosen])
    summary = summarise(results)
    names = {name: BACKBONES[name] for name in COMPARED}
    described = TASKS[task]
    sections = [
        Section(
            'What pretraining brings',
            'The same steps, labelled frames and splits for both; the error is that of frames '
            'never used.',
            {
                'labels': task_figure(
                    results, summary, names, described.title, described.unit, described.reference
                )
            },
            findings=findings(summary, results),
        )
    ]
    for labels in sorted(set(results['labels'])):
        own = results[results['labels'] == labels]
        seeds = sorted(set.intersection(*(set(g['seed']) for _, g in own.groupby('backbone'))))
        found = read_predictions(directory, task, labels, seeds)
        errors = {BACKBONES[name]: found.errors(name) for name in COMPARED}
        spread = ensemble_spread(np.concatenate(list(found.by_backbone.values())))
        spreads = dict.fromkeys(errors, spread)
        frames = frames_figure(found)
        output.mkdir(parents=True, exist_ok=True)
        with finished_file(output / f'small_frames_{labels}.png') as part:
            part.write_bytes(small_png(frames))
        sections.append(
            Section(
                f'{labels} labelled frames',
                f'{len(found.pictures)} frames that none of the {2 * len(seeds)} models trained '
                'on. Frames from left to right: the error from random weights is at its '
                f'{", ".join(f"{100 * share:.0f}" for share in SHOWN)} % quantile. Below, the '
                'error of keypoints on which the models disagree at least so much.',
                {
                    f'frames_{labels}': frames,
                    f'error_curves_{labels}': curves_figure(curve_table(errors, spreads)),
                },
                summary_table(errors, spreads),
            )
        )
    return write_report(output, described.title, sections)


def main() -> None:
    """Write a page for every recording that has pose models of both backbones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--directory', type=Path, required=True)
    parser.add_argument('--output', type=Path, required=True)
    args = parser.parse_args()
    done = pd.read_csv(args.directory / 'results.csv').groupby('task')['backbone'].unique()
    for task in POSE_TASKS:
        if task in done and set(COMPARED) <= set(done[task]):
            print(write_recording(args.directory, task, args.output / task))


if __name__ == '__main__':
    main()
