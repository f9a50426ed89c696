"""Names and paths that users write: of files and folders, `NAME=PATH` and `PATH,PATH`."""

from pathlib import Path


def name_of(path: Path) -> str:
    """Return the name of a folder, or that of a file without its suffix.

    The end of a folder's name is no suffix, as in `mouse1_2024.05.01` or `weight_0.01`.

    Args:
        path: folder, or file, which need not exist.

    Examples:
        >>> name_of(Path('/data/mouse1.npz'))
        'mouse1'
    """
    return path.name if path.is_dir() else path.stem


def split_name(item: str) -> tuple[str | None, str]:
    """Split `NAME=PATH`; an item that exists is a path, whatever characters its name has.

    Args:
        item: argument of the command line, or entry of the config.

    Returns:
        the name, None where there is none, and the path.

    Examples:
        >>> split_name('mouse=/data/a.npz'), split_name('/data/b.npz')
        (('mouse', '/data/a.npz'), (None, '/data/b.npz'))
    """
    name, separator, path = item.partition('=')
    return (None, item) if not separator or _exists(item) else (name, path)


def split_paths(joined: str) -> list[str]:
    """Split `PATH,PATH`, but not within the name of something that exists.

    Args:
        joined: paths, joined by commas.

    Examples:
        >>> split_paths('left,right')
        ['left', 'right']
    """
    parts = joined.split(',')
    paths = []
    while parts:
        ends = range(len(parts), 1, -1)
        taken = next((end for end in ends if _exists(','.join(parts[:end]))), 1)
        paths.append(','.join(parts[:taken]))
        parts = parts[taken:]
    return paths


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        # too long, of an unknown user, or with a character that no path has
        return False
