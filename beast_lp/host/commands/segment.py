"""`litpose segment`: predict the behaviour in every frame, from a few scored videos."""

import argparse
import math
from datetime import datetime
from pathlib import Path
from typing import Any

from lightning_pose.cli import types

from beast_lp.errors import BeastError
from beast_lp.host.arguments import (
    add_output_dir,
    add_overrides,
    choose_output_dir,
    name_guides,
    parser_of,
)
from beast_lp.host.waiting import wait_passively

_GUIDE = 'spikes_and_behaviour.md'
_ACTIONS = {
    'train': 'train on scored videos, and score the held-out part',
    'predict': 'label every frame of any videos with trained models',
    'evaluate': 'score trained models on videos that they were not trained on',
}
_USAGE = (
    'litpose segment train <config_file> [--output_dir OUTPUT_DIR] \\\n'
    '                      [--overrides KEY=VALUE...]\n'
    '       litpose segment predict <config_file> --model_dir MODEL_DIR \\\n'
    '                      [--videos VIDEO...] [--output_dir OUTPUT_DIR] \\\n'
    '                      [--clip_seconds S] [--nwb [--session_start_time TIME]] \\\n'
    '                      [--lightning_action] \\\n'
    '                      [--overrides KEY=VALUE...]\n'
    '       litpose segment evaluate <config_file> --model_dir MODEL_DIR \\\n'
    '                      [--videos VIDEO...] [--output_dir OUTPUT_DIR] \\\n'
    '                      [--overrides KEY=VALUE...]'
)
_EXAMPLES = {
    'train': 'beast.segmentation.fitting.epochs=100',
    'predict': 'beast.segmentation.decoding.method=viterbi',
    'evaluate': 'beast.segmentation.decoding.method=viterbi',
}
# option -> the actions that take it, for options that not every action takes
_ACTIONS_WITH = {
    'model_dir': ('predict', 'evaluate'),
    'videos': ('predict', 'evaluate'),
    'clip_seconds': ('predict',),
    'nwb': ('predict',),
    'session_start_time': ('predict',),
    'lightning_action': ('predict',),
}


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'segment',
        help='beast-lp: learn behaviour and predict it',
        description='Learn behaviour from a few scored videos and predict it for every frame of '
        'others (action segmentation). The settings are in the `beast: segmentation:` section of '
        'the config. For predict and evaluate, it may give new places of labels and features and '
        'a new decoding of probabilities into labels; all else comes from the training run.',
        usage=_USAGE,
    )
    # `litpose segment`, or our name for it where the host has a command of that name
    program = f'litpose {parser.prog.split()[-1]}'
    actions = parser.add_subparsers(
        dest='action', required=True, metavar='action', prog=program, help='what to do:'
    )
    for action, words in _ACTIONS.items():
        usage = _usage_of(action).replace('litpose segment', program)
        _add_options(
            actions.add_parser(action, help=words, description=_sentence(words), usage=usage),
            action,
        )
    name_guides(parser, _GUIDE)
    return parser


def _add_options(parser: argparse.ArgumentParser, action: str) -> None:
    """Add all options, of which those of other actions are hidden and refused in a sentence."""

    def add(name: str, words: str, **options: Any) -> None:
        shown = action in _ACTIONS_WITH[name]
        parser.add_argument(f'--{name}', help=words if shown else argparse.SUPPRESS, **options)

    parser.add_argument(
        'config_file',
        type=types.config_file,
        help="path to the project's pose config",
    )
    add_output_dir(parser)
    add('model_dir', 'output directory of `litpose segment train`', type=Path)
    add(
        'videos',
        'video files or folders; without them, the videos of the config',
        nargs='*',
        type=Path,
        default=[],
    )
    add(
        'clip_seconds',
        'also write a clip of this length of each video, with the labels drawn in, where its '
        'behaviour changes most',
        type=float,
        default=0.0,
    )
    add('nwb', 'also write bouts as NWB (ndx-ethogram)', action='store_true')
    add(
        'session_start_time',
        'start of the recording for --nwb, such as 2026-03-14T15:09:26+01:00; without it the file '
        'says that it is unknown',
        type=_iso_time,
        metavar='TIME',
    )
    add(
        'lightning_action',
        'also write features and labels as lightning-action reads them',
        action='store_true',
    )
    add_overrides(parser, _EXAMPLES[action])
    name_guides(parser, _GUIDE)


def _usage_of(action: str) -> str:
    """Return the lines of the usage that are about one action."""
    start = _USAGE.index(f'litpose segment {action}')
    return _USAGE[start:].partition('\n       litpose')[0]


def _sentence(words: str) -> str:
    return f'{words[0].upper()}{words[1:]}.'


get_parser = parser_of(register_parser)


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    wait_passively()
    _check_options(args)
    from beast_lp.host.compose import compose_config
    from beast_lp.host.jobs.segment_inputs import check_inputs

    cfg = compose_config(args.config_file, args.overrides or [])
    model_dir = args.model_dir and args.model_dir.absolute()
    check_inputs(cfg, args.action, args.videos, model_dir)
    output_dir = choose_output_dir(args.output_dir)
    # imported here because torch takes seconds, and mistakes in the config are reported first
    from beast_lp.host.jobs import segment

    if args.action == 'train':
        segment.train(cfg, output_dir, args.config_file)
    elif args.action == 'evaluate':
        segment.evaluate(cfg, model_dir, output_dir, args.videos)
    else:
        segment.predict(
            cfg,
            model_dir,
            output_dir,
            args.videos,
            args.clip_seconds,
            args.nwb,
            args.lightning_action,
            args.session_start_time,
        )


def _iso_time(text: str) -> datetime:
    """Read a date and a time as ISO 8601 writes them.

    Args:
        text: such as 2026-03-14T15:09:26+01:00.
    """
    try:
        return datetime.fromisoformat(text.strip().replace('Z', '+00:00'))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f'expected a time such as 2026-03-14T15:09:26+01:00, found {text!r}'
        ) from error


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options that the action does not take, and ask for one that it needs.

    Raises:
        BeastError: naming the option.
    """
    for name, actions in _ACTIONS_WITH.items():
        if getattr(args, name) and args.action not in actions:
            raise BeastError(
                f'--{name} is for `litpose segment {" or ".join(actions)}`, found {args.action}; '
                'leave it out'
            )
    if not 0 <= args.clip_seconds < math.inf:
        raise BeastError(
            f'--clip_seconds must be at least 0 and finite, found {args.clip_seconds:g}'
        )
    if args.session_start_time is not None and not args.nwb:
        raise BeastError('--session_start_time is for --nwb; add that, or leave it out')
    if args.action != 'train' and args.model_dir is None:
        raise BeastError(
            f'litpose segment {args.action} needs --model_dir, the output directory of `litpose '
            'segment train`'
        )
