"""Bound what the interpolations (`${...}`) of a config stand for before they are resolved.

A few lines of `a: ${b}${b}`, each of which names the next, stand for more text than any memory
holds, and omegaconf resolves each anew wherever it is named.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from beast_lp.errors import BeastError

# characters of a config, interpolations written out; the largest that we have seen has 30,000
MOST_CHARACTERS = 10_000_000
# what is between the braces of an interpolation that holds no other
_INNERMOST = re.compile(r'\$\{([^${}]*)\}')
_SEPARATORS = re.compile(r'[.\[\]]+')

_Path = tuple[str, ...]


def check_interpolations(values: object, source: Path) -> None:
    """Check that values stay small when their interpolations are resolved.

    Mistakes such as a name that does not exist, or a circle, are the reader's business.

    Args:
        values: mappings and lists of values that are not resolved.
        source: their file, for the message.

    Raises:
        BeastError: if they would become too large.

    Examples:
        >>> check_interpolations({'a': 'x', 'b': '${a}${a}'}, Path('config.yaml'))
        >>> bomb = {f'a{n}': f'${{a{n + 1}}}' * 2 for n in range(40)}
        >>> check_interpolations(bomb, Path('config.yaml'))
        Traceback (most recent call last):
        beast_lp.errors.BeastError: config.yaml stands for more than 10000000 characters, \
because its interpolations (${name}) repeat each other; write the values themselves
    """
    sizes = _Sizes(values)
    try:
        largest = max((sizes.of(path) for path in sizes.texts), default=0)
        total = sizes.of(())
    except RecursionError:
        return
    if max(total, largest ** (sizes.unknown + 1)) > MOST_CHARACTERS:
        raise BeastError(
            f'{source} stands for more than {MOST_CHARACTERS} characters, because its '
            'interpolations (${name}) repeat each other; write the values themselves'
        )


class _Sizes:
    """Characters of the parts of a config with their interpolations written out."""

    def __init__(self, values: object) -> None:
        """Find all parts."""
        self.parts: dict[_Path, object] = dict(_walk(values, ()))
        self.texts = [
            path for path, value in self.parts.items() if isinstance(value, str) and '${' in value
        ]
        self.known: dict[_Path, int] = {}
        # interpolations whose name is itself interpolated: each may name anything
        self.unknown = 0

    def of(self, path: _Path) -> int:
        """Return the characters of a part; 0 where there is none."""
        if path not in self.parts:
            return 0
        if path not in self.known:
            # a circle is the reader's business
            self.known[path] = 1
            value = self.parts[path]
            if isinstance(value, str):
                self.known[path] += len(value) + sum(map(self.of, self._named(path, value)))
            elif isinstance(value, (dict, list)):
                keys: Any = value if isinstance(value, dict) else range(len(value))
                self.known[path] += sum(self.of((*path, str(key))) for key in keys)
        return self.known[path]

    def _named(self, path: _Path, text: str) -> Iterator[_Path]:
        """Yield the parts that a text names, as often as it does."""
        depth = 0
        while found := _INNERMOST.findall(text):
            for name in found:
                resolver, _, arguments = name.partition(':')
                if depth and not arguments:
                    self.unknown += 1
                for argument in arguments.split(',') if arguments else [resolver]:
                    yield self._target(path, argument.strip().strip('\'"'))
            text, depth = _INNERMOST.sub('', text), depth + 1

    def _target(self, path: _Path, name: str) -> _Path:
        keys = tuple(key for key in _SEPARATORS.split(name) if key)
        dots = len(name) - len(name.lstrip('.'))
        return (*path[: max(0, len(path) - dots)], *keys) if dots else keys


def _walk(value: object, path: _Path) -> Iterator[tuple[_Path, object]]:
    yield path, value
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _walk(item, (*path, str(key)))
