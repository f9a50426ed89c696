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


def size_in_bytes(count: float) -> str:
    """Write a number of bytes the way people say it.

    Examples:
        >>> size_in_bytes(1_234), size_in_bytes(36_500_000), size_in_bytes(2.1e12)
        ('1 kB', '36 MB', '2.1 TB')
    """
    for unit, factor in (('TB', 1e12), ('GB', 1e9), ('MB', 1e6)):
        if count >= factor:
            value = count / factor
            return f'{value:.1f} {unit}' if value < 10 else f'{value:.0f} {unit}'
    return f'{count / 1e3:.0f} kB'


def can_name_a_file(name: str) -> bool:
    """Return whether a name that the user chose stays in its folder as the name of a file.

    Tables hold it too, which are UTF-8; bytes of the command line that are not arrive as lone
    surrogates.

    Examples:
        >>> can_name_a_file('mouse 1'), can_name_a_file('..'), can_name_a_file('../x')
        (True, False, False)
    """
    return name.strip(' .') != '' and not re.search(r'[/\\\0\n\ud800-\udfff]', name)
