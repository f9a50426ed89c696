"""Kill a long job with -9 at random moments, again and again; its results must not show it.

    python integration_tests/quality/soak.py --cycles 8
    python integration_tests/quality/soak.py --stages embed segment --cycles 20

Of each stage (`pretrain`, `embed`, `encode`, `segment train`, `segment predict`), a small run is
made once without interruption. Then the same command is started and killed, with all processes
that it started, anywhere between the first import and the last file, and started again, until it
finishes; so many kills are made in as many runs as it takes. Every run must end with the same
files: weights, features and tables bit by bit, but for measured times, and nothing half-written.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.numpy

from beast_lp.demo import TINY, write_project
from beast_lp.demo.project import CONFIG_NAME

# long enough that most kills hit the work and not the imports
SIZE = replace(
    TINY,
    videos=3,
    frames_per_video=300,
    recorded_frames=1500,
    pretraining_epochs=40,
    segmentation_epochs=30,
    encoding_block=4.0,
    control_draws=200,
)
# what the machine measures, not what the run computes
MEASURED = ['images_per_second', 'data_wait_share', 'seconds_left', 'seconds']
# logs and locks, pictures, what holds the time of day or how long something took: names of folders
# and files, and last suffixes, so that a part that was left behind is not among them
IGNORED = {
    'tb_logs',
    'train_status.json',
    '.lock',
    '.png',
    '.html',
    '.ckpt',
    '.log',
    '.nwb',
}


# arguments of `litpose`, for a folder that holds the project and what earlier stages made
Arguments = Callable[[Path], list[str]]


def _pretrain(folder: Path) -> list[str]:
    return [
        'pretrain',
        str(folder / 'project' / CONFIG_NAME),
        '--overrides',
        'beast.training.precision=fp32',
        'beast.training.num_workers=1',
        'training.num_gpus=1',
    ]


def _embed(folder: Path) -> list[str]:
    return ['embed', str(folder / 'pretrain'), str(folder / 'project' / 'videos'), '--patches']


def _encode(folder: Path) -> list[str]:
    return [
        'encode',
        str(folder / 'project' / CONFIG_NAME),
        '--spikes',
        str(folder / 'project' / 'spikes' / 'session_01.npz'),
        '--features',
        f'beast={folder / "embed"}',
    ]


def _segment(folder: Path) -> list[str]:
    return [
        'segment',
        'train',
        str(folder / 'project' / CONFIG_NAME),
        '--overrides',
        f'beast.segmentation.source="{folder / "pretrain"}"',
        'beast.segmentation.fitting.checkpoint_minutes=0.01',
    ]


def _predict(folder: Path) -> list[str]:
    return [
        'segment',
        'predict',
        str(folder / 'project' / CONFIG_NAME),
        '--model_dir',
        str(folder / 'segment'),
        '--nwb',
        '--lightning_action',
    ]


STAGES: dict[str, Arguments] = {
    'pretrain': _pretrain,
    'embed': _embed,
    'encode': _encode,
    'segment': _segment,
    'predict': _predict,
}


def start(arguments: list[str], output: Path) -> subprocess.Popen[bytes]:
    """Start, or continue, a run; its messages go to a file beside the output."""
    # before options that take all that follows
    at = next(at for at, word in enumerate([*arguments, '--']) if word.startswith('--'))
    command = [*arguments[:at], '--output_dir', str(output), *arguments[at:]]
    with output.with_suffix('.log').open('ab') as log:
        return subprocess.Popen(
            [Path(sys.executable).with_name('litpose'), *command],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, 'OMP_NUM_THREADS': '1', 'HF_HUB_OFFLINE': '1'},
        )


def finish(arguments: list[str], output: Path) -> None:
    """Run to the end."""
    code = start(arguments, output).wait()
    if code != 0:
        log = output.with_suffix('.log').read_text(encoding='utf-8', errors='replace')
        raise SystemExit(f'FAILED: the run ended with {code}:\n{log[-3000:]}')


def killed(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill a run and all that it started after so many seconds; False if it ended before."""
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def is_finished(output: Path) -> bool:
    """Say whether the command would refuse to start here once more."""
    return (output / 'report.html').exists() and not (output / 'unfinished.json').exists()


