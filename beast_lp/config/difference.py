"""In what the settings of two runs differ."""

from collections.abc import Collection

from omegaconf import OmegaConf


def difference(old: str, new: str, without: Collection[str] = ()) -> str:
    """Name the first setting, by its name, that differs; empty if there is none.

    Args:
        old: settings as YAML.
        new: the same of another run.
        without: settings, or groups of them, that may differ.
    """
    before, now = (_flatten(OmegaConf.to_container(OmegaConf.create(text))) for text in (old, new))
    for key in sorted(before.keys() | now.keys()):
        if any(f'{key}.'.startswith(f'{name}.') for name in without):
            continue
        if before.get(key) != now.get(key):
            return f'{key} was {before.get(key)!r} and is now {now.get(key)!r}'
    return ''


def _flatten(value: object, path: str = '') -> dict[str, object]:
    if isinstance(value, dict):
        return {k: v for key, item in value.items()
                for k, v in _flatten(item, f'{path}.{key}' if path else str(key)).items()}
    return {path: value}
