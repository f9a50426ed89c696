"""Behaviour from a video: frames per second, and memory against the length of the video.

    uv run python integration_tests/benchmarks/segment_predict.py --output segment_predict.csv

A segmenter is trained for a few epochs on a scored video, with a random backbone of a preset's
size. Then `litpose segment predict` reads that video, and ones that are 4 and 16 times as long,
and writes labels: one process on one thread, start-up counted. `train` (one epoch) and `evaluate`
follow on the features that it left, since their memory must not grow either.
"""

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from measures import (
    DATA,
    ONE_THREAD,
    BenchmarkError,
    Child,
    Measure,
    load,
    machine,
    note,
    run_child,
    table,
    write_csv,
)

HERE = Path(__file__).parent
FLY = DATA / 'fly_courtship'
LENGTHS = (1, 4, 16)
# growth of the peak over 16 times the length that still counts as flat
FLAT = 1.1


class Bench:
    """Runs `litpose segment` in one working directory."""

    def __init__(self, directory: Path, video: Path, labels: Path, preset: str) -> None:
        """Write the backbone, the videos with their labels, and train."""
        self.directory = directory
        self.backbone = directory / 'backbone'
        self._worker('weights', preset, self.backbone)
        for times in LENGTHS:
            note(f'writing a video of {times} times the length')
            longer = self._video(times)
            longer.parent.mkdir()
            self.frames = self._worker('repeat', video, longer, '--times', times)['frames']
            _repeat_labels(labels, longer.with_suffix('.csv'), times)
        note('training')
        self._segment('train', 1, 'model', {'source': str(self.backbone)}, epochs=5)

    def predict(self, times: int, repeat: int) -> Child:
        """Predict the video of some length, from its pixels."""
        return self._segment('predict', times, f'predicted_{times}_{repeat}', {}, 'model')

    def train_and_evaluate(self, times: int) -> tuple[Child, Child]:
        """Train for an epoch on the features that a prediction left, and score the same video."""
        stored = {'features_dir': str(self.directory / f'predicted_{times}_0' / 'features')}
        trained = self._segment('train', times, f'trained_{times}', stored, epochs=1)
        return trained, self._segment(
            'evaluate', times, f'evaluated_{times}', stored, f'trained_{times}'
        )

    def _segment(
        self,
        action: str,
        times: int,
        output: str,
        settings: dict[str, Any],
        model: str | None = None,
        epochs: int = 1,
    ) -> Child:
        config, video = self.directory / f'{output}.yaml', self._video(times)
        # JSON is YAML; the shortest video fills a batch, so that longer ones do not make it larger
        config.write_text(
            json.dumps(
                {
                    'beast': {
                        'segmentation': {
                            'videos': str(video),
                            'labels': str(video.parent),
                            'split': {'by': 'block'},
                            'fitting': {
                                'epochs': epochs,
                                'learning_rate': 1e-3,
                                'batch_size': 4,
                                'sequence_frames': 300,
                            },
                            **settings,
                        }
                    }
                }
            )
        )
        # named, since evaluating what was trained on is otherwise refused
        chosen = ['--model_dir', self.directory / model, '--videos', video] if model else []
        return run_child(
            [
                Path(sys.executable).with_name('litpose'),
                'segment',
                action,
                config,
                *chosen,
                '--output_dir',
                self.directory / output,
            ],
            ONE_THREAD,
        )

    def _worker(self, *arguments: object) -> dict[str, Any]:
        command = [sys.executable, HERE / 'our_worker.py', *map(str, arguments)]
        return run_child(command, ONE_THREAD).result

    def _video(self, times: int) -> Path:
        return self.directory / f'times_{times}' / 'animal.mp4'


def measure(bench: Bench, repeats: int) -> list[Measure]:
    """Measure speed on the shortest and the longest video, and peaks on all."""
    wall, cpu, long = (
        Measure(f'predict, frames/s of {what}', higher_is_better=True)
        for what in ('wall time', 'CPU time', f'wall time at {LENGTHS[-1]} times the length')
    )
    peaks: dict[str, dict[int, float]] = {}
    for times in LENGTHS:
        for repeat in range(repeats if times == 1 else 1):
            note(f'predicting {times} times the length, repeat {repeat + 1}')
            child = bench.predict(times, repeat)
            peaks.setdefault('predict', {})[times] = child.peak
            for item, seconds in ((wall, child.wall), (cpu, child.cpu)) if times == 1 else ():
                item.ours.append(bench.frames / seconds)
            if times == LENGTHS[-1]:
                long.ours.append(times * bench.frames / child.wall)
        note(f'training and evaluating on {times} times the length')
        for action, child in zip(
            ('train', 'evaluate'), bench.train_and_evaluate(times), strict=True
        ):
            peaks.setdefault(action, {})[times] = child.peak
    return [
        wall,
        cpu,
        long,
        *(
            row
            for action, by_length in peaks.items()
            for row in (
                *(
                    Measure(f'{action}, peak MB at {times} times the length', [peak])
                    for times, peak in by_length.items()
                ),
                Measure(
                    f'{action}, peak at {LENGTHS[-1]} times the length over that at 1',
                    [by_length[LENGTHS[-1]] / by_length[1]],
                    most=FLAT,
                ),
            )
        ),
    ]


def _repeat_labels(source: Path, target: Path, times: int) -> None:
    with source.open(newline='') as file:
        header, *rows = csv.reader(file)
    with target.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([i, *row[1:]] for i, row in enumerate(rows * times))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--video', type=Path, default=FLY / 'crops/male.mp4')
    parser.add_argument(
        '--labels', type=Path, default=FLY / 'labels/male.csv', help='one-hot, of that video'
    )
    parser.add_argument('--preset', default='laptop', help='size of the backbone (%(default)s)')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--output', type=Path, help='also write every value to this CSV file')
    arguments = parser.parse_args()
    for path in (arguments.video, arguments.labels):
        if not path.is_file():
            parser.error(f'{path} is not a file; name one with --video and --labels')
    print(f'Machine: {machine()}')
    try:
        with tempfile.TemporaryDirectory(prefix='beast_lp_benchmark_') as directory:
            bench = Bench(
                Path(directory), arguments.video.resolve(), arguments.labels, arguments.preset
            )
            measures = measure(bench, arguments.repeats)
    except BenchmarkError as error:
        sys.exit(str(error))
    print(
        f'Video: {arguments.video}, {bench.frames} frames; backbone: {arguments.preset}\n\n'
        f'{table(measures)}\n\nAt the end: {load()}.'
    )
    if arguments.output:
        write_csv(arguments.output, measures)


if __name__ == '__main__':
    main()
