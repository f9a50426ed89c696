"""What the schema refuses, each as one sentence that says what was found."""

import difflib
import math
from collections.abc import Sequence

from beast_lp.errors import BeastError

# numpy's and Lightning's generators take 32 bits
_MOST_SEED = 2**32 - 1


def check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value that is none of the choices.

    Args:
        key: of the setting, in full.
        value: found there.
        choices: what it may be.

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
        key: of the setting, in full.
        value: found there.
        low: the least that is allowed.
        high: the most that is allowed.

    Raises:
        BeastError: if it lies outside.
    """
    if not low <= value <= high:
        limits = f'at least {low:g}' if high == math.inf else f'between {low:g} and {high:g}'
        raise BeastError(f'{key} must be {limits}, found {value:g}')


def check_seed(key: str, value: int) -> None:
    """Refuse a seed that numpy's and Lightning's generators do not take.

    Args:
        key: of the setting, in full.
        value: found there.

    Raises:
        BeastError: if it is below 0 or needs more than 32 bits.
    """
    if not 0 <= value <= _MOST_SEED:
        raise BeastError(f'{key} must be between 0 and {_MOST_SEED}, found {value}')


def check_positive(key: str, value: float) -> None:
    """Refuse a number that is not greater than 0.

    Args:
        key: of the setting, in full.
        value: found there.

    Raises:
        BeastError: if it is not.
    """
    if not value > 0:
        raise BeastError(f'{key} must be greater than 0, found {value:g}')


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the end of a message that names what was probably meant; empty if nothing is known.

    Args:
        name: found.
        known: what it could have been.
    """
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f'; did you mean {close[0]!r}?' if close else ''
