"""What the benchmarks share: data, child processes and what they used, measures, their table.

The standard library alone, since the peak memory that Linux reports for a child is at least that
of the process that started it.
"""

import csv
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ONE_THREAD = {name: '1' for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')}
# real recordings lie beside the checkout; they are not part of the repository
DATA = Path(os.environ.get('BEAST_LP_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
NO_GPU = {'CUDA_VISIBLE_DEVICES': ''}


class BenchmarkError(Exception):
    """A measure that cannot be taken, in one sentence."""


@dataclass(frozen=True)
class Child:
    """What a child process took: seconds, MB at its peak, and what it printed."""

    wall: float
    cpu: float
    peak: float
    output: str

    @property
    def result(self) -> dict[str, Any]:
        """The last line, as JSON."""
        return json.loads(self.output.splitlines()[-1])


@dataclass
class Measure:
    """A row of the table.

    Attributes:
        name: with the unit.
        ours: one value per repeat.
        theirs: likewise, in the order of ours; empty where there is nothing to compare with.
        higher_is_better: which way the ratio goes.
        least_ratio: the target for the ratio, theirs / ours or the inverse.
        most: the target for our value itself.
    """

    name: str
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    higher_is_better: bool = False
    least_ratio: float | None = None
    most: float | None = None

    @property
    def ratios(self) -> list[float]:
        """By which factor ours is better, in each repeat."""
        return [
            ours / theirs if self.higher_is_better else theirs / ours
            for ours, theirs in zip(self.ours, self.theirs, strict=bool(self.theirs))
        ]

    @property
    def target(self) -> str:
        """The target in words."""
        if self.least_ratio is not None:
            return f'at least {self.least_ratio:g} times'
        return '' if self.most is None else f'at most {self.most:g}'

    @property
    def met(self) -> str:
        """Whether the target is met, as far as that was measured."""
        if self.least_ratio is not None and self.theirs:
            return 'yes' if statistics.median(self.ratios) >= self.least_ratio else 'NO'
        if self.most is not None:
            return 'yes' if statistics.median(self.ours) <= self.most else 'NO'
        return ''


def run_child(command: Sequence[str | Path], extra: dict[str, str]) -> Child:
    """Run a process and read what it used from the system's accounts.

    Raises:
        BenchmarkError: if it fails.
    """
    with tempfile.TemporaryFile('w+') as output, tempfile.TemporaryFile('w+') as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=errors,
            env={**os.environ, **NO_GPU, **extra},
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise BenchmarkError(
                f'{" ".join(str(part) for part in command[:4])} ... failed with status '
                f'{process.returncode}: {" ".join(errors.read().splitlines()[-3:])}'
            )
        # kilobytes on Linux, bytes on macOS
        unit = 1e6 if sys.platform == 'darwin' else 1e3
        return Child(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit, output.read())


def note(text: str) -> None:
    """Say on stderr what is going on."""
    print(text, file=sys.stderr)


def spread(values: Sequence[float]) -> str:
    """Write a median and, of several values, the range."""
    if not values:
        return ''
    middle = f'{statistics.median(values):.3g}'
    if len(values) == 1:
        return middle
    return f'{middle} ({min(values):.3g} - {max(values):.3g})'


def table(measures: Sequence[Measure]) -> str:
    """Write the table as Markdown."""
    rows = [
        ['measure', 'theirs', 'ours', 'ours better by', 'target', 'met'],
        ['---'] * 6,
        *(
            [
                item.name,
                spread(item.theirs),
                spread(item.ours),
                spread(item.ratios),
                item.target,
                item.met,
            ]
            for item in measures
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return '\n'.join(
        '| '
        + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        + ' |'
        for row in rows
    )


def write_csv(path: Path, measures: Sequence[Measure]) -> None:
    """Write every single value: one row per measure, side (or `ratio` of the two) and repeat."""
    temporary = path.with_name(path.name + '.tmp')
    with temporary.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['measure', 'side', 'repeat', 'value', 'target', 'met'])
        for item in measures:
            sides = {'theirs': item.theirs, 'ours': item.ours, 'ratio': item.ratios}
            for side, values in sides.items():
                for repeat, value in enumerate(values):
                    writer.writerow([item.name, side, repeat, value, item.target, item.met])
    temporary.replace(path)


def machine() -> str:
    """Describe the machine and how busy it is."""
    name = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith('model name')]
        name = models[0].split(':')[1].strip() if models else name
    now = datetime.datetime.now().astimezone().isoformat(' ', 'minutes')
    return f'{name}, {os.cpu_count()} cores, {load()} at the start, {now}'


def load() -> str:
    """Tell how many processes wanted to run in the last 1, 5 and 15 minutes."""
    return 'load ' + ', '.join(f'{value:.2f}' for value in os.getloadavg())
