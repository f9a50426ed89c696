"""`litpose suggest_frames`: visually distinct frames to label, in the host's GUI."""

import argparse
from typing import Any

from lightning_pose.cli import types

from beast_lp.errors import BeastError
from beast_lp.host.arguments import add_overrides, name_guides, parser_of
from beast_lp.host.waiting import wait_passively

MOST_FRAMES = 100_000


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'suggest_frames',
        help='beast-lp: choose distinct frames to label',
        description='Choose frames to label that look as different as can be, as pretraining '
        'chooses its anchors, and write them into labeled-data/ of the project. The GUI (`litpose '
        'run_app`) then asks for their labels. Labels and pictures that are there already stay as '
        'they are.',
        usage='litpose suggest_frames <config_file> [--count N] \\\n'
        '                      [--overrides KEY=VALUE...]',
    )
    parser.add_argument(
        'config_file',
        type=types.config_file,
        help="path to the project's pose config; the frames come from the videos in its "
        'data.video_dir',
    )
    parser.add_argument(
        '--count',
        type=int,
        default=100,
        help='frames to write, shared among the videos by their length (default: %(default)s)',
    )
    add_overrides(parser, 'data.video_dir=new_videos')
    name_guides(parser, 'existing_project.md')
    return parser


get_parser = parser_of(register_parser)


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    wait_passively()
    if not 1 <= args.count <= MOST_FRAMES:
        raise BeastError(f'--count must be between 1 and {MOST_FRAMES}, found {args.count}')
    from beast_lp.host.compose import compose_config
    from beast_lp.host.jobs.suggest_frames import suggest_frames

    suggest_frames(compose_config(args.config_file, args.overrides or []), args.count)
