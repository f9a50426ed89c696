"""Cells of the table: each is computed once, whatever ends the run, and kept in a file."""

import json
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from beast_lp.runs.files import finished_file


class BusyError(Exception):
    """Another process computes this at the moment."""


@dataclass(frozen=True)
class Cell:
    """One score: a backbone on a task.

    Attributes:
        task: name.
        labels: labelled frames to train on; 0 where that does not vary.
        backbone: name.
        seed: of everything.
    """

    task: str
    labels: int
    backbone: str
    seed: int

    @property
    def name(self) -> str:
        """A name for files."""
        labels = f'_{self.labels}' if self.labels else ''
        return f'{self.task}{labels}_{self.backbone}_{self.seed}'


def result_file(directory: Path, cell: Cell) -> Path:
    """Return where the scores of a cell are kept once it is done."""
    return directory / 'cells' / f'{cell.name}.json'


@contextmanager
def claimed(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Keep other processes from computing the same.

    The lock is the operating system's: it ends with its process, however that ends.

    Args:
        path: of what is computed.
        patience: seconds to wait for another process.

    Raises:
        BusyError: if another process computes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f'{path.name}.lock'))
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise BusyError(path) from error
    try:
        yield
    finally:
        lock.release()


def run_cell(
    directory: Path,
    cell: Cell,
    compute: Callable[[Cell], dict[str, float]],
) -> dict[str, float] | None:
    """Compute a cell unless it is done.

    Args:
        directory: of the results.
        cell: to compute.
        compute: returns its scores.

    Returns:
        the scores; None if it failed, with the reason in a file beside the results.

    Raises:
        BusyError: if another process computes it, or the backbone that it needs.
    """
    file = result_file(directory, cell)
    failure = file.with_suffix('.error.txt')
    with claimed(file):
        if file.exists():
            return json.loads(file.read_text())['scores']
        start = time.perf_counter()
        try:
            scores = compute(cell)
        except BusyError:
            raise
        except Exception:
            failure.write_text(traceback.format_exc(), encoding='utf-8')
            return None
        seconds = time.perf_counter() - start
        with finished_file(file) as part:
            part.write_text(json.dumps({**asdict(cell), 'seconds': seconds, 'scores': scores}))
        failure.unlink(missing_ok=True)
        return scores


def run_all(
    directory: Path,
    cells: Iterable[Cell],
    compute: Callable[[Cell], dict[str, float]],
    report: Callable[[Cell, dict[str, float] | None], None],
    pause: float = 10.0,
) -> list[Cell]:
    """Compute all cells that are not done; those that another process has come last.

    Args:
        directory: of the results.
        cells: in the order in which they are wanted.
        compute: returns the scores of one.
        report: is told of each that ended here, with its scores; not of those that were done.
        pause: seconds to wait where all that is left is being computed elsewhere.

    Returns:
        those that failed; the next start repeats them.
    """
    left, failed = list(cells), []
    while left:
        busy = []
        for cell in left:
            if result_file(directory, cell).exists():
                continue
            try:
                scores = run_cell(directory, cell, compute)
            except BusyError:
                busy.append(cell)
                continue
            report(cell, scores)
            if scores is None:
                failed.append(cell)
        if len(busy) == len(left):
            time.sleep(pause)
        left = busy
    return failed


def read_results(
    directory: Path,
    better: dict[str, str],
    backbones: Sequence[str],
) -> pd.DataFrame:
    """Return a row per cell that is done, by task, labels, backbone and seed.

    Args:
        directory: of the results.
        better: for each task, whether `higher` or `lower` scores are; in the order wanted.
        backbones: in the order wanted.
    """
    rows = [json.loads(file.read_text()) for file in sorted((directory / 'cells').glob('*.json'))]
    tasks = list(better)
    rows.sort(
        key=lambda row: (
            tasks.index(row['task']),
            row['labels'],
            backbones.index(row['backbone']),
            row['seed'],
        )
    )
    return pd.DataFrame(
        [
            {
                **{name: row[name] for name in ('task', 'labels', 'backbone', 'seed')},
                'better': better[row['task']],
                **row['scores'],
                'seconds': round(row['seconds'], 1),
            }
            for row in rows
        ]
    )
