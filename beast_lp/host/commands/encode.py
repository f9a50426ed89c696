"""`litpose encode`: how much of neural activity do features of the video explain?"""

import argparse
from typing import Any

from lightning_pose.cli import types

from beast_lp.host.arguments import (
    add_output_dir,
    add_overrides,
    choose_output_dir,
    name_guides,
)


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'encode',
        description='Predict neural activity from features of video, compare sources of features '
        'in one table of bits per spike beside controls, and draw a report.\n\n'
        'example:\n'
        '  litpose encode config.yaml --spikes spikes/session_01.npz \\\n'
        '      --features beast=features/ pca=frame_pca/ keypoints=model/video_preds/',
        usage='litpose encode <config_file> --features [NAME=]PATH[,PATH]... \\\n'
        '                      --spikes [SESSION=]PATH... \\\n'
        '                      [--output_dir OUTPUT_DIR] \\\n'
        '                      [--overrides KEY=VALUE...]',
    )
    parser.add_argument(
        'config_file',
        type=types.config_file,
        help="path to the project's pose config; an optional `beast:` section in it holds the "
        'settings of this command under `encoding:`',
    )
    parser.add_argument(
        '--features',
        nargs='+',
        metavar='[NAME=]PATH[,PATH]',
        help='one or more sources to compare: the output of `litpose embed` (for one video, or '
        'the folder of all), or predictions of `litpose predict` (.csv, or a folder of them); '
        'NAME=PATH,PATH puts several views side by side',
    )
    parser.add_argument(
        '--spikes',
        nargs='+',
        metavar='[SESSION=]PATH',
        help='one recording per session: an ALF folder, an .nwb file, or an .npz that holds '
        'spike_counts or traces (bins, neurons) and bin_width in s; a session is called like its '
        'video',
    )
    add_output_dir(parser)
    add_overrides(parser, '"beast.encoding.encoders=[rrr,tcn]"')
    name_guides(parser)
    return parser


def get_parser() -> argparse.ArgumentParser:
    """Return a parser for this command alone, for documentation."""
    parser = argparse.ArgumentParser(prog='litpose')
    return register_parser(parser.add_subparsers(dest='command'))


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    # late: these take seconds, and the command line imports every command
    from beast_lp.config import parse_config
    from beast_lp.encoding.sources import parse_named
    from beast_lp.host.compose import compose_config
    from beast_lp.host.jobs.encode import encode

    cfg = compose_config(args.config_file, args.overrides or [])
    config = parse_config(cfg.get('beast'))
    features = parse_named(args.features or as_list(config.encoding.features), 'features')
    spikes = parse_named(args.spikes or as_list(config.encoding.spikes), 'spikes')
    encode(config, spikes, features, choose_output_dir(args))


def as_list(value: object) -> list[str]:
    """Return a setting that may be one string, a list of them or absent as a list."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
