"""What the schema refuses, each as one sentence that says what was found."""

import difflib
import math
from collections.abc import Sequence

from beast_lp.errors import BeastError


def check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise BeastError(
            f'{key} must be one of {", ".join(choices)}, found {value!r}{nearest(value, choices)}'
        )


def check_range(key: str, value: float, low: float, high: float = math.inf) -> None:
    if not low <= value <= high:
        limits = f'at least {low:g}' if high == math.inf else f'between {low:g} and {high:g}'
        raise BeastError(f'{key} must be {limits}, found {value:g}')


def check_positive(key: str, value: float) -> None:
    if not value > 0:
        raise BeastError(f'{key} must be greater than 0, found {value:g}')


def nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f'; did you mean {close[0]!r}?' if close else ''
