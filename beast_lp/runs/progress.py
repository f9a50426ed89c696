"""How far a long piece of work is: a bar on a terminal, elsewhere a line a minute.

A bar is drawn anew many times a second. In the log of a Slurm job or of `nohup` each of them stays
as a line, and the warnings drown among them.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from tqdm import tqdm

from beast_lp.runs.words import duration

logger = logging.getLogger(f'lightning_pose.{__name__}')

# seconds between two lines
LINE_SECONDS = 60.0

Item = TypeVar('Item')


class Bar(Protocol):
    """What the worker of a piece of work calls."""

    def update(self, n: int = 1) -> object:
        """Count units that are done."""
        ...


def is_terminal() -> bool:
    """Return whether a person watches the output, so that a bar may be drawn."""
    return sys.stderr is not None and sys.stderr.isatty()


def progress_bar(
    items: Iterable[Item] = (),
    *,
    desc: str,
    unit: str,
    total: int | None,
    disable: bool = False,
    initial: int = 0,
) -> 'tqdm[Item] | ProgressLines[Item]':
    """Return a bar of a piece of work, or what says the same in lines where nobody watches.

    Iterate over it, or call its `update` once for each unit; use it as a context, or `close` it.
    `set_postfix_str` says what the present unit is, or how it goes.

    Args:
        items: what to iterate over.
        desc: name of the work.
        unit: noun for a unit of it, singular.
        total: number of units; None where it is not known.
        disable: show nothing.
        initial: units that an earlier run did.
    """
    if is_terminal():
        return tqdm(items, desc=desc, unit=unit, total=total, disable=disable, initial=initial)
    return ProgressLines(items, desc, unit, total, disable, initial)


class ProgressLines(Generic[Item]):
    """The part of tqdm's interface that is used here, which logs a line at most once a minute."""

    def __init__(
        self,
        items: Iterable[Item],
        desc: str,
        unit: str,
        total: int | None,
        disable: bool = False,
        initial: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin a piece of work.

        Args:
            items: what to iterate over.
            desc: name of the work.
            unit: noun for a unit of it, singular.
            total: number of units; None where it is not known.
            disable: log nothing.
            initial: units that an earlier run did.
            clock: seconds that have passed, for tests.
        """
        self.n, self.total = initial, total
        self._initial, self._postfix = initial, ''
        self._items, self._desc, self._unit = items, desc, unit
        self._disable, self._clock = disable, clock
        self._start = self._said = clock()

    def __iter__(self) -> Iterator[Item]:
        """Yield the items, each of which is a unit."""
        for item in self._items:
            yield item
            self.update()

    def __enter__(self) -> 'ProgressLines[Item]':
        """Return the object itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the work."""
        self.close()

    def update(self, n: int = 1) -> None:
        """Count units that are done, and log a line if it is time."""
        self.n += n
        now = self._clock()
        if self._disable or now - self._said < LINE_SECONDS:
            return
        self._said = now
        of, left = '', ''
        if self.total and self.n <= self.total:
            seconds = (now - self._start) / max(self.n - self._initial, 1) * (self.total - self.n)
            of, left = f' of {self.total}', f', about {duration(seconds)} left'
        postfix = f' ({self._postfix})' if self._postfix else ''
        logger.info(f'beast: {self._desc}: {self.n}{of} {self._unit}s{left}{postfix}')

    def set_postfix_str(self, s: str = '') -> None:
        """Set what the next lines end with.

        Args:
            s: what the present unit is, or how it goes.
        """
        self._postfix = s

    def close(self) -> None:
        """End the work; a line of its own would say nothing new."""
