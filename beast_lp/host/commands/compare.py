"""`litpose compare`: pixel error by ensemble disagreement, for each backbone."""

import argparse
from pathlib import Path
from typing import Any

from beast_lp.host.arguments import add_output_dir, choose_output_dir, name_guides, parser_of
from beast_lp.host.waiting import wait_passively


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'compare',
        help='beast-lp: compare trained pose models',
        description='Compare trained pose models on labelled frames that none was trained on, as '
        'in the papers of Lightning Pose and BEAST. It draws one curve per backbone: the mean '
        'pixel error of the keypoints on which the models disagree by at least the value on the '
        'horizontal axis.\n\n'
        'example:\n'
        '  litpose compare beast=beast_seed0,beast_seed1 \\\n'
        '      resnet50=resnet_seed0,resnet_seed1 \\\n'
        '      --labels CollectedData_new.csv',
        usage='litpose compare NAME=DIR,DIR[,DIR]... --labels LABELS \\\n'
        '                      [--output_dir OUTPUT_DIR]',
    )
    parser.add_argument(
        'models',
        nargs='+',
        metavar='NAME=DIR,DIR',
        help='name of a backbone and the output directories of `litpose train` that used it, at '
        'least two that differ in their seed; a folder of such directories stands for all in it',
    )
    parser.add_argument(
        '--labels',
        type=Path,
        required=True,
        nargs='+',
        help='labelled frames that no model was trained on, in the layout of CollectedData.csv; '
        'for a multi-view project one file per view, in the order of data.view_names',
    )
    add_output_dir(parser, 'an interrupted comparison starts again from the beginning')
    name_guides(parser, 'comparing_backbones.md')
    return parser


get_parser = parser_of(register_parser)


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    wait_passively()
    from beast_lp.host.jobs.model_folders import check_labels, find_models

    models = find_models(args.models)
    check_labels(args.labels)
    # imported here because the host's models take seconds, and wrong paths are reported first
    from beast_lp.host.jobs.compare import compare

    compare(models, args.labels, choose_output_dir(args.output_dir))
