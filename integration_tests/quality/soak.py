"""Kill a pretraining with -9 at random moments, again and again; its weights must not show it.

    python integration_tests/quality/soak.py --cycles 8

A tiny `litpose pretrain` is run once without interruption. Then the same command is started and
killed, with its reading processes, anywhere between the first import and the last file, and
started again, until it finishes; so many kills are made in as many runs as it takes. Every run
must end with the same weights, bit by bit, the same losses, and nothing half-written.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import safetensors.torch
import torch

from beast_lp.demo import TINY, write_project

SETTINGS = (
    'beast.training.epochs=40', 'beast.training.precision=fp32', 'beast.training.num_workers=1',
    'beast.training.checkpoint_epochs=2', 'training.num_gpus=1',
)
# what the machine measures, not what the run computes
MEASURED = ['images_per_second', 'data_wait_share', 'seconds_left']


def start(config: Path, output: Path) -> subprocess.Popen[bytes]:
    """Start, or continue, the run; its messages go to a file beside the output."""
    with output.with_suffix('.log').open('ab') as log:
        return subprocess.Popen(
            [Path(sys.executable).with_name('litpose'), 'pretrain', config, '--output_dir', output,
             '--overrides', *SETTINGS],
            stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, 'OMP_NUM_THREADS': '1', 'HF_HUB_OFFLINE': '1'},
        )


def finish(config: Path, output: Path) -> None:
    """Run to the end."""
    code = start(config, output).wait()
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


def progress(output: Path) -> str:
    """Say how far a run has come."""
    if (output / 'backbone').exists():
        return 'backbone written'
    if not (output / 'metrics.csv').exists():
        return 'windows stored' if (output / 'windows' / 'index.csv').exists() else 'nothing yet'
    kept = 'with' if (output / 'checkpoints' / 'last.ckpt').exists() else 'without'
    return f'{len(pd.read_csv(output / "metrics.csv"))} epochs, {kept} checkpoint'


def difference(whole: Path, torn: Path) -> str:
    """Say in what two finished runs differ; empty if in nothing."""
    a, b = (safetensors.torch.load_file(run / 'backbone' / 'model.safetensors')
            for run in (whole, torn))
    unequal = [name for name in a if name not in b or not torch.equal(a[name], b[name])]
    if unequal or a.keys() != b.keys():
        return f'{len(unequal)} of {len(a)} tensors differ, {unequal[:1]} among them'
    c, d = (pd.read_csv(run / 'metrics.csv').drop(columns=MEASURED) for run in (whole, torn))
    columns = [name for name in c if name not in d or not c[name].equals(d[name])]
    if columns:
        return f'the columns {columns} of metrics.csv differ'
    left = [str(path) for pattern in ('*.part', '*.tmp') for path in torn.rglob(pattern)]
    return f'{left} was left behind' if left else ''


def main() -> None:
    """Make so many kills, and compare every run with the one that was never interrupted."""
    parser = argparse.ArgumentParser(description='Kill a pretraining at random moments.')
    parser.add_argument('--cycles', type=int, default=8, help='kills')
    parser.add_argument('--seed', type=int, default=None, help='of the moments')
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    draw = random.Random(seed)
    print(f'moments drawn with --seed {seed}', flush=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = write_project(directory / 'project', TINY)
        begin = time.monotonic()
        finish(config, directory / 'whole')
        length = time.monotonic() - begin
        print(f'without interruption: {length:.1f} s', flush=True)
        kills = runs = 0
        while kills < options.cycles:
            runs += 1
            output = directory / f'torn_{runs}'
            while kills < options.cycles:
                moment = draw.uniform(0.05, 0.95) * length
                if not killed(start(config, output), moment):
                    break
                kills += 1
                print(f'kill {kills}: after {moment:.1f} s; {progress(output)}', flush=True)
            if not (output / 'backbone').exists():
                finish(config, output)
            problem = difference(directory / 'whole', output)
            if problem:
                raise SystemExit(f'FAILED, run {runs}: {problem}; repeat with --seed {seed}')
            print(f'run {runs}: equal to the uninterrupted one, bit by bit', flush=True)
    print(f'{kills} kills in {runs} runs left no trace')


if __name__ == '__main__':
    main()
