"""Options that several commands share: `--output_dir`, `--overrides`, the end of the help."""

import argparse
import datetime
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning_pose.cli import types

from beast_lp.host.start import OUTPUT_DIR_VARIABLE

logger = logging.getLogger(f'lightning_pose.{__name__}')

# installed with the package
GUIDES = Path(__file__).parents[1] / 'guides'


def name_guides(parser: argparse.ArgumentParser, page: str) -> None:
    """Name a command's guide at the end of its help, in place of the host's own pages.

    Args:
        parser: parser of the command.
        page: file of the guide.
    """
    # set afterwards: the host's parser takes no `epilog`
    parser.epilog = f'guide:\n  {GUIDES / page}'


def add_output_dir(
    parser: argparse.ArgumentParser,
    interrupted: str = 'a run that was interrupted there is resumed',
) -> None:
    """Add the option `--output_dir`, dated by default as in the host's commands.

    Args:
        parser: parser of the command.
        interrupted: what happens to an interrupted run, for the help.
    """
    parser.add_argument(
        '--output_dir',
        type=types.model_dir,
        help=f'directory of the results; {interrupted}.\n'
        'If not specified, defaults to ./outputs/{YYYY-MM-DD}/{HH-MM-SS}/',
    )


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the option `--overrides`.

    Args:
        parser: parser of the command.
        example: an override, for the help.
    """
    parser.add_argument(
        '--overrides',
        nargs='*',
        metavar='KEY=VALUE',
        help=f'overrides settings of the config file, for example {example}; a key that the file '
        'lacks may be given too',
    )


def choose_output_dir(given: Path | None) -> Path:
    """Return the absolute path of the output directory, and log it.

    Args:
        given: value of `--output_dir`, if there is one.

    Raises:
        BeastError: if no folder can be made there.
    """
    # imported here because omegaconf takes longer than a look at the options
    from beast_lp.runs.directory import check_output_dir

    now = datetime.datetime.now()
    dated = Path('outputs', now.strftime('%Y-%m-%d/%H-%M-%S'))
    chosen = given or Path(os.environ.get(OUTPUT_DIR_VARIABLE) or dated)
    logger.info(f'beast: output directory: {chosen.absolute()}')
    check_output_dir(chosen.absolute())
    return chosen.absolute()


def parser_of(
    register_parser: Callable[[Any], argparse.ArgumentParser],
) -> Callable[[], argparse.ArgumentParser]:
    """Return the `get_parser` of a command module, which the host's contract asks for.

    Args:
        register_parser: the module's function that adds the command to a parser.

    Returns:
        a function that returns the parser of this command alone, for documentation and tests.
    """

    def get_parser() -> argparse.ArgumentParser:
        """Return a parser for this command alone."""
        parser = argparse.ArgumentParser(prog='litpose')
        return register_parser(parser.add_subparsers(dest='command'))

    return get_parser
