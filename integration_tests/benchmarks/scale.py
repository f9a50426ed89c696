"""The size of the paper's data, rehearsed: time and memory of every stage of pretraining.

    uv run python integration_tests/benchmarks/scale.py --output DIRECTORY

So many small videos (8, 33 and 67; the paper has 67) with 533 anchors each go through scan and
window store, one epoch of a tiny model that is killed (SIGKILL) and resumed, and the report, each
in a process of its own. A stage whose cost is linear has an exponent of at most 1 in the last
column: the cost grows as the number of videos to that power, between the first and the last size.
The constant cost of a start lowers it; anything quadratic would show as an exponent above 1.
"""

import argparse
import csv
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from measures import NO_GPU, BenchmarkError, machine, note, run_child

SIZES = (8, 33, 67)
ANCHORS = 533
# frames of a video; the square jumps in every third, which are far enough apart to be anchors all
FRAMES = 1950
# px, small enough that decoding is a small part of the whole
SIDE = 64
# most that is tolerated
MOST_EXPONENT, MOST_START, MOST_REPORT = 1.15, 1.0, 10.0
# name of a stage in the table
SCAN, AGAIN, KILLED, RESUMED, REPORT = (
    'scan and store',
    'store found again',
    'epoch, until killed',
    'epoch, resumed',
    'report',
)
# what is measured beside time and memory
START, RESUMED_START, PAGE = (
    's from the fit to the first batch',
    's from the resume to the first batch',
    'MB of report.html',
)
FIRST_BATCH = 'first_batch.json'
# column -> what is added to the name of a measure
COLUMNS = {'wall_s': ', s', 'cpu_s': ', CPU s', 'peak_mb': ', MB', 'value': ''}


