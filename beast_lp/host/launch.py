"""`litpose pretrain` and `litpose train` as Hydra applications: Slurm by submitit, and sweeps.

`litpose` reads its config by Hydra's compose function, which knows no launchers. The files in
`configs/launch` say how to use this.
"""

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import CompactHydraException
from hydra.utils import to_absolute_path
from omegaconf import DictConfig, OmegaConf

from beast_lp.errors import BeastError, sentence_of

logger = logging.getLogger(f'lightning_pose.{__name__}')


def main(cfg: DictConfig) -> None:
    """Run a job, and have Hydra print an error as one sentence, with exit status 1.

    As `litpose` does, for errors that a person can mend.

    `HYDRA_FULL_ERROR=1` in the environment shows where it comes from.
    """
    try:
        run(cfg)
    except (BeastError, OSError, ValueError) as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        # an exception still: a sweep goes on with its next job, and a launcher hands it over
        raise CompactHydraException(f'error: {sentence}') from error


def run(cfg: DictConfig) -> None:
    """Pretrain, or train a pose model, as one job.

    Args:
        cfg: `command`, `pretrain` or `train`; `config_file`; `output_dir`; under `set` what
            differs from the config file, and under `variant` what differs from that.

    Raises:
        BeastError: for anything that the user can mend.
    """
    from lightning_pose.cli.commands import COMMANDS

    command = cfg.get('command', 'pretrain')
    if command not in ('pretrain', 'train'):
        raise BeastError(f'command must be pretrain or train, found {command}')
    config_file = Path(to_absolute_path(cfg.config_file))
    if not config_file.is_file():
        raise BeastError(f'no config file at {config_file}')
    output_dir = Path(to_absolute_path(cfg.output_dir))
    job = argparse.Namespace(
        config_file=config_file,
        output_dir=output_dir,
        overrides=as_overrides(cfg.get('set')) + as_overrides(cfg.get('variant')),
    )
    if command == 'train':
        if _is_trained(output_dir):
            return
        job.detector_model = None
    else:
        job.config_file, job.setup_gui = [config_file], None
    with _as_if_alone():
        COMMANDS[command].handle(job)


@contextmanager
def _as_if_alone() -> Iterator[None]:
    """Let a command of `litpose` run inside this application, and undo what it leaves behind.

    It composes its config by Hydra, which serves one application at a time, and changes the
    directory; the next job of a sweep is in the same process.
    """
    directory, application = Path.cwd(), GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        os.chdir(directory)
        GlobalHydra.instance().clear()
        if application is not None:
            GlobalHydra.instance().initialize(application)


def _is_trained(output_dir: Path) -> bool:
    """Say whether a job's model is there already, so that a sweep goes on where it stopped."""
    from beast_lp.host.jobs.demo_results import is_completed

    finished = is_completed(output_dir)
    if finished:
        logger.info(f'beast: {output_dir} holds a finished model, which is kept')
    return finished


def as_overrides(section: DictConfig | None) -> list[str]:
    """Spell a tree of settings as overrides in Hydra's grammar, adding keys that a file lacks."""
    if section is None:
        return []
    flat: list[str] = []

    def walk(value: object, path: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, f'{path}.{key}' if path else str(key))
        else:
            flat.append(f'++{path}={_spelt(value)}')

    walk(OmegaConf.to_container(section, resolve=True), '')
    return flat


def _spelt(value: object) -> str:
    if value is None:
        return 'null'
    if isinstance(value, list):
        return f'[{",".join(_spelt(item) for item in value)}]'
    if isinstance(value, str):
        quoted = value.replace("'", r'\'')
        return f"'{quoted}'"
    return str(value)


if __name__ == '__main__':
    hydra.main(version_base='1.3', config_path=None)(main)()
