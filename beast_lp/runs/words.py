"""Numbers in the words that people use, and names that people may choose."""

import re


def duration(seconds: float) -> str:
    """Write a duration the way people say it.

    Args:
        seconds: duration, 0 or more.

    Examples:
        >>> duration(45)
        '45 s'
        >>> duration(12 * 60)
        '12 min'
        >>> duration(3 * 3600 + 5 * 60)
        '3 h 05 min'
    """
    if seconds < 100:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 60 else f'{minutes // 60} h {minutes % 60:02d} min'


def can_name_a_file(name: str) -> bool:
    """Return whether a name that the user chose stays in its folder as the name of a file.

    Tables hold it too, which are UTF-8; bytes of the command line that are not arrive as lone
    surrogates.

    >>> can_name_a_file('mouse 1'), can_name_a_file('..'), can_name_a_file('../x')
    (True, False, False)
    """
    return name.strip(' .') != '' and not re.search(r'[/\\\0\n\ud800-\udfff]', name)
