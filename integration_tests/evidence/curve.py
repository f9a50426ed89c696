"""How the error of frozen features falls with the time of pretraining, now and before.

    python integration_tests/evidence/curve.py --output DIRECTORY [--recording mouse]

Keypoints are read with 25 labelled frames as in `readout.py`, at the start and after every
twentieth of the steps. Time is CPU time of the training process, of one thread, without these
readings. Three runs: the preset `laptop`; the preset of that name before 2026-11-28, which ended
after 40 epochs (here without its vertical flips, which no longer exist); and its settings for
about as long as `laptop` takes now. `curve.csv` and `curve.png` show what is done so far; the same
command continues with the next run.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from figures import FLOOR_LINES, small_png
from lightning.pytorch import Callback, LightningModule, Trainer
from readout import draw_orders, mean_error
from recordings import PROJECTS, RECORDINGS

from beast_lp.config import BeastConfig, parse_config
from beast_lp.pretraining.floors import FLOORS, floor_features
from beast_lp.pretraining.probe import frozen_features
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.reports.style import GREY, PALETTE, add_legend, label_axes, new_figure
from beast_lp.runs.files import finished_file, write_table
from beast_lp.video.labelled import read_images, read_labels

LABELS, SEED, POINTS = 25, 0, 20
FLOORS_SHOWN = ('pixels', 'components')
BEFORE: dict[str, Any] = {
    'preset': 'laptop',
    'anchors': {'per_video': 200},
    'windows': {'longest_side': 192},
    'augmentation': {'flip_horizontal': 0.5},
    'model': {
        'image_size': [128, 128],
        'patch_size': 16,
        'hidden_size': 192,
        'num_layers': 6,
        'decoder_hidden_size': 96,
        'decoder_num_layers': 2,
    },
    'training': {'optimizer': 'adamw', 'peak_learning_rate': 5e-4, 'beta2': 0.999},
}
# by the name in the picture: settings, and steps
RUNS: dict[str, tuple[dict[str, Any], int | None]] = {
    'laptop': ({'preset': 'laptop', 'training': {}}, None),
    'laptop before': (BEFORE, 440),
    'laptop before, longer': (BEFORE, 2400),
}


class Readings(Callback):
    """Reads keypoints from the encoder a number of times in a training.

    Args:
        project: with `CollectedData.csv`.
        config: settings of the training.
    """

    def __init__(self, project: Path, config: BeastConfig) -> None:
        """Read the labelled frames."""
        size = config.model.image_size
        self.frames = read_labels([project / 'CollectedData.csv'], project)
        self.pictures = read_images(self.frames.images, (size[0], size[1]))
        self.orders = draw_orders(len(self.frames.images), SEED)
        self.rows: list[dict[str, float]] = []
        self.spent, self.begin, self.next = 0.0, 0.0, 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read before the first step."""
        self._read(pl_module, 0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        """Read where the next of the points is reached."""
        total = int(pl_module.total_steps)  # type: ignore[arg-type]
        if trainer.global_step >= self.next * total / POINTS:
            self._read(pl_module, trainer.global_step)

    def _read(self, module: LightningModule, step: int) -> None:
        if self.rows:
            self.spent += time.process_time() - self.begin
        encoder: Any = module.model
        features = frozen_features(encoder.eval(), self.pictures)
        encoder.train()
        error = mean_error(features, self.frames, self.orders, LABELS)
        self.rows.append({'step': step, 'cpu_minutes': self.spent / 60, 'error_px': error})
        self.next += 1
        self.begin = time.process_time()


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw the curves above the lines of the floors.

    Args:
        table: a row per reading with `run`, `cpu_minutes`, `error_px` and `floor_<name>`.
        path: PNG file.
    """
    figure = new_figure(6.4, 3.8)
    axes = figure.subplots()
    lines = []
    for number, (_, rows) in enumerate(table.groupby('run', sort=False)):
        lines += axes.plot(
            rows['cpu_minutes'], rows['error_px'], 'o-', ms=3, color=PALETTE[number]
        )
    names = list(table['run'].unique())
    for name in FLOORS_SHOWN:
        level, style = table[f'floor_{name}'].to_numpy().mean(), FLOOR_LINES[f'floor_{name}']
        lines.append(axes.axhline(float(level), color=GREY, ls=style, lw=1))
        names.append(FLOORS[name])
    label_axes(
        axes,
        'CPU time of pretraining (minutes)',
        'error of frozen features (px)',
        f'Keypoints read with {LABELS} labelled frames',
    )
    axes.set_ylim(bottom=0)
    add_legend(axes, lines, names)
    with finished_file(path) as part:
        part.write_bytes(small_png(figure))


def main() -> None:
    """Run what is missing, and draw after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--recording', choices=PROJECTS, default='crops')
    args = parser.parse_args()
    output: Path = args.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    torch.set_num_threads(1)
    file = output / 'curve.csv'
    table = pd.read_csv(file) if file.exists() else pd.DataFrame({'run': []})
    for number, (name, (chosen, steps)) in enumerate(RUNS.items()):
        if name in set(table['run']):
            continue
        training = {**chosen['training'], 'loader': 'pyav'}
        training |= {} if steps is None else {'steps': steps}
        config = parse_config({**chosen, 'seed': SEED, 'training': training})
        readings = Readings(PROJECTS[args.recording], config)
        run_pretraining(
            config, RECORDINGS[args.recording], output / f'run_{number}', callbacks=[readings]
        )
        own = pd.DataFrame(readings.rows).assign(run=name)
        for floor, features in floor_features(readings.pictures).items():
            own[f'floor_{floor}'] = mean_error(features, readings.frames, readings.orders, LABELS)
        table = pd.concat([table, own], ignore_index=True)
        write_table(table, file)
        draw(table, output / 'curve.png')
    print(table.round(2).to_string(index=False))


if __name__ == '__main__':
    main()
