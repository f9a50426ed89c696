"""What several commands have alike: a directory for results, overrides, the last line of help."""

import argparse
import datetime
import logging
import os
from pathlib import Path

from lightning_pose.cli import types

from beast_lp.host.children import OUTPUT_DIR_VARIABLE

logger = logging.getLogger(f'lightning_pose.{__name__}')

# they are installed with the package
GUIDES = Path(__file__).parents[1] / 'guides'


def name_guides(parser: argparse.ArgumentParser) -> None:
    """End the help of a command with where our guides are; else the host names its own pages."""
    # the host's parser takes no `epilog` when it is made
    parser.epilog = f'guides, a page for each job:\n  {GUIDES}'


def add_output_dir(
    parser: argparse.ArgumentParser,
    interrupted: str = 'a run that was interrupted there is resumed',
) -> None:
    """Let a command take `--output_dir`, by default dated as the host's are.

    Args:
        parser: of the command.
        interrupted: what becomes of a run that was interrupted, for the help.
    """
    parser.add_argument(
        '--output_dir',
        type=types.model_dir,
        help=f'directory of the results; {interrupted}.\n'
        'If not specified, defaults to ./outputs/{YYYY-MM-DD}/{HH-MM-SS}/',
    )


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    """Let a command take `--overrides`."""
    parser.add_argument(
        '--overrides',
        nargs='*',
        metavar='KEY=VALUE',
        help=f'overrides settings of the config file, for example {example}; a key that the file '
        'lacks may be given too',
    )


def choose_output_dir(args: argparse.Namespace) -> Path:
    """Return the absolute path of the directory for results, and say which it is."""
    now = datetime.datetime.now()
    dated = Path('outputs', now.strftime('%Y-%m-%d/%H-%M-%S'))
    chosen = args.output_dir or Path(os.environ.get(OUTPUT_DIR_VARIABLE) or dated)
    logger.info(f'output directory: {chosen.absolute()}')
    return chosen.absolute()