def progress(output: Path) -> str:
    """Say what there is of a run."""
    if not output.exists():
        return 'nothing yet'
    files = [file for file in output.rglob('*') if file.is_file()]
    last = max(files, key=lambda file: file.stat().st_mtime, default=None)
    return f'{len(files)} files, {last.relative_to(output)} the last' if last else 'a folder'


def contents(output: Path) -> dict[str, Path]:
    """Return the files of a run that must not depend on when it was killed, by relative name."""
    relative = [path.relative_to(output) for path in sorted(output.rglob('*')) if path.is_file()]
    return {
        str(path): output / path
        for path in relative
        if IGNORED.isdisjoint({*path.parts, path.suffix})
    }


def read(file: Path, output: Path) -> object:
    """Return what must be equal in two runs of a file."""
    if file.suffix == '.csv':
        table = pd.read_csv(file)
        return table.drop(columns=[name for name in MEASURED if name in table]).to_csv()
    if file.suffix == '.safetensors':
        tensors = safetensors.numpy.load_file(file)
        return {name: (value.shape, value.tobytes()) for name, value in tensors.items()}
    if file.suffix == '.npz':
        with np.load(file) as arrays:
            return {name: arrays[name].tobytes() for name in arrays.files}
    return file.read_bytes().replace(os.fsencode(output), b'OUTPUT')


def difference(whole: Path, torn: Path) -> str:
    """Say in what two finished runs differ; empty if in nothing."""
    ours, theirs = contents(torn), contents(whole)
    if ours.keys() != theirs.keys():
        return f'one has, the other lacks {sorted(ours.keys() ^ theirs.keys())}'
    unequal = [name for name in ours if read(ours[name], torn) != read(theirs[name], whole)]
    return f'{unequal} differ' if unequal else ''


def soak(name: str, folder: Path, kills: int, draw: random.Random) -> None:
    """Make so many kills of a stage, and compare every run with one that was not interrupted."""
    arguments, whole = STAGES[name](folder), folder / name
    begin = time.monotonic()
    finish(arguments, whole)
    length = time.monotonic() - begin
    print(
        f'=== {name}, without interruption: {length:.1f} s, {len(contents(whole))} files',
        flush=True,
    )
    made = runs = 0
    while made < kills:
        runs += 1
        output = folder / f'{name}_torn_{runs}'
        while made < kills and not is_finished(output):
            moment = draw.uniform(0.05, 0.95) * length
            if not killed(start(arguments, output), moment):
                break
            made += 1
            print(f'kill {made}: after {moment:.1f} s; {progress(output)}', flush=True)
        if not is_finished(output):
            finish(arguments, output)
        problem = difference(whole, output)
        if problem:
            raise SystemExit(f'FAILED, {name}, run {runs}: {problem}')
        print(f'run {runs}: equal to the uninterrupted one', flush=True)
    print(f'{made} kills of {name} in {runs} runs left no trace', flush=True)


def main() -> None:
    """Soak one stage after the other."""
    parser = argparse.ArgumentParser(description='Kill long jobs at random moments.')
    parser.add_argument('--stages', nargs='+', choices=STAGES, default=list(STAGES))
    parser.add_argument('--cycles', type=int, default=8, help='kills of each stage')
    parser.add_argument('--seed', type=int, default=None, help='of the moments')
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    print(f'moments drawn with --seed {seed}', flush=True)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        write_project(folder / 'project', SIZE)
        last = max(list(STAGES).index(name) for name in options.stages)
        for name in list(STAGES)[: last + 1]:
            # what a stage reads, earlier ones make
            soak(
                name,
                folder,
                options.cycles if name in options.stages else 0,
                random.Random(f'{seed} {name}'),
            )


if __name__ == '__main__':
    main()
