"""`litpose compare`: pixel error against ensemble disagreement, backbone by backbone."""

import argparse
import logging
from pathlib import Path
from typing import Any

from beast_lp.host.arguments import add_output_dir, choose_output_dir, name_guides

logger = logging.getLogger(f'lightning_pose.{__name__}')


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'compare',
        description='Compare trained pose models on labelled frames that none was trained on, as '
        'in the papers of Lightning Pose and BEAST. It draws a curve per backbone: the mean pixel '
        'error of those keypoints whose predictions spread, from model to model, by at least the '
        'value on the horizontal axis.\n\n'
        'example:\n'
        '  litpose compare beast=beast_seed0,beast_seed1 \\\n'
        '      resnet50=resnet_seed0,resnet_seed1 \\\n'
        '      --labels CollectedData_new.csv',
        usage='litpose compare NAME=DIR,DIR[,DIR]... --labels LABELS \\\n'
        '                      [--output_dir OUTPUT_DIR] [--own_ensemble]',
    )
    parser.add_argument(
        'models',
        nargs='+',
        metavar='NAME=DIR,DIR',
        help='a backbone and the output directories of `litpose train` that used it, at least two '
        'that differ by their seed; a folder of such directories stands for all in it',
    )
    parser.add_argument(
        '--labels',
        type=Path,
        required=True,
        nargs='+',
        help='labelled frames that no model was trained on, in the layout of CollectedData.csv; '
        'for a multi-view project one file for each view, in the order of data.view_names',
    )
    parser.add_argument(
        '--own_ensemble',
        action='store_true',
        help='sort keypoints by the disagreement among the models of each backbone; by default it '
        'is that of all models, so that all backbones are compared on the same keypoints',
    )
    add_output_dir(parser, 'a comparison that was interrupted there predicts everything again')
    name_guides(parser)
    return parser


def get_parser() -> argparse.ArgumentParser:
    """Return a parser for this command alone, for documentation."""
    parser = argparse.ArgumentParser(prog='litpose')
    return register_parser(parser.add_subparsers(dest='command'))


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    # late: these take seconds, and the command line imports every command
    from beast_lp.host.jobs.compare import compare
    from beast_lp.host.jobs.compared_models import find_models

    models = find_models(args.models)
    page = compare(models, args.labels, choose_output_dir(args), pooled=not args.own_ensemble)
    logger.info(f'  look at        {page}')
