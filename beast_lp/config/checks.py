"""What the schema refuses, each as one sentence that says what was found."""

import difflib
import math
from collections.abc import Sequence

from beast_lp.errors import BeastError

# numpy's and Lightning's generators take 32 bits
_MOST_SEED = 2 ** 32 - 1


def check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise BeastError(
            f'{key} must be one of {", ".join(choices)}, found {value!r}{nearest(value, choices)}'
        )


def check_range(key: str, value: float, low: float, high: float = math.inf) -> None:
    if not low <= value <= high:
        limits = f'at least {low:g}' if high == math.inf else f'between {low:g} and {high:g}'
        raise BeastError(f'{key} must be {limits}, found {value:g}')


def check_seed(key: str, value: int) -> None:
    """Refuse a seed that numpy's and Lightning's generators do not take.

    Raises:
        BeastError: if it is below 0 or needs more than 32 bits.
    """
    if not 0 <= value <= _MOST_SEED:
        raise BeastError(f'{key} must be between 0 and {_MOST_SEED}, found {value}')


def check_positive(key: str, value: float) -> None:
    if not value > 0:
        raise BeastError(f'{key} must be greater than 0, found {value:g}')


def nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f'; did you mean {close[0]!r}?' if close else ''
