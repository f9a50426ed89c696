"""`litpose pretrain`: self-supervised pretraining on a project's videos."""

import argparse
import logging
from pathlib import Path
from typing import Any

from lightning_pose.cli import types

from beast_lp.host.arguments import (
    add_output_dir,
    add_overrides,
    choose_output_dir,
    name_guides,
)

logger = logging.getLogger(f'lightning_pose.{__name__}')


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'pretrain',
        description='Pretrain a ViT backbone on the videos of a Lightning Pose project (BEAST). '
        'Use the result as model.backbone_checkpoint with model.backbone: beast.',
        usage='litpose pretrain <config_file> [<config_file>...] \\\n'
        '                      [--output_dir OUTPUT_DIR] \\\n'
        '                      [--overrides KEY=VALUE...]\n'
        '       litpose pretrain [<config_file>] --setup_gui [PROJECT] \\\n'
        '                      [--overrides KEY=VALUE...]',
    )
    parser.add_argument(
        'config_file',
        type=types.config_file,
        nargs='*',
        help="path to the project's pose config; an optional `beast:` section in it holds the "
        'settings of this command. With several configs, the videos of all projects are trained '
        'on together, each project in equal share, by the settings of the first',
    )
    add_output_dir(parser)
    parser.add_argument(
        '--setup_gui',
        type=Path,
        nargs='?',
        const=True,
        metavar='PROJECT',
        help='instead of pretraining now, make the GUI (`litpose run_app`) do so for models with '
        'the backbone beast: write the `beast:` section into configs/default.yaml of this project '
        'folder (default: data.data_dir of the config)',
    )
    add_overrides(parser, 'beast.training.epochs=100')
    name_guides(parser)
    return parser


def get_parser() -> argparse.ArgumentParser:
    """Return a parser for this command alone, for documentation."""
    parser = argparse.ArgumentParser(prog='litpose')
    return register_parser(parser.add_subparsers(dest='command'))


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    # late: these take seconds, and the command line imports every command
    from omegaconf import OmegaConf

    from beast_lp.errors import BeastError
    from beast_lp.host.children import OUTPUT_DIR_VARIABLE, told_to_children
    from beast_lp.host.compose import compose_config
    from beast_lp.host.jobs.pretrain import mark_completed, pretrain
    from beast_lp.host.messages import NO_SHARED_DIRECTORY
    from beast_lp.pretraining.distributed import launched_processes

    if args.setup_gui is not None:
        _setup_gui(args)
        return
    if not args.config_file:
        raise BeastError('litpose pretrain needs a config file: litpose pretrain my_config.yaml')
    if args.output_dir is None and launched_processes() > 1:
        raise BeastError(NO_SHARED_DIRECTORY)
    first, *others = args.config_file
    cfg = compose_config(first, args.overrides or [])
    if others:
        listed = [*(OmegaConf.select(cfg, 'beast.projects') or []), *map(str, others)]
        OmegaConf.update(cfg, 'beast.projects', listed, force_add=True)
    output_dir = choose_output_dir(args)
    status_file = output_dir / 'train_status.json'
    with told_to_children(OUTPUT_DIR_VARIABLE, str(output_dir)):
        backbone = pretrain(cfg, output_dir, status_file)
    mark_completed(status_file)
    logger.info(
        f'beast: the backbone is in {backbone}\n'
        f'  look at      {output_dir / "report.html"}\n'
        f'  train with   model.backbone=beast model.backbone_checkpoint={output_dir}'
    )


def _setup_gui(args: argparse.Namespace) -> None:
    from beast_lp.errors import BeastError
    from beast_lp.host.compose import compose_config, data_dir
    from beast_lp.host.gui import setup_gui

    if len(args.config_file) > 1 or args.output_dir is not None:
        raise BeastError(
            '--setup_gui takes one config file at most and no --output_dir; what models of the '
            'GUI share is in beast.output_dir'
        )
    config_file = args.config_file[0] if args.config_file else None
    project = args.setup_gui
    if project is True:
        if config_file is None:
            raise BeastError('--setup_gui needs the folder of a project: --setup_gui my_project')
        project = data_dir(compose_config(config_file, []))
    path = setup_gui(project, config_file, args.overrides or [])
    logger.info(
        f'beast: the GUI takes its defaults from {path}\n'
        '  start it     litpose run_app\n'
        '  there        Models, New model, Regular model, backbone: beast'
    )
