"""Declare a setting once: default, help, range and choices stand beside the field.

`Section` checks every field by what is declared here, and `beast_lp.config.document` writes
`configs/beast.yaml` from the same declarations.

Adding a new setting:

1. add a field with `setting(...)` to the `Section` of its stage in `beast_lp/config/`
2. run `python -m beast_lp.config.document > configs/beast.yaml`
3. read it where the stage needs it, and test what it changes
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NamedTuple

from beast_lp.config.checks import check_choice, check_positive, check_range
from beast_lp.errors import BeastError

# the key of a declaration in a field's metadata
_KEY = 'beast_lp'


class Declaration(NamedTuple):
    """What a field declares beside its default."""

    help: str
    low: float | None = None
    high: float | None = None
    # greater than 0
    positive: bool = False
    # each choice with its help
    choices: Mapping[str, str] | None = None
    # a list may not be empty
    filled: bool = False


def setting(default: Any, help: str, **limits: Any) -> Any:
    """Declare one setting.

    Args:
        default: value where the user gives none; a list is copied for each configuration.
        help: comment in `configs/beast.yaml`; it names the unit and the source of the default.
        **limits: `low` and `high` (inclusive) or `positive` for a number or for each item of a
            list; `choices`, a mapping of each choice to its help; `filled`, for a list that must
            not be empty.

    Returns:
        a dataclass field.
    """
    metadata = {_KEY: Declaration(help, **limits)}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def group(section: type, help: str) -> Any:
    """Declare a group of settings.

    Args:
        section: a `Section`.
        help: comment above the group in `configs/beast.yaml`.

    Returns:
        a dataclass field.
    """
    return field(default_factory=section, metadata={_KEY: Declaration(help)})


def declaration(item: Any) -> Declaration:
    """Return what a dataclass field declares.

    Args:
        item: a field that `setting` or `group` made.
    """
    return item.metadata[_KEY]


@dataclass
class Section:
    """A group of settings that checks each of its fields when it is built."""

    # the name of the group in a config, such as `beast.anchors`
    path: ClassVar[str]

    def __post_init__(self) -> None:
        """Check every field against its declaration.

        Raises:
            BeastError: if a value is none of the choices, or outside its range.
        """
        for item in fields(self):
            _check(f'{self.path}.{item.name}', getattr(self, item.name), declaration(item))


def _check(key: str, value: Any, declared: Declaration) -> None:
    if declared.filled and value is not None and not value:
        raise BeastError(f'{key} is empty; give at least one value')
    for one in value if isinstance(value, list) else [value]:
        if one is None:
            continue
        if isinstance(one, float) and math.isinf(one):
            raise BeastError(f'{key} must be a finite number, found {one}')
        if declared.choices is not None:
            check_choice(key, str(one), tuple(declared.choices))
        if declared.positive:
            check_positive(key, one)
        if declared.low is not None or declared.high is not None:
            low = 0 if declared.low is None else declared.low
            high = math.inf if declared.high is None else declared.high
            check_range(key, one, low, high)
