"""Which setting changed: the one comparison by which a run, a store or a file is known again."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from beast_lp.config.parse import BeastConfig, parse_config
from beast_lp.config.retired import RETIRED, value_of
from beast_lp.errors import BeastError
from beast_lp.runs.interpolations import check_interpolations
from beast_lp.runs.readable import check_yaml

Settings = Mapping[str, Any]


def difference(old: Settings, new: Settings, may_differ: Collection[str] = ()) -> str:
    """Name the first setting that differs, in alphabetical order, with both values.

    Args:
        old: settings, in groups as in a config.
        new: settings that are asked for.
        may_differ: settings, or groups of them, that are not compared.

    Returns:
        the end of a sentence; empty if nothing differs.

    Examples:
        >>> old, new = {'lags': 4, 'split': {'seed': 0}}, {'lags': 4, 'split': {'seed': 1}}
        >>> difference(old, new)
        'split.seed was 0 and is now 1'
        >>> difference(old, new, may_differ=['split'])
        ''
    """
    before, now = _flat(old), _flat(new)
    for key in changed_names(before, now):
        was, value = before.get(key), now.get(key)
        if was != value and not any(f'{key}.'.startswith(f'{name}.') for name in may_differ):
            return f'{key} was {was!r} and is now {value!r}'
    return ''


def run_difference(old: Settings, new: Settings, may_differ: Collection[str] = ()) -> str:
    """Name the first setting that differs between two runs, of which an older version made one.

    A setting that `old` lacks had what is now its default. A setting that `new` lacks because it
    is retired is compared with the value that is now in use.

    Args:
        old: settings of a run as it wrote them.
        new: resolved settings of the run that is asked for.
        may_differ: settings, or groups of them, that are not compared.

    Returns:
        the end of a sentence; empty if nothing differs.

    Examples:
        >>> run_difference({'beast': {}}, {'beast': {'seed': 0}})
        ''
        >>> run_difference({'beast': {}}, {'beast': {'seed': 3}})
        'beast.seed was 0 and is now 3'
    """
    before, now, defaults = _flat(old), _flat(new), _defaults()
    before |= {key: defaults[key] for key in now.keys() - before.keys() & defaults.keys()}
    in_use = _retired_in_use(before.keys() - now.keys(), new)
    changed = difference(before, now | in_use, may_differ)
    if changed.split(' ', 1)[0] in in_use:
        return changed.replace(' and is now ', ' and is now always ')
    return changed


def differing(runs: Sequence[Settings], may_differ: Collection[str] = ()) -> dict[str, list[Any]]:
    """Return the settings in which runs differ, by their names in full, with a value for each run.

    Args:
        runs: settings of each run, in groups as in a config.
        may_differ: settings, or groups of them, that are left out.

    Returns:
        Names in alphabetical order; the value of a run that lacks a setting is None.

    Examples:
        >>> differing([{'lags': 4, 'split': {'seed': 0}}, {'lags': 4, 'split': {'seed': 1}}])
        {'split.seed': [0, 1]}
    """
    flat = [_flat(settings) for settings in runs]
    values = {
        name: [settings.get(name) for settings in flat]
        for name in sorted(set().union(*flat))
        if not any(f'{name}.'.startswith(f'{group}.') for group in may_differ)
    }
    return {name: found for name, found in values.items() if found[1:] != found[:-1]}


def changed_names(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Return the names whose values differ, or that one of two mappings lacks.

    Examples:
        >>> changed_names({'a': 1, 'b': 2, 'c': 3}, {'b': 2, 'c': 4, 'd': 5})
        ['a', 'c', 'd']
    """
    missing = object()
    return [
        name
        for name in sorted(old.keys() | new.keys())
        if old.get(name, missing) != new.get(name, missing)
    ]


def read_settings(file: Path) -> dict[str, Any]:
    """Read the settings that a run wrote.

    Args:
        file: YAML, or JSON.

    Raises:
        BeastError: if it holds something else.
    """
    check_yaml(file)
    try:
        settings = OmegaConf.to_container(OmegaConf.load(file))
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise BeastError(
            f'{file} is damaged ({" ".join(str(error).split())}); restore it, or give another '
            '--output_dir'
        ) from error
    if not isinstance(settings, dict):
        raise BeastError(f'{file} holds no settings; restore it, or give another --output_dir')
    check_interpolations(settings, file)
    return cast(dict[str, Any], settings)


def settings_yaml(settings: Settings) -> str:
    """Write settings as the YAML that `read_settings` reads."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(settings)))


def _retired_in_use(keys: Collection[str], settings: Settings) -> dict[str, Any]:
    """Return the values that the code uses in place of those keys that are retired."""
    retired = [key for key in keys if key in RETIRED]
    if not retired:
        return {}
    section = {'segmentation': settings.get('segmentation', {}), **settings.get('beast', {})}
    config = parse_config(section)
    return {key: value_of(key, config) for key in retired}


@cache
def _defaults() -> dict[str, Any]:
    """Return the defaults of the schema by their names in full."""
    return _flat({'beast': OmegaConf.to_container(OmegaConf.structured(BeastConfig))})


def _flat(settings: Settings) -> dict[str, Any]:
    """Return settings by their names in full."""
    # a segmentation run keeps its section without the `beast:` above it
    return {
        f'beast.{key}' if key.startswith('segmentation.') else key: value
        for key, value in _flatten(settings).items()
    }


def _flatten(value: object, path: str = '') -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {
            name: leaf
            for key, item in value.items()
            for name, leaf in _flatten(item, f'{path}.{key}' if path else str(key)).items()
        }
    return {path: value}