def write_videos(folder: Path, count: int) -> None:
    """Write videos of a square that jumps about; no two of them are equal.

    Args:
        folder: folder of the videos, made where it is missing.
        count: number of videos.
    """
    import av
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    texture = draw.integers(60, 120, (SIDE, SIDE, 3), np.uint8)
    pictures = []
    for y, x in draw.integers(0, SIDE - 12, (FRAMES // 3, 2)):
        picture = texture.copy()
        picture[y : y + 12, x : x + 12] = draw.integers(0, 256, 3)
        pictures.append(picture)
    for number in range(count):
        with av.open(str(folder / f'video_{number:03d}.mp4'), 'w') as container:
            stream: Any = container.add_stream(
                'libx264', rate=30, options={'preset': 'ultrafast', 'crf': '18'}
            )
            stream.width = stream.height = SIDE
            stream.codec_context.thread_count = 1
            for at in range(FRAMES):
                # another beginning and another brightness
                picture = pictures[(at // 3 + 17 * number) % len(pictures)] + np.uint8(number % 60)
                frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
                container.mux(stream.encode(frame))
            container.mux(stream.encode())


def settings(checkpoint_minutes: float = 5.0) -> Any:
    """Return the settings of the run: a tiny model, one epoch, one process."""
    from beast_lp.config import parse_config

    return parse_config(
        {
            'init': 'random',
            'anchors': {'per_video': ANCHORS},
            'windows': {'longest_side': SIDE, 'processes': 1},
            'model': {
                'image_size': 32,
                'hidden_size': 32,
                'num_layers': 1,
                'decoder_hidden_size': 32,
                'decoder_num_layers': 1,
            },
            'training': {
                'epochs': 1,
                'batch_size': 128,
                'precision': 'fp32',
                'loader': 'pyav',
                'num_workers': 0,
                'checkpoint_minutes': checkpoint_minutes,
            },
        }
    )


def scan(folder: Path) -> None:
    """Scan the videos and build the window store, or find it again."""
    from beast_lp.video.window_prepare import prepare_windows

    config = settings()
    videos = sorted((folder / 'videos').iterdir())
    store = prepare_windows(
        videos, folder / 'run', config.anchors, config.windows, config.seed, progress=False
    )
    if len(store) < 0.95 * ANCHORS * len(videos):
        raise SystemExit(f'{len(store)} anchors of {len(videos)} videos')


def train(folder: Path) -> None:
    """Train until killed, with a checkpoint after the first step."""
    _train(folder, checkpoint_minutes=1e-6)


def resume(folder: Path) -> None:
    """Train to the end of the epoch."""
    _train(folder, checkpoint_minutes=5.0)


def _train(folder: Path, checkpoint_minutes: float) -> None:
    """Train, and write the seconds from the start of the fit to the first batch."""
    from lightning.pytorch import Callback, LightningModule, Trainer

    from beast_lp.pretraining import fit
    from beast_lp.pretraining.stage import run_pretraining

    begin: list[float] = []
    first_of_fit = fit.check_same_windows

    def start(*arguments: Any) -> None:
        begin.append(time.perf_counter())
        first_of_fit(*arguments)

    class Clock(Callback):
        """Stops the time at the first batch."""

        def on_train_batch_start(
            self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
        ) -> None:
            """Write it, once."""
            if begin:
                seconds = time.perf_counter() - begin.pop()
                (folder / FIRST_BATCH).write_text(json.dumps(seconds))

    fit.check_same_windows = start
    videos = sorted((folder / 'videos').iterdir())
    run_pretraining(settings(checkpoint_minutes), videos, folder / 'run', callbacks=[Clock()])


def report(folder: Path) -> None:
    """Write the report of the run."""
    from beast_lp.reports.pretraining_run import write_report

    write_report(folder / 'run')


WORKERS: dict[str, Callable[[Path], None]] = {
    'scan': scan,
    'train': train,
    'resume': resume,
    'report': report,
}


def killed(command: list[str], checkpoint: Path) -> dict[str, float]:
    """Start training, kill it once there is a checkpoint, and return what it took.

    Raises:
        BenchmarkError: if it ends before.
    """
    begin = time.perf_counter()
    with tempfile.TemporaryFile('w+') as errors:
        process = subprocess.Popen(
            command, env={**os.environ, **NO_GPU}, stdout=errors, stderr=errors
        )
        while not checkpoint.exists():
            time.sleep(0.05)
            # leaves a process that has ended for wait4, which tells what it took
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                errors.seek(0)
                raise BenchmarkError(f'no checkpoint was left to resume: {errors.read()[-500:]}')
        os.kill(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return {
        'wall_s': time.perf_counter() - begin,
        'cpu_s': usage.ru_utime + usage.ru_stime,
        'peak_mb': usage.ru_maxrss / (1e6 if sys.platform == 'darwin' else 1e3),
    }


def measure(count: int, folder: Path) -> list[dict[str, Any]]:
    """Take all stages with a number of videos; return a row per measure."""
    run = folder / 'run'
    note(f'{count} videos: writing them')
    write = [sys.executable, __file__, '--worker', 'write', '--folder', folder, '--sizes', count]
    subprocess.run([str(part) for part in write], check=True, stdout=subprocess.DEVNULL)

    rows: list[dict[str, Any]] = []

    def keep(stage: str, **values: float) -> None:
        rows.append({'videos': count, 'measure': stage, **values})
        note(f'{count} videos: {stage} {values}')

    def command(stage: str) -> list[str]:
        return [sys.executable, __file__, '--worker', stage, '--folder', str(folder)]

    def take(stage: str, worker: str) -> None:
        child = run_child(command(worker), {})
        keep(stage, wall_s=child.wall, cpu_s=child.cpu, peak_mb=child.peak)

    take(SCAN, 'scan')
    take(AGAIN, 'scan')
    keep(KILLED, **killed(command('train'), run / 'checkpoints' / 'last.ckpt'))
    keep(START, value=json.loads((folder / FIRST_BATCH).read_text()))
    take(RESUMED, 'resume')
    keep(RESUMED_START, value=json.loads((folder / FIRST_BATCH).read_text()))
    take(REPORT, 'report')
    keep(PAGE, value=(run / 'report.html').stat().st_size / 1e6)
    return rows


def exponent(small: tuple[int, float], large: tuple[int, float]) -> float:
    """Return the power of the number of videos with which a cost grows.

    Args:
        small: number of videos, and the cost.
        large: likewise, with more videos.

    Examples:
        >>> exponent((8, 2.0), (16, 4.0))
        1.0
    """
    return math.log(large[1] / small[1]) / math.log(large[0] / small[0])


def table(rows: list[dict[str, Any]]) -> str:
    """Write the table as Markdown: a row per measure, a column per number of videos."""
    sizes = sorted({row['videos'] for row in rows})
    lines = [
        '| measure | ' + ' | '.join(f'{size} videos' for size in sizes) + ' | exponent |',
        '|' + ' --- |' * (len(sizes) + 2),
    ]
    names = dict.fromkeys(row['measure'] for row in rows)
    for name, (column, unit) in product(names, COLUMNS.items()):
        values = {
            row['videos']: row[column]
            for row in rows
            if row['measure'] == name and row.get(column) is not None
        }
        if not values:
            continue
        power = ''
        if len(values) > 1:
            first, last = min(values), max(values)
            power = f'{exponent((first, values[first]), (last, values[last])):.2f}'
        cells = ' | '.join(f'{values[size]:.3g}' if size in values else '' for size in sizes)
        lines.append(f'| {name}{unit} | {cells} | {power} |')
    return '\n'.join(lines)


def failures(rows: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each target that is missed."""
    found = []
    for row in rows:
        for name, most in ((START, MOST_START), (RESUMED_START, MOST_START), (PAGE, MOST_REPORT)):
            if row['measure'] == name and row['value'] > most:
                found.append(f'{row["videos"]} videos: {row["value"]:.2f} {name}, above {most:g}')
    for stage in (SCAN, AGAIN, RESUMED, REPORT):
        for column in ('cpu_s', 'peak_mb'):
            costs = {row['videos']: row[column] for row in rows if row['measure'] == stage}
            if len(costs) < 2:
                continue
            first, last = min(costs), max(costs)
            power = exponent((first, costs[first]), (last, costs[last]))
            if power > MOST_EXPONENT:
                found.append(f'{stage}: {column} grows as the videos to the power {power:.2f}')
    return found


def main() -> None:
    """Measure all sizes and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--output', type=Path, help='folder of the results')
    parser.add_argument('--sizes', type=int, nargs='+', default=SIZES, help='numbers of videos')
    # for the processes that are measured
    parser.add_argument('--worker', choices=['write', *WORKERS], help=argparse.SUPPRESS)
    parser.add_argument('--folder', type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker == 'write':
        write_videos(options.folder / 'videos', *options.sizes)
        return
    if options.worker:
        WORKERS[options.worker](options.folder)
        return
    if options.output is None:
        parser.error('--output is missing')
    rows = []
    print(f'Machine: {machine()}\n')
    for count in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(count, Path(folder))
    options.output.mkdir(parents=True, exist_ok=True)
    with (options.output / 'scale.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, ['videos', 'measure', *COLUMNS])
        writer.writeheader()
        writer.writerows(rows)
    print(table(rows))
    missed = failures(rows)
    if missed:
        raise SystemExit('\n'.join(['', *missed]))


if __name__ == '__main__':
    main()
