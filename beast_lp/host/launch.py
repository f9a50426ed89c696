"""`litpose pretrain` and `litpose train` as Hydra applications: Slurm by submitit, and sweeps.

`litpose` reads its config by Hydra's compose function, which has no launchers. The files in
`configs/launch` show how to use this module.
"""

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
from beast_lp.host.pose import learning_rate_of
from beast_lp.host.spelling import quoted
from beast_lp.host.train_status import is_completed
from beast_lp.runs.log_file import remember_warnings

logger = logging.getLogger(f'lightning_pose.{__name__}')


# ${beast_learning_rate:CHECKPOINT} in a config of `configs/launch`
OmegaConf.register_new_resolver('beast_learning_rate', learning_rate_of, replace=True)


def main(cfg: DictConfig) -> None:
    """Run a job; Hydra prints an error that the user can mend as one sentence, with status 1.

    `HYDRA_FULL_ERROR=1` in the environment shows its traceback.
    """
    try:
        run(cfg)
    except (BeastError, OSError, ValueError) as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        # still an exception: a sweep then runs its next job, and a launcher passes it on
        raise CompactHydraException(f'error: {sentence}') from error


def run(cfg: DictConfig) -> None:
    """Pretrain, or train a pose model, as one job.

    Args:
        cfg: `command` (`pretrain` or `train`), `config_file` and `output_dir`; settings under
            `set` take precedence over the config file, and those under `variant` over both.

    Raises:
        BeastError: for anything that the user can mend.
    """
    # ours by its module: the host may have another command of that name
    from lightning_pose.cli.commands import train

    from beast_lp.host.commands import pretrain

    remember_warnings()
    command = cfg.get('command', 'pretrain')
    if command not in ('pretrain', 'train'):
        raise BeastError(f'command must be pretrain or train, found {command}')
    config_file = Path(to_absolute_path(cfg.config_file))
    if not config_file.is_file():
        raise BeastError(f'no config file at {config_file}')
    output_dir = Path(to_absolute_path(cfg.output_dir))
    overrides = as_overrides(cfg.get('set')) + as_overrides(cfg.get('variant'))
    if command == 'train' and _is_trained(output_dir):
        return
    chosen = train if command == 'train' else pretrain
    # by the parser, which knows every option's default
    words = [str(config_file), '--output_dir', str(output_dir)]
    words += ['--overrides', *overrides] if overrides else []
    job = chosen.get_parser().parse_args(words)
    with _as_if_alone():
        chosen.handle(job)


@contextmanager
def _as_if_alone() -> Iterator[None]:
    """Run a command of `litpose` inside this Hydra application, and undo its side effects.

    The command composes its config by Hydra, which serves one application at a time, and changes
    the directory; the next job of a sweep runs in the same process.
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
    """Return whether the job's model is finished, so that a resumed sweep leaves it out."""
    finished = is_completed(output_dir)
    if finished:
        logger.info(f'beast: {output_dir} holds a finished model, which is kept')
    return finished


def as_overrides(section: DictConfig | None) -> list[str]:
    """Return a tree of settings as Hydra overrides that may add keys to the config."""
    if section is None:
        return []
    flat: list[str] = []

    def walk(value: object, path: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, f'{path}.{key}' if path else str(key))
        else:
            flat.append(f'++{path}={quoted(value)}')

    walk(OmegaConf.to_container(section, resolve=True), '')
    return flat


if __name__ == '__main__':
    hydra.main(version_base='1.3', config_path=None)(main)()
