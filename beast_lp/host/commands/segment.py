"""`litpose segment`: behaviour of every frame, learned from a few scored videos."""

import argparse
import logging
from pathlib import Path
from typing import Any

from lightning_pose.cli import types

from beast_lp.errors import BeastError
from beast_lp.host.arguments import (
    add_output_dir,
    add_overrides,
    choose_output_dir,
    name_guides,
)

logger = logging.getLogger(f'lightning_pose.{__name__}')

# the options that not every action has
_ACTIONS_WITH = {
    'model_dir': ('predict', 'evaluate'),
    'videos': ('predict', 'evaluate'),
    'clip_seconds': ('predict',),
    'nwb': ('predict',),
    'lightning_action': ('predict',),
}


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'segment',
        description='Learn behaviour from a few scored videos and predict it for every frame of '
        'others (action segmentation). The settings are in the `beast: segmentation:` section of '
        'the config; predict and evaluate take from it where labels and features are and how '
        'probabilities become labels (decoding), and what it leaves out as it was in training.',
        usage='litpose segment train <config_file> [--output_dir OUTPUT_DIR] \\\n'
        '                      [--overrides KEY=VALUE...]\n'
        '       litpose segment predict <config_file> --model_dir MODEL_DIR \\\n'
        '                      [--videos VIDEO...] [--output_dir OUTPUT_DIR] \\\n'
        '                      [--clip_seconds S] [--nwb] [--lightning_action] \\\n'
        '                      [--overrides KEY=VALUE...]\n'
        '       litpose segment evaluate <config_file> --model_dir MODEL_DIR \\\n'
        '                      [--videos VIDEO...] [--output_dir OUTPUT_DIR] \\\n'
        '                      [--overrides KEY=VALUE...]',
    )
    parser.add_argument(
        'action',
        choices=('train', 'predict', 'evaluate'),
        help='train: on scored videos, with scores of what is held out; predict: any videos; '
        'evaluate: on scored videos that were not trained on',
    )
    parser.add_argument(
        'config_file',
        type=types.config_file,
        help="path to the project's pose config",
    )
    add_output_dir(parser)
    parser.add_argument(
        '--model_dir',
        type=Path,
        help='predict, evaluate: output directory of `litpose segment train`',
    )
    parser.add_argument(
        '--videos',
        nargs='*',
        type=Path,
        default=[],
        help='predict, evaluate: video files or folders; without them, the videos of the config',
    )
    parser.add_argument(
        '--clip_seconds',
        type=float,
        default=0.0,
        help='predict: also write the busiest piece of each video, so long, with labels in it',
    )
    parser.add_argument(
        '--nwb',
        action='store_true',
        help='predict: also write bouts as NWB (ndx-ethogram)',
    )
    parser.add_argument(
        '--lightning_action',
        action='store_true',
        help='predict: also write features and labels as lightning-action reads them',
    )
    add_overrides(
        parser,
        'beast.segmentation.fitting.epochs=100 (train) or '
        'beast.segmentation.decoding.method=viterbi (all three)',
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
    from beast_lp.host.compose import compose_config
    from beast_lp.host.jobs import segment

    for name, actions in _ACTIONS_WITH.items():
        if getattr(args, name) and args.action not in actions:
            raise BeastError(
                f'--{name} is for `litpose segment {" or ".join(actions)}`, found {args.action}; '
                'leave it out'
            )
    if args.action != 'train' and args.model_dir is None:
        raise BeastError(
            f'litpose segment {args.action} needs --model_dir, the output directory of `litpose '
            'segment train`'
        )
    cfg = compose_config(args.config_file, args.overrides or [])
    output_dir = choose_output_dir(args)
    if args.action == 'predict':
        segment.predict(
            cfg,
            args.model_dir.absolute(),
            output_dir,
            args.videos,
            args.clip_seconds,
            args.nwb,
            args.lightning_action,
        )
    elif args.action == 'evaluate':
        outcome = segment.evaluate(cfg, args.model_dir.absolute(), output_dir, args.videos)
        _log_scores(outcome)
    else:
        outcome = segment.train(cfg, output_dir)
        _log_scores(outcome)
        logger.info(
            f'  predict with   litpose segment predict {args.config_file} '
            f'--model_dir {output_dir} --videos ...'
        )
    logger.info(f'  look at        {output_dir / "report.html"}')


def _log_scores(outcome: Any) -> None:
    if outcome.scores is not None:
        logger.info(
            'beast: scores of what was held out\n'
            + outcome.scores.summary.round(3).to_string(index=False)
        )
