"""In what the settings of two runs differ."""

from collections.abc import Collection
from pathlib import Path

from omegaconf import OmegaConf

from beast_lp.config.parse import BeastConfig
from beast_lp.config.segmentation import SegmentationConfig
from beast_lp.errors import BeastError


def difference(old: str, new: str, without: Collection[str] = ()) -> str:
    """Name the first setting, by its name, that differs; empty if there is none.

    A setting that an older version did not have yet had what is now its default.

    Args:
        old: settings as YAML.
        new: the same of another run.
        without: settings, or groups of them, that may differ.
    """
    before, now = (_flatten(OmegaConf.to_container(OmegaConf.create(text))) for text in (old, new))
    defaults = _defaults()
    before |= {key: defaults[key] for key in now.keys() - before.keys() if key in defaults}
    for key in sorted(before.keys() | now.keys()):
        if any(f'{key}.'.startswith(f'{name}.') for name in without):
            continue
        if before.get(key) != now.get(key):
            return f'{key} was {before.get(key)!r} and is now {now.get(key)!r}'
    return ''


def check_same_run(
    run: str,
    file: Path,
    settings: str,
    without: Collection[str] = (),
) -> None:
    """Make sure that an unfinished run, if there is one, is the very run that is asked for.

    Args:
        run: what kind of run, as a person calls it.
        file: its settings as YAML, in its own directory; there need not be one.
        settings: those of the run that is asked for.
        without: settings, or groups of them, that may differ.

    Raises:
        BeastError: if a setting differs; it names the first one.
    """
    if not file.exists():
        return
    changed = difference(file.read_text(encoding='utf-8'), settings, without)
    if changed:
        raise BeastError(
            f'{file.parent} holds an unfinished {run} with other settings ({changed}); restore '
            'that setting to continue it, or give another --output_dir'
        )


def _defaults() -> dict[str, object]:
    """Return the schema's values under the names that they have in the settings of runs."""
    sections = {'beast': BeastConfig, 'segmentation': SegmentationConfig}
    return _flatten(
        {
            name: OmegaConf.to_container(OmegaConf.structured(schema))
            for name, schema in sections.items()
        }
    )


def _flatten(value: object, path: str = '') -> dict[str, object]:
    if isinstance(value, dict):
        return {
            k: v
            for key, item in value.items()
            for k, v in _flatten(item, f'{path}.{key}' if path else str(key)).items()
        }
    return {path: value}
