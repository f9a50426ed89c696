"""Interrupt every command at random moments, again and again; its results must not show it.

    python integration_tests/quality/soak.py --kills 200
    python integration_tests/quality/soak.py --commands embed segment --kills 40 --signals TERM INT

Of each command, a small run is made once without interruption. Then the same command is started
and interrupted anywhere between the first import and the last file, and started again, until it
finishes; so many kills are made in as many runs as it takes. The signals take turns:

- KILL to the command and all processes that it started, as when a machine loses power;
- TERM to the command alone, as `kill` and batch systems do;
- INT to all of them, as Ctrl-C in a terminal does.

After TERM and INT the command must end by itself, and leave no process behind. Every run must end
with the same files: weights, features and tables bit by bit, but for measured times, and nothing
half-written. At the end there is a table of each command and signal; a traceback is counted there,
but is no loss. The status is 1 where anything was lost.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.numpy
import torch
from omegaconf import OmegaConf

from beast_lp.demo import TINY, write_project
from beast_lp.demo.project import CONFIG_NAME

# long enough that most kills hit the work and not the imports
SIZE = replace(
    TINY,
    videos=3,
    frames_per_video=300,
    recorded_frames=1500,
    pretraining_steps=40,
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
# line of a pose model's config in which the host notes the time of day
DATED = b'creation_datetime:'
# end of the name of an uninterrupted run while another has its place: files name their own paths
ASIDE = '_whole'


SIGNALS = {'KILL': signal.SIGKILL, 'TERM': signal.SIGTERM, 'INT': signal.SIGINT}
# seconds within which a command ends after TERM or INT; a step of training and a save fit in
PATIENCE = 120.0
# kills of each command before the next has its turn; not a multiple of the signals
KILLS_A_ROUND = 4


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


def _evaluate(folder: Path) -> list[str]:
    return [
        'segment',
        'evaluate',
        str(folder / 'project' / CONFIG_NAME),
        '--model_dir',
        str(folder / 'segment'),
        '--videos',
        str(folder / 'project' / 'videos'),
    ]


def _demo(folder: Path) -> list[str]:
    return ['beast_demo', '--tiny']


def _compare(folder: Path) -> list[str]:
    """Compare the pose model of the demo with copies of it, whose weights differ a little."""
    models = folder / 'pose_models'
    if not models.exists():
        for number in range(4):
            copy = models / f'model_{number}'
            shutil.copytree(folder / 'beast_demo' / 'pose', copy)
            config = copy / 'config.yaml'
            settings = OmegaConf.load(config)
            OmegaConf.update(settings, 'training.rng_seed_model_pt', number)
            OmegaConf.save(settings, config)
            for file in copy.rglob('*.ckpt'):
                _shift_weights(file, number)
    return [
        'compare',
        f'a={models / "model_0"},{models / "model_1"}',
        f'b={models / "model_2"},{models / "model_3"}',
        '--labels',
        str(folder / 'beast_demo' / 'project' / 'CollectedData_new.csv'),
    ]


def _shift_weights(file: Path, seed: int) -> None:
    # written by the demo of this very program
    checkpoint = torch.load(file, weights_only=False)
    draw = torch.Generator().manual_seed(seed)
    for value in checkpoint['state_dict'].values():
        if value.is_floating_point():
            value += 1e-3 * torch.randn(value.shape, generator=draw)
    torch.save(checkpoint, file)


# what a command reads, earlier ones make
COMMANDS: dict[str, Arguments] = {
    'pretrain': _pretrain,
    'embed': _embed,
    'encode': _encode,
    'segment': _segment,
    'predict': _predict,
    'evaluate': _evaluate,
    'beast_demo': _demo,
    'compare': _compare,
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


def interrupted(process: subprocess.Popen[bytes], seconds: float, name: str) -> bool:
    """Send a run a signal after so many seconds; return False if it ended before.

    Raises:
        Lost: if it does not end, or leaves processes behind.
    """
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return False
    # `kill` reaches the command alone, the other two all that it started
    (os.kill if name == 'TERM' else os.killpg)(process.pid, SIGNALS[name])
    try:
        process.wait(PATIENCE)
        _await_children(process.pid)
    except (subprocess.TimeoutExpired, TimeoutError) as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise Lost(f'{name} after {seconds:.1f} s: {error}') from error
    return True


def _await_children(group: int) -> None:
    until = time.monotonic() + PATIENCE / 4
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise TimeoutError('processes were left behind')


def is_finished(output: Path) -> bool:
    """Return whether the command would refuse to start here once more."""
    return (output / 'report.html').exists() and not (output / 'unfinished.json').exists()


def progress(output: Path) -> str:
    """Describe what there is of a run."""
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


def read(file: Path) -> object:
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
    lines = file.read_bytes().splitlines()
    return [line for line in lines if not line.startswith(DATED)]


def difference(whole: Path, torn: Path) -> str:
    """Describe in what two finished runs differ; empty if in nothing."""
    ours, theirs = contents(torn), contents(whole)
    if ours.keys() != theirs.keys():
        return f'one has, the other lacks {sorted(ours.keys() ^ theirs.keys())}'
    unequal = [name for name in ours if read(ours[name]) != read(theirs[name])]
    return f'{unequal} differ' if unequal else ''


class Soak:
    """Interrupts commands in one folder, and counts what came of it."""

    def __init__(self, folder: Path, seed: int, signals: list[str]) -> None:
        """Start with nothing counted.

        Args:
            folder: where the project is and all results go.
            seed: seed of the moments.
            signals: names of the signals that take turns.
        """
        self.folder = folder
        self.draw, self.turns = random.Random(seed), cycle(signals)
        # of each command, how long it takes without interruption, and its torn runs so far
        self.seconds: dict[str, float] = {}
        self.runs: Counter[str] = Counter()
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.losses: list[str] = []

    def prepare(self, name: str) -> None:
        """Run a command once without interruption."""
        arguments, whole = COMMANDS[name](self.folder), self.folder / name
        begin = time.monotonic()
        finish(arguments, whole)
        self.seconds[name] = time.monotonic() - begin
        files = len(contents(whole))
        print(
            f'=== {name}, without interruption: {self.seconds[name]:.1f} s, {files} files',
            flush=True,
        )

    def run(self, name: str, kills: int) -> None:
        """Make so many kills of a command, and compare each run with the uninterrupted one."""
        arguments, output = COMMANDS[name](self.folder), self.folder / name
        whole = output.rename(self.folder / f'{name}{ASIDE}')
        left = kills
        while left > 0:
            self.runs[name] += 1
            runs = self.runs[name]
            sent: list[str] = []
            try:
                for signal_name in self._interrupt(name, arguments, output, left):
                    sent.append(signal_name)
                    self.counts[name, signal_name, 'kills'] += 1
                    left -= 1
                problem = difference(whole, output)
                if problem:
                    raise Lost(problem)
            except Lost as loss:
                self.losses.append(f'{name}, run {runs}, after {" ".join(sent)}: {loss}')
                print(f'LOST: {self.losses[-1]}', flush=True)
                # so that a command which never survives does not go on for ever
                left -= not sent
                for signal_name in set(sent):
                    self.counts[name, signal_name, 'in runs with a loss'] += 1
                if output.exists():
                    # to be looked at
                    output.rename(self.folder / f'{name}_torn_{runs}')
            else:
                print(f'run {runs}: equal to the uninterrupted one', flush=True)
                shutil.rmtree(output)
        whole.rename(output)

    def _interrupt(
        self,
        command: str,
        arguments: list[str],
        output: Path,
        most: int,
    ) -> Iterator[str]:
        """Interrupt a run until it is finished; yield the name of each signal that hit it.

        Raises:
            Lost: if the run cannot be finished.
        """
        log = output.with_suffix('.log')
        made = 0
        while made < most and not is_finished(output):
            moment = self.draw.uniform(0.05, 0.95) * self.seconds[command]
            name = next(self.turns)
            before = log.stat().st_size if log.exists() else 0
            process = start(arguments, output)
            if not interrupted(process, moment, name):
                if process.returncode != 0:
                    raise Lost(f'ended with {process.returncode}: {_tail(log)}')
                return
            made += 1
            text = log.read_bytes()[before:]
            if b'Traceback (most recent call last)' in text:
                self.counts[command, name, 'tracebacks'] += 1
            print(f'{name} after {moment:.1f} s; {progress(output)}', flush=True)
            yield name
        if not is_finished(output):
            code = start(arguments, output).wait()
            if code != 0:
                raise Lost(f'ended with {code}: {_tail(log)}')

    def print_table(self) -> None:
        """Print the counts of each command and signal."""
        columns = ('kills', 'tracebacks', 'in runs with a loss')
        print(f'\n{"command":12} {"signal":6} ' + ' '.join(f'{name:>20}' for name in columns))
        for command, name in sorted({key[:2] for key in self.counts}):
            counts = ' '.join(f'{self.counts[command, name, column]:20}' for column in columns)
            print(f'{command:12} {name:6} {counts}')
        total = sum(count for key, count in self.counts.items() if key[2] == 'kills')
        print(f'{total} kills, {len(self.losses)} runs with a loss', flush=True)


class Lost(Exception):
    """An interruption that a run did not survive."""


def _tail(log: Path) -> str:
    return log.read_text(encoding='utf-8', errors='replace')[-2000:]


def main() -> None:
    """Soak one command after the other."""
    parser = argparse.ArgumentParser(description='Interrupt commands at random moments.')
    parser.add_argument('--commands', nargs='+', choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument('--kills', type=int, default=48, help='kills of all commands together')
    parser.add_argument('--signals', nargs='+', choices=SIGNALS, default=list(SIGNALS))
    parser.add_argument('--seed', type=int, default=None, help='of the moments')
    options = parser.parse_args()
    # a shell has its background jobs ignore Ctrl-C, and what they start would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    print(f'moments drawn with --seed {seed}', flush=True)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        write_project(folder / 'project', SIZE)
        soak = Soak(folder, seed, options.signals)
        last = max(list(COMMANDS).index(name) for name in options.commands)
        for name in list(COMMANDS)[: last + 1]:
            # what a command reads, earlier ones make
            soak.prepare(name)
        left = options.kills
        while left > 0:
            # in rounds, so that a soak that is stopped has seen every command
            for name in options.commands:
                kills = min(left, KILLS_A_ROUND)
                soak.run(name, kills)
                left -= kills
            soak.print_table()
    for loss in soak.losses:
        print(loss)
    sys.exit(bool(soak.losses))


if __name__ == '__main__':
    main()
