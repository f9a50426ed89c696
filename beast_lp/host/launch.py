"""`litpose pretrain` through Hydra's launchers: Slurm by submitit, and sweeps.

`litpose` reads its config by Hydra's compose function, which knows no launchers; this is the same
command as a Hydra application. `configs/launch/slurm.yaml` says how to use it.
"""

import argparse
from pathlib import Path

import hydra
from hydra.utils import to_absolute_path
from omegaconf import DictConfig, OmegaConf

from beast_lp.errors import BeastError


def run(cfg: DictConfig) -> None:
    """Pretrain as one job.

    Args:
        cfg: `config_file`, `output_dir`, and under `set` what differs from the config file.
    """
    from beast_lp.host.commands import pretrain

    config_file = Path(to_absolute_path(cfg.config_file))
    if not config_file.is_file():
        raise BeastError(f'no config file at {config_file}')
    pretrain.handle(argparse.Namespace(
        config_file=[config_file],
        output_dir=Path(to_absolute_path(cfg.output_dir)),
        overrides=as_overrides(cfg.get('set')),
        setup_gui=None,
    ))


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
        quoted = value.replace("'", r"\'")
        return f"'{quoted}'"
    return str(value)


if __name__ == '__main__':
    hydra.main(version_base='1.3', config_path=None)(run)()
