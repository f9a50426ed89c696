"""`litpose encode`: predict neural activity from features of video."""

import argparse
from typing import Any

from lightning_pose.cli import types

from beast_lp.host.arguments import (
    add_output_dir,
    add_overrides,
    choose_output_dir,
    name_guides,
    parser_of,
)
from beast_lp.host.waiting import wait_passively


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'encode',
        help='beast-lp: predict neural activity from features',
        description='Predict neural activity from features of video, compare sources of features '
        'in one table of bits per spike with controls, and draw a report.\n\n'
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
        'the folder of all), keypoints of `litpose predict`, DeepLabCut or SLEAP (.csv, .h5, '
        '.slp, or a folder of them), or a table with a name for each column (.npy, .csv, .tsv, '
        '.parquet, .h5); NAME=PATH,PATH puts several views side by side',
    )
    parser.add_argument(
        '--spikes',
        nargs='+',
        metavar='[SESSION=]PATH[,PATH]',
        help='one recording per session: a folder of ALF, phy or suite2p, an .nwb file, or an '
        '.npz that holds spike_counts or traces (bins, neurons) and bin_width in s; PATH,PATH '
        'joins several probes; a session has the name of its video',
    )
    add_output_dir(parser)
    add_overrides(parser, '"beast.encoding.encoders=[rrr,tcn]"')
    name_guides(parser, 'spikes_and_behaviour.md')
    return parser


get_parser = parser_of(register_parser)


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    wait_passively()
    from beast_lp.host.compose import compose_config
    from beast_lp.host.jobs.encode import encode, named_inputs

    cfg = compose_config(args.config_file, args.overrides or [])
    config, spikes, features = named_inputs(cfg, args.spikes or [], args.features or [])
    encode(config, spikes, features, choose_output_dir(args.output_dir))
