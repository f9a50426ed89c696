"""Write `configs/beast.yaml`, the commented list of all settings, from the schema.

python -m beast_lp.config.document > configs/beast.yaml
"""

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import yaml

from beast_lp.config.parse import BeastConfig
from beast_lp.config.setting import declaration

_WIDTH = 99
_HEADER = """\
Every setting of beast_lp, with its default. Copy single keys into your Lightning Pose config,
never the whole file: what you write takes precedence over the preset, which would then change
nothing. Everything may be left out. "Paper" is Wang, Yu et al., ICLR 2026 (arXiv 2507.09513);
where the paper is silent the value is that of the authors' package. This file is written by
`python -m beast_lp.config.document`."""


def document() -> str:
    """Return the text of `configs/beast.yaml`."""
    lines = [*_comment(_HEADER, ''), 'beast:', *_section(BeastConfig(), '  ')]
    return '\n'.join(lines) + '\n'


def _section(section: Any, indent: str) -> Iterator[str]:
    for number, item in enumerate(fields(section)):
        declared, value = declaration(item), getattr(section, item.name)
        if is_dataclass(value):
            if number:
                yield ''
            yield from _comment(declared.help, indent)
            yield f'{indent}{item.name}:'
            yield from _section(value, indent + '  ')
            continue
        yield from _comment(declared.help, indent)
        for name, help in (declared.choices or {}).items():
            yield from _comment(f'{name}: {help}', indent, hanging='  ')
        yield f'{indent}{item.name}: {_spelt(value)}'


def _comment(text: str, indent: str, hanging: str = '') -> list[str]:
    return textwrap.wrap(
        ' '.join(text.split()),
        _WIDTH,
        initial_indent=f'{indent}# {hanging}',
        subsequent_indent=f'{indent}# {hanging}{hanging}',
        break_long_words=False,
        break_on_hyphens=False,
    )


def _spelt(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=_WIDTH)
    return text.removesuffix('...\n').rstrip('\n')


if __name__ == '__main__':
    sys.stdout.write(document())
