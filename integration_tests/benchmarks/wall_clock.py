"""From raw video to results, by the clock: what each stage takes, and where its time goes.

    uv run python integration_tests/benchmarks/wall_clock.py --output DIRECTORY

The real recording mirror_mouse (994 frames, 90 labelled), with the preset `laptop`, as
`test_mirror_mouse.py` has it, on all cores. Parts of pretraining are told apart by when it
finished their files. The table comes as CSV and as a picture.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from measures import DATA, machine, note, run_child
from mouse_project import write_config

MOUSE = DATA / 'mirror_mouse'
# of a stage: the file that is finished at the end of each part
PARTS = {
    'pretrain': {
        'start, scanning, anchors, windows': 'windows/index.csv',
        'training': 'backbone/model.safetensors',
        'report': 'report.html',
    },
    'train': {'training and evaluation': 'predictions_pixel_error.csv'},
}


def measure(source: Path, directory: Path) -> pd.DataFrame:
    """Run all stages; return seconds and MB, a row per part of a stage."""
    config, video = write_config(source, directory), source / 'videos' / 'test_vid.mp4'
    outputs = {name: directory / name for name in ('pretrain', 'train', 'embed')}
    backbone = f'model.backbone_checkpoint={outputs["pretrain"]}'
    commands = {
        'start-up alone': ['--version'],
        'pretrain': ['pretrain', config, '--output_dir', outputs['pretrain']],
        'train': ['train', config, '--output_dir', outputs['train'], '--overrides', backbone],
        'predict': ['predict', outputs['train'], video, '--skip_viz'],
        'embed': [
            'embed',
            outputs['pretrain'],
            video,
            '--output_dir',
            outputs['embed'],
            '--patches',
        ],
    }
    rows = []
    for stage, words in commands.items():
        note(stage)
        begin = time.time()
        child = run_child([Path(sys.executable).with_name('litpose'), *words], {})
        reached = begin
        for part, file in PARTS.get(stage, {}).items():
            finished = (outputs[stage] / file).stat().st_mtime
            rows.append({'stage': stage, 'part': part, 'wall_s': finished - reached})
            reached = finished
        rest = 'rest' if stage in PARTS else ''
        rows.append({'stage': stage, 'part': rest, 'wall_s': begin + child.wall - reached})
        rows.append(
            {
                'stage': stage,
                'part': 'all',
                'wall_s': child.wall,
                'cpu_s': child.cpu,
                'peak_mb': child.peak,
            }
        )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Figure:
    """Draw a bar per stage, divided into its parts."""
    parts: dict[str, list[tuple[str, float]]] = {}
    for stage, part, seconds in zip(table['stage'], table['part'], table['wall_s'], strict=True):
        if part != 'all':
            parts.setdefault(stage, []).append((part, seconds))
    figure = Figure(figsize=(8, 0.5 * len(parts) + 1), layout='constrained')
    axes = figure.subplots()
    names = list(dict.fromkeys(part for own in parts.values() for part, _ in own if part))
    colours = {'': 'grey', **{name: f'C{number}' for number, name in enumerate(names)}}
    for at, own in enumerate(parts.values()):
        left = 0.0
        for part, seconds in own:
            axes.barh(at, seconds, left=left, color=colours[part])
            left += seconds
    axes.legend([Patch(color=colours[name]) for name in names], names, fontsize=8)
    axes.set_yticks(range(len(parts)), list(parts))
    axes.invert_yaxis()
    axes.set_xlabel('seconds')
    return figure


def main() -> None:
    """Measure and write the tables and the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--recording', type=Path, default=MOUSE, help='folder of mirror_mouse')
    parser.add_argument('--output', type=Path, required=True, help='folder of the results')
    options = parser.parse_args()
    print(f'Machine: {machine()}')
    with tempfile.TemporaryDirectory() as directory:
        results = measure(options.recording.absolute(), Path(directory))
    options.output.mkdir(parents=True, exist_ok=True)
    results.to_csv(options.output / 'wall_clock.csv', index=False)
    draw(results).savefig(options.output / 'wall_clock.png', dpi=150)
    print(results.round(1).to_string(index=False))


if __name__ == '__main__':
    main()
