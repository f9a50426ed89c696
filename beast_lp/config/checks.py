"""Checks of single settings; each refusal is one sentence that says what was found."""

import difflib
import math
from collections.abc import Mapping, Sequence

from beast_lp.config.presets import PRESET_HELP
from beast_lp.errors import BeastError

# numpy's and Lightning's generators take 32 bits
MOST_SEED = 2**32 - 1


def check_group(path: str, value: object) -> None:
    """Refuse a single value where a group of settings is expected.

    Args:
        path: name of the group in full, such as `beast.training`.
        value: what a config has under that name.

    Raises:
        BeastError: if it is no mapping; the message shows how to write one.
    """
    if isinstance(value, Mapping):
        return
    name = path.rpartition('.')[2]
    preset = value if value in list(PRESET_HELP) else next(iter(PRESET_HELP))
    example = f', for example `{name}: {{preset: {preset}}}`' if path == 'beast' else ''
    raise BeastError(
        f'{path} must be a mapping of settings, found {value!r}; write its settings below '
        f'`{name}:`{example}'
    )


def check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value that is none of the choices.

    Args:
        key: name of the setting in full, such as `beast.training.epochs`.
        value: value of the setting.
        choices: allowed values.

    Raises:
        BeastError: if it is another; the message names the nearest.
    """
    if value not in choices:
        raise BeastError(
            f'{key} must be one of {", ".join(choices)}, found {value!r}{nearest(value, choices)}'
        )


def check_range(key: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuse a number outside a range, or no number (NaN).

    Args:
        key: name of the setting in full, such as `beast.training.epochs`.
        value: value of the setting.
        low: least allowed value.
        high: greatest allowed value.

    Raises:
        BeastError: if it lies outside.
    """
    if not low <= value <= high:
        limits = (
            f'at least {_spelt(low)}'
            if high == math.inf
            else f'between {_spelt(low)} and {_spelt(high)}'
        )
        raise BeastError(f'{key} must be {limits}, found {_spelt(value)}')


def check_positive(key: str, value: float) -> None:
    """Refuse a number that is not greater than 0.

    Args:
        key: name of the setting in full, such as `beast.training.epochs`.
        value: value of the setting.

    Raises:
        BeastError: if it is not.
    """
    if not value > 0:
        raise BeastError(f'{key} must be greater than 0, found {value:g}')


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the end of a message that names what was probably meant; empty if nothing is known.

    Args:
        name: name that is not known.
        known: names that are.
    """
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f'; did you mean {close[0]!r}?' if close else ''


def _spelt(number: float) -> str:
    return str(number) if isinstance(number, int) else f'{number:g}'
