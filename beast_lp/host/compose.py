"""Pose configs and their paths, read as the host's commands read them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from beast_lp.config.checks import check_group
from beast_lp.errors import BeastError, sentence_of
from beast_lp.host.start import START_DIR
from beast_lp.runs.foreign import reason_of
from beast_lp.runs.interpolations import check_interpolations
from beast_lp.runs.readable import check_yaml

# groups of the host whose settings are read here
_HOST_GROUPS = ('data', 'model', 'training', 'data.image_resize_dims')
# characters of a reader's own words that are shown: a circle of aliases is told without end
_SHOWN = 1000


def compose_config(config_file: Path, overrides: Sequence[str]) -> DictConfig:
    """Read a config file and apply overrides.

    Args:
        config_file: YAML file.
        overrides: overrides in Hydra's grammar. One under `beast.` may name a key that the file
            lacks: the section is optional, and its own schema checks the names.

    Raises:
        BeastError: if the file or an override cannot be read.
    """
    ours = [item for item in overrides if item.startswith('beast.')]
    lenient = [f'++{item}' if item in ours else item for item in overrides]
    check_yaml(config_file)
    try:
        with hydra.initialize_config_dir(
            version_base='1.3', config_dir=str(config_file.parent.absolute())
        ):
            if ours:
                others = [item for item in overrides if item not in ours]
                cfg = hydra.compose(config_file.stem, others)
                check_interpolations(OmegaConf.to_container(cfg), config_file)
                _check_groups(cfg, ours)
            cfg = hydra.compose(config_file.stem, lenient)
        check_interpolations(OmegaConf.to_container(cfg), config_file)
        # so that an interpolation that leads nowhere fails here, not in the middle of the work
        OmegaConf.to_container(cfg, resolve=True)
        for name in _HOST_GROUPS:
            group = OmegaConf.select(cfg, name)
            if group is not None:
                check_group(name, group)
        return cfg
    except UnicodeDecodeError as error:
        raise BeastError(f'{config_file}: {sentence_of(error)}') from error
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise BeastError(f'{config_file}: {" ".join(str(error).split())[:_SHOWN]}') from error
    except BeastError:
        raise
    except Exception as error:
        # omegaconf raises errors of many kinds for a file that holds no mapping, or too deep a one
        if sentence_of(error) and isinstance(error, OSError):
            raise
        raise BeastError(
            f'{config_file} cannot be read as a config ({reason_of(error)}); write a mapping of '
            'settings, as in the configs of Lightning Pose'
        ) from error


def load_config(file: Path) -> DictConfig:
    """Read the config of a pose model, or another file of settings, as it was written.

    Args:
        file: YAML file; nothing is added to it, or resolved in it.

    Raises:
        BeastError: if it cannot be read, or holds no mapping.
    """
    check_yaml(file)
    try:
        cfg = OmegaConf.load(file)
        check_interpolations(OmegaConf.to_container(cfg), file)
    except BeastError:
        raise
    except Exception as error:
        # omegaconf raises errors of many kinds for a file that holds no mapping, or too deep a one
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BeastError(
            f'{file} cannot be read as a config ({reason_of(error)}); restore it, or give another'
        ) from error
    if not isinstance(cfg, DictConfig):
        raise BeastError(f'{file} holds no mapping of settings; restore it, or give another')
    return cfg


def _check_groups(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse overrides within a group for which the config has one value, such as a word.

    Hydra would replace the value by the group and say nothing.

    Args:
        cfg: config without the overrides.
        overrides: overrides of settings under `beast.`.

    Raises:
        BeastError: if the value of a group is no mapping.
    """
    for item in overrides:
        parts = item.partition('=')[0].split('.')
        for end in range(1, len(parts)):
            group = '.'.join(parts[:end])
            value = OmegaConf.select(cfg, group)
            if value is None:
                break
            check_group(group, value)


def data_dir(cfg: DictConfig) -> Path:
    """Return the absolute path of the folder that a config's relative paths start at.

    It is `data.data_dir`, or the directory where the command was started if the config has none,
    as when it holds a `beast:` section alone.
    """
    wanted = OmegaConf.select(cfg, 'data.data_dir', default=None)
    return Path(START_DIR, str(wanted or ''))


def path_from(base: Path, path: object) -> Path:
    """Return a path of a config made absolute; it starts at `base`, or for `~` at the home."""
    return base / Path(str(path)).expanduser()


def paths_from(base: Path, source: Any) -> list[Path]:
    """Return a path of a config, or a list of paths, made absolute."""
    if OmegaConf.is_config(source):
        source = OmegaConf.to_container(source)
    return [path_from(base, item) for item in (source if isinstance(source, list) else [source])]


def video_sources(cfg: DictConfig, own: Any, setting: str) -> list[Path]:
    """Return the absolute paths of the folders and files that hold the videos of a config.

    As in the host, a relative path starts at `data.data_dir`.

    Args:
        cfg: pose config.
        own: videos of one stage, which take precedence over `data.video_dir`; None if it has
            none.
        setting: name of that setting, for the message.

    Raises:
        BeastError: if the config names no videos.
    """
    source = own or OmegaConf.select(cfg, 'data.video_dir', default=None)
    if not source:
        others = (
            '' if setting == 'data.video_dir' else f' (or {setting}, if this stage uses others)'
        )
        raise BeastError(
            'the config does not say where the videos are: set data.video_dir to their '
            f'folder{others}'
        )
    return paths_from(data_dir(cfg), source)


def pose_image_size(cfg: DictConfig) -> tuple[int, int] | None:
    """Return the size in px, (height, width), of the pose model's images; None if not set."""
    height, width = (whole_number(cfg, f'data.image_resize_dims.{s}') for s in ('height', 'width'))
    return (height, width) if height and width else None


def whole_number(cfg: DictConfig, key: str) -> int | None:
    """Return a setting of the host that is a whole number; None if it is not set.

    Args:
        cfg: pose config.
        key: name of the setting in full.

    Raises:
        BeastError: if it is anything else.
    """
    value = OmegaConf.select(cfg, key)
    try:
        number = None if value is None else int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BeastError(f'{key} must be a whole number, found {value!r}') from error
    return number


def absolute_path(path: str, cfg: DictConfig) -> str:
    """Return a path of the config made absolute; one that exists nowhere (a hub name) stays.

    A relative path may start where the command was started, at the current directory or at
    `data.data_dir`; `~` is the user's home.
    """
    path = str(Path(path).expanduser()) if path.startswith('~') else path
    if not Path(path).is_absolute():
        for base in (START_DIR, Path.cwd(), data_dir(cfg)):
            if Path(base, path).exists():
                return str(Path(base, path).absolute())
    return path
