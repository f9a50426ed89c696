"""`litpose pretrain`: self-supervised pretraining on a project's videos."""

import argparse
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
from beast_lp.host.start import NO_SHARED_DIRECTORY
from beast_lp.host.waiting import wait_passively


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'pretrain',
        help='beast-lp: pretrain a backbone on unlabelled videos',
        description='Pretrain a ViT backbone on the videos of a Lightning Pose project (BEAST). '
        'Use the result as model.backbone_checkpoint with model.backbone: beast.',
        usage='litpose pretrain <config_file> [<config_file>...] \\\n'
        '                      [--output_dir OUTPUT_DIR] \\\n'
        '                      [--overrides KEY=VALUE...]\n'
        '       litpose pretrain [<config_file>] --setup_gui [PROJECT] \\\n'
        '                      [--overrides KEY=VALUE...]\n'
        '       litpose pretrain --report RUN RUN... [--output_dir OUTPUT_DIR]',
    )
    parser.add_argument(
        'config_file',
        type=types.config_file,
        nargs='*',
        help="path to the project's pose config; an optional `beast:` section in it holds the "
        'settings of this command. With several configs, one backbone is trained on the videos '
        'of all these projects, each project in equal share, by the settings of the first',
    )
    add_output_dir(parser)
    parser.add_argument(
        '--setup_gui',
        type=Path,
        nargs='?',
        const=True,
        metavar='PROJECT',
        help='do not pretrain now, but let the GUI (`litpose run_app`) do so for models with the '
        'backbone beast: write the `beast:` section into configs/default.yaml of this project '
        'folder (default: data.data_dir of the config)',
    )
    parser.add_argument(
        '--report',
        type=Path,
        nargs='+',
        metavar='RUN',
        help='do not pretrain, but lay two or more runs, finished or not, side by side on one '
        'page in --output_dir; the runs stay as they are',
    )
    add_overrides(parser, 'beast.training.epochs=100')
    name_guides(parser, 'existing_project.md')
    return parser


get_parser = parser_of(register_parser)


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    wait_passively()
    if args.setup_gui is not None:
        if args.report is not None:
            raise BeastError('--setup_gui and --report do different things; give one of them')
        _setup_gui(args)
        return
    if args.report is not None:
        _report(args)
        return
    if not args.config_file:
        raise BeastError('litpose pretrain needs a config file: litpose pretrain my_config.yaml')
    from beast_lp.host.jobs.pretrain import joint_config, run

    cfg = joint_config(args.config_file, args.overrides or [])
    if args.output_dir is None:
        from beast_lp.pretraining.launch import launched_processes

        if launched_processes() > 1:
            raise BeastError(NO_SHARED_DIRECTORY)
    run(cfg, choose_output_dir(args.output_dir), args.config_file[0])


def _report(args: argparse.Namespace) -> None:
    from beast_lp.reports.several_runs_read import report_runs

    if args.config_file or args.overrides:
        raise BeastError(
            '--report takes the output directories of runs, and no config file or --overrides'
        )
    report_runs(args.report, choose_output_dir(args.output_dir))


def _setup_gui(args: argparse.Namespace) -> None:
    from beast_lp.host.compose import compose_config, data_dir
    from beast_lp.host.gui import setup_gui

    if len(args.config_file) > 1 or args.output_dir is not None:
        raise BeastError(
            '--setup_gui takes one config file at most and no --output_dir; set the directory '
            'that models of the GUI share in beast.output_dir'
        )
    config_file = args.config_file[0] if args.config_file else None
    project = args.setup_gui
    if project is True:
        if config_file is None:
            raise BeastError('--setup_gui needs the folder of a project: --setup_gui my_project')
        project = data_dir(compose_config(config_file, []))
    setup_gui(project, config_file, args.overrides or [])
