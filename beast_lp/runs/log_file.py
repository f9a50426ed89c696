"""The file `train.log` of a run: all that was logged and warned of, with the time.

Warnings come from the moment the command starts, before it is known which folder is its own; they
are kept until then.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

NAME = 'train.log'
# loggers of the package and the host, and of the libraries that warn through one
_LOGGERS = ('lightning_pose', 'lightning.pytorch', 'lightning.fabric')
_FORMAT = '%(asctime)s %(levelname)s %(message)s'
_TIME = '%Y-%m-%d %H:%M:%S'
# colours and bold letters of a terminal
_ESCAPES = re.compile(r'\x1b\[[0-9;]*m')
# what the host, and Lightning beneath it, say of every pose model that is opened and used
_ALWAYS = (
    'FutureWarning: `isinstance(treespec, LeafSpec)` is deprecated',
    'failed to load checkpoint with default settings',
    'attempting to load with weights_only=False',
)
_RECORD = re.compile(r'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ([A-Z]+) ')


class _Earlier(logging.Handler):
    """Keeps the warnings of a command until its run has a folder."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)


class _LastResort(logging.Handler):
    """Prints warnings where nobody else does.

    Python does so for loggers without any handler, which those of a log would end for a script
    that set up no logging.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record that has no handler but those of this module."""
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler not in _own for handler in logger.handlers):
                return
            logger = logger.parent if logger.propagate else None
        if logging.lastResort is not None:
            logging.lastResort.handle(record)


_earlier = _Earlier()
_last_resort = _LastResort(logging.WARNING)
# handlers that no person reads
_own: set[logging.Handler] = {_earlier, _last_resort}


def remember_warnings() -> None:
    """Begin a command: what is warned of from now on goes into the log of the run to come."""
    _earlier.records.clear()
    package = logging.getLogger(_LOGGERS[0])
    # adds none twice
    package.addHandler(_earlier)
    package.addHandler(_last_resort)


@contextmanager
def run_log(directory: Path) -> Iterator[None]:
    """Keep the log of a run in its directory, which is made where there is none.

    Args:
        directory: output directory of the run.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with logged_to(directory / NAME):
        yield


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Append what is logged and warned of in the block to a file, after earlier warnings.

    Logs may be nested: that of a stage within a command has what was warned of before the stage,
    and that of the command has everything.

    Args:
        path: file of the log, to which a resumed run appends.
    """
    handler = logging.FileHandler(path, encoding='utf-8', errors='backslashreplace', delay=True)
    handler.setFormatter(logging.Formatter(_FORMAT, _TIME))
    for record in _earlier.records:
        handler.emit(record)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for each in loggers:
        each.addHandler(handler)
    loggers[0].addHandler(_last_resort)
    _own.add(handler)
    try:
        with _warnings_to(handler):
            yield
    finally:
        for each in loggers:
            each.removeHandler(handler)
        _own.discard(handler)
        handler.close()
        # they are in this file, and no other run's
        _earlier.records.clear()


@contextmanager
def _warnings_to(handler: logging.Handler) -> Iterator[None]:
    """Hand Python's warnings to a handler too, beside showing them as before."""
    show = warnings.showwarning

    def log_and_show(message: Any, category: Any, *place: Any, **more: Any) -> None:
        text = f'{category.__name__}: {message}'
        handler.handle(logging.LogRecord('py.warnings', logging.WARNING, '', 0, text, None, None))
        show(message, category, *place, **more)

    warnings.showwarning = log_and_show
    try:
        yield
    finally:
        warnings.showwarning = show


def logged_warnings(path: Path) -> list[str]:
    """Return the warnings in the log of a run, each once, in order; none where there is no log.

    What is said of every pose model is left out; the log keeps it.

    Args:
        path: file of the log.
    """
    try:
        lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    except OSError:
        return []
    records: list[tuple[str, str]] = []
    for line in map(partial(_ESCAPES.sub, ''), lines):
        found = _RECORD.match(line)
        if found:
            records.append((found[1], line[found.end() :]))
        elif records:
            level, text = records[-1]
            records[-1] = level, f'{text}\n{line}'
    found = (text.removeprefix('beast: ') for level, text in records if level == 'WARNING')
    return [text for text in dict.fromkeys(found) if not text.startswith(_ALWAYS)]
