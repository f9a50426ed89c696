"""`litpose beast_demo`: every stage on a small synthetic project."""

import argparse
from pathlib import Path
from typing import Any

from beast_lp.host.arguments import name_guides, parser_of
from beast_lp.host.waiting import wait_passively


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'beast_demo',
        help='beast-lp: all stages on a drawn project',
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
        help='a demo of one minute that checks an installation; too small to learn anything',
    )
    name_guides(parser, 'existing_project.md')
    return parser


get_parser = parser_of(register_parser)


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    wait_passively()
    from beast_lp.demo import FULL, TINY
    from beast_lp.runs.directory import check_output_dir

    check_output_dir(args.output_dir.absolute())
    # imported here because the host's models take seconds, and a wrong path is reported first
    from beast_lp.host.jobs.beast_demo import run_demo

    run_demo(args.output_dir.absolute(), TINY if args.tiny else FULL)
