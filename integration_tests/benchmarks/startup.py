"""Start-up costs: of the plugin's hook, of the help, of a refusal, and before the first frame.

Run `python integration_tests/benchmarks/startup.py`. Machines are shared and noisy, so the kinds
of start are interleaved, and medians are printed. A command's seconds are given as CPU time and by
the clock; two of the host's own commands stand beside ours, since all commands share its start.
"""

import argparse
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PTH = Path(sysconfig.get_paths()['purelib'], 'beast_lp.pth')
COMMANDS = ('pretrain', 'embed', 'encode', 'segment', 'compare', 'beast_demo')
LITPOSE = 'from lightning_pose.cli.main import main\nmain()'
# ends the process where the scan would decode its first frame
UNTIL_THE_FIRST_FRAME = f"""
import os
from beast_lp.video import scan
scan.scan_video = lambda *args, **kwargs: os._exit(1)
{LITPOSE}
"""
# starts that are refused, by what is wrong with them; the config's videos are missing
REFUSALS = {
    'pretrain, misspelt key': 'pretrain {config} --overrides beast.trainin=1',
    'pretrain, bad value': 'pretrain {config} --overrides beast.training.epochs=0',
    'pretrain, missing folder': 'pretrain {config}',
    'embed, missing video': 'embed pca nowhere.mp4',
    'embed, bad value': 'embed pca {config} --stride 0',
    'encode, missing features': 'encode {config} --features nowhere --spikes nowhere',
    'segment, misspelt key': 'segment train {config} --overrides beast.segmentation.labls=1',
    'segment, missing folder': 'segment train {config}',
    'compare, missing model': 'compare a=nowhere,b --labels nowhere.csv',
}


class Cost(NamedTuple):
    """Seconds that a process took."""

    cpu: float
    wall: float


def cost(command: Sequence[str | Path], fails: bool) -> Cost:
    """Run a process and measure it.

    Args:
        command: program and its arguments.
        fails: whether it ends with status 1.

    Raises:
        SystemExit: if it ends otherwise.
    """
    # with bytecode, as an installed package has it
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONDONTWRITEBYTECODE'}
    env |= {'PYTHONPATH': str(ROOT), 'HF_HUB_OFFLINE': '1'}
    with tempfile.TemporaryFile('w+') as output:
        begin = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != int(fails):
            output.seek(0)
            sys.exit(f'{command} ended with status {process.returncode}: {output.read()[-500:]}')
    return Cost(usage.ru_utime + usage.ru_stime, wall)


def litpose(words: str, program: str = LITPOSE) -> list[str | Path]:
    """Return the command that runs `litpose` on some arguments."""
    return [sys.executable, '-c', program, *words.split()]


def write_project(folder: Path) -> Path:
    """Write a project with one short video; return its config, whose videos are missing."""
    import av
    import numpy as np

    draw = np.random.default_rng(0)
    with av.open(str(folder / 'a.mp4'), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.width = stream.height = 64  # type: ignore[attr-defined]
        for _ in range(50):
            picture = draw.integers(0, 256, (64, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            container.mux(stream.encode(frame))  # type: ignore[attr-defined]
        container.mux(stream.encode())  # type: ignore[attr-defined]
    config = folder / 'config.yaml'
    config.write_text(
        f'data: {{data_dir: {folder}, video_dir: nowhere}}\nbeast: {{preset: laptop}}\n'
    )
    return config


def commands(config: Path) -> dict[str, tuple[list[str | Path], bool]]:
    """Return what is measured: the command of each row, and whether it ends with status 1."""
    rows: dict[str, tuple[list[str | Path], bool]] = {
        f'{name} --help': (litpose(f'{name} --help'), False)
        for name in ('train', 'predict', *COMMANDS)
    }
    rows |= {
        name: (litpose(words.format(config=config)), True) for name, words in REFUSALS.items()
    }
    for name, init in (('random', 'random'), ('a backbone', config.parent / 'backbone')):
        if init == 'random' or Path(init).exists():
            words = f'pretrain {config} --output_dir {config.parent / "out"} --overrides '
            words += f'data.video_dir={config.parent} beast.init={init}'
            rows[f'first frame, weights: {name}'] = (litpose(words, UNTIL_THE_FIRST_FRAME), True)
    return rows


def print_hook(repeats: int) -> None:
    """Measure and print what the hook adds to the start of every interpreter."""
    # The same start, with and without the one line of beast_lp.pth. `site` runs that line, so what
    # `site` imports is there by then; and any program imports something from a file, here
    # `keyword`, which sets up the import system.
    site = f'import os, site, sys, keyword; sys.path.insert(0, {str(ROOT)!r})'
    codes = {'without the hook': site, 'with the hook': f'{site}\n{PTH.read_text()}'}
    # an interpreter without site packages
    starts = {name: [sys.executable, '-S', '-c', code] for name, code in codes.items()}
    times: dict[str, list[float]] = {name: [] for name in starts}
    for command in starts.values():
        cost(command, False)
    for _ in range(repeats):
        for name, command in starts.items():
            times[name].append(1e3 * cost(command, False).wall)
    print(f'{"start of an interpreter":32} median ms   quartiles ms')
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f'{name:32} {middle:9.2f}   {low:.2f} - {high:.2f}')
    with_hook, without = (statistics.median(times[name]) for name in reversed(codes))
    print(f'{"difference":32} {with_hook - without:9.2f}')


def print_commands(repeats: int) -> None:
    """Measure and print the starts of the commands."""
    with tempfile.TemporaryDirectory() as folder:
        rows = commands(write_project(Path(folder)))
        costs: dict[str, list[Cost]] = {name: [] for name in rows}
        for number in range(repeats + 1):
            for name, (command, fails) in rows.items():
                measured = cost(command, fails)
                # the first one may write bytecode
                if number:
                    costs[name].append(measured)
    print(f'\n{"start of a command":32}     CPU s    clock s')
    for name, values in costs.items():
        cpu, wall = (statistics.median(column) for column in zip(*values, strict=True))
        print(f'{name:32} {cpu:9.2f}  {wall:9.2f}')


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=200, help='starts of an interpreter')
    parser.add_argument('--commands', type=int, default=5, help='starts of each command')
    args = parser.parse_args()
    if not PTH.exists():
        sys.exit(f'beast-lp is not installed here: {PTH} is missing')
    if args.repeats:
        print_hook(args.repeats)
    if args.commands:
        print_commands(args.commands)


if __name__ == '__main__':
    main()
