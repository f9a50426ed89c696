"""`litpose beast_demo`: the whole main job on a small synthetic lab."""

import argparse
from pathlib import Path
from typing import Any

from beast_lp.host.arguments import name_guides


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'beast_demo',
        description='Write a small Lightning Pose project with known truth (a drawn animal, its '
        'keypoints, behaviour and simulated neurons), pretrain a backbone on its videos, train a '
        'pose model, predict the neurons and learn the behaviour with it. Takes a quarter of an '
        'hour on two CPU cores; an interrupted demo is resumed.',
        usage='litpose beast_demo [--output_dir OUTPUT_DIR] [--tiny]',
    )
    parser.add_argument(
        '--output_dir',
        type=Path,
        default=Path('beast_demo'),
        help='directory of the demo (default: ./beast_demo)',
    )
    parser.add_argument(
        '--tiny',
        action='store_true',
        help='a demo of a minute, too small to learn anything: checks an installation',
    )
    name_guides(parser)
    return parser


def get_parser() -> argparse.ArgumentParser:
    """Return a parser for this command alone, for documentation."""
    parser = argparse.ArgumentParser(prog='litpose')
    return register_parser(parser.add_subparsers(dest='command'))


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    # late: these take seconds, and the command line imports every command
    from beast_lp.demo import FULL, TINY
    from beast_lp.host.jobs.beast_demo import run_demo

    run_demo(args.output_dir.absolute(), TINY if args.tiny else FULL)
