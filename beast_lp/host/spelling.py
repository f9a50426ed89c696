"""Settings and commands as a person types them: Hydra's overrides, and the shell's quotes."""

import re
import shlex
from collections.abc import Sequence

# columns of a command that is printed, as in README and guides
_COLUMNS = 99
_INDENT = '    '
# text that needs no quotes in Hydra's grammar
_PLAIN = re.compile(r'[A-Za-z_/.~][\w/.~-]*', re.ASCII)
# words that Hydra reads as something else
_OTHER_WORDS = {'null', 'true', 'false', 'inf', 'nan', ''}


def as_override(key: str, value: object, force: bool = False) -> str:
    """Return a setting in the grammar of Hydra's overrides.

    Args:
        key: name of the setting in full.
        value: plain value, or a list of such.
        force: set the key also where the config lacks it.

    Examples:
        >>> as_override('model.backbone_checkpoint', 'my_backbone', force=True)
        '++model.backbone_checkpoint=my_backbone'
        >>> as_override('data.keypoint_names', ['nose', 'left ear'])
        "data.keypoint_names=[nose,'left ear']"
    """
    return f'{"++" if force else ""}{key}={_spelt(value)}'


def quoted(value: object) -> str:
    """Return a value in Hydra's grammar, with all of its text in quotes."""
    if value is None:
        return 'null'
    if isinstance(value, list):
        return f'[{",".join(quoted(item) for item in value)}]'
    if isinstance(value, str):
        escaped = value.replace("'", r'\'')
        return f"'{escaped}'"
    return str(value)


def small_number(value: float) -> str:
    """Return a small number as people write learning rates.

    Examples:
        >>> small_number(0.0005), small_number(0.0015)
        ('5e-4', '1.5e-3')
    """
    digits, _, exponent = f'{value:e}'.partition('e')
    return f'{float(digits):g}e{int(exponent)}'


def command_line(program: Sequence[str], options: Sequence[Sequence[str]]) -> str:
    r"""Return a command as a person types it, in lines that the shell joins.

    Args:
        program: words of the first line.
        options: options with their values; each begins a line, and goes on in the next where its
            words do not fit.

    Examples:
        >>> print(command_line(['litpose', 'train', 'a b.yaml'], [['--overrides', 'x=1']]))
        litpose train 'a b.yaml' \
            --overrides x=1
    """
    lines = [' '.join(map(shlex.quote, program))]
    for option in options:
        line = ''
        for word in map(shlex.quote, option):
            if line and len(f'{_INDENT}{line} {word} \\') > _COLUMNS:
                lines.append(_INDENT + line)
                line = word
            else:
                line = f'{line} {word}'.strip()
        lines.append(_INDENT + line)
    return ' \\\n'.join(lines)


def _spelt(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f'[{",".join(_spelt(item) for item in value)}]'
    if (
        isinstance(value, str)
        and re.fullmatch(_PLAIN, value)
        and value.lower() not in _OTHER_WORDS
    ):
        return value
    return quoted(value)
