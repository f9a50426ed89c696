"""The section of a report that repeats what the run warned of."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten

from beast_lp.reports.page import Section
from beast_lp.runs.log_file import NAME, logged_warnings

# characters of a warning: those of libraries can be pages
_LONGEST = 300


def warnings_of(output_dir: Path) -> Iterator[Section]:
    """Repeat the warnings in the log of a run; nothing where there are none.

    Args:
        output_dir: folder of the run.
    """
    yield from warnings_section(logged_warnings(output_dir / NAME))


def warnings_section(warnings: Sequence[str]) -> Iterator[Section]:
    """Repeat warnings, which a log may hide; nothing where there are none.

    Args:
        warnings: sentences.
    """
    if warnings:
        text = f'These are in {NAME}, too, with the time and in full.'
        found = [(False, shorten(words, _LONGEST, placeholder=' …')) for words in warnings]
        yield Section('Warnings', text, findings=found)
