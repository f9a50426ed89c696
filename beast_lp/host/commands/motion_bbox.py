"""`litpose motion_bbox`: boxes around what moves, which need no model."""

import argparse
from pathlib import Path
from typing import Any

from lightning_pose.cli import types

from beast_lp.host.arguments import add_overrides, name_guides, parser_of
from beast_lp.host.waiting import wait_passively
from beast_lp.video.boxes import BOXES_DIR


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'motion_bbox',
        help='beast-lp: boxes around what moves, for crops',
        description='Find the animal in every frame of videos of a fixed camera, by what moves, '
        'and write boxes as `litpose create_bbox` does, without a model. Labelled frames get '
        'boxes, too, and are cropped to them, so that a pose model can be trained on crops. Boxes '
        'that are there already stay as they are.',
        usage='litpose motion_bbox <config_file> [<video>...] \\\n'
        '                      [--output_dir OUTPUT_DIR] \\\n'
        '                      [--overrides KEY=VALUE...]',
    )
    parser.add_argument(
        'config_file', type=types.config_file, help="path to the project's pose config"
    )
    parser.add_argument(
        'video',
        type=Path,
        nargs='*',
        help='video files or folders; without any, those of data.video_dir',
    )
    parser.add_argument(
        '--output_dir',
        type=Path,
        help=f'folder of the boxes (default: {BOXES_DIR}/ of the project)',
    )
    add_overrides(parser, 'data.csv_file=CollectedData.csv')
    name_guides(parser, 'small_animals.md')
    return parser


get_parser = parser_of(register_parser)


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    wait_passively()
    from beast_lp.host.compose import compose_config, data_dir, video_sources
    from beast_lp.video.read import find_videos

    cfg = compose_config(args.config_file, args.overrides or [])
    videos = find_videos(args.video or video_sources(cfg, None, 'data.video_dir'))
    # imported here because torch takes seconds, and mistakes are reported first
    from beast_lp.host.jobs.motion_bbox import motion_bbox

    directory = args.output_dir or data_dir(cfg) / BOXES_DIR
    motion_bbox(cfg, args.config_file, videos, directory.absolute())
