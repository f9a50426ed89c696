"""Files of an ALF folder by their names, which may have optional parts.

A name is `object.attribute.extension`. There may be a namespace in front of it (`_ibl_`), the
clock of the times behind the attribute (`times_ephysClock`), and a UUID before the extension.
Files that were made again lie in a folder of the revision, `#2024-05-06#`.
"""

import re
from pathlib import Path

from beast_lp.errors import BeastError

_UUID = r'[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}'
_SPIKES = 'spikes.times.npy'
# folders below alf/: that of a probe, and in it that of a sorter
_PROBES = ('*', '*/*')


def alf_folder(path: Path) -> Path:
    """Return the ALF folder that is meant by a path.

    Args:
        path: ALF folder, or folder of a session, which holds `alf/`.

    Raises:
        BeastError: if the spikes lie in folders below it, of which one must be chosen.

    Examples:
        >>> alf_folder(Path('nowhere'))
        PosixPath('nowhere')
    """
    inside = path / 'alf'
    folder = inside if alf_file(path, _SPIKES) is None and inside.is_dir() else path
    if alf_file(folder, _SPIKES) is None:
        below = sorted(
            found
            for pattern in _PROBES
            for found in folder.glob(pattern)
            if found.is_dir() and not _is_revision(found) and alf_file(found, _SPIKES)
        )
        if below:
            raise BeastError(
                f'the folder {folder} has no spikes of its own, but there are some in folders '
                f'below it; give {" or ".join(map(str, below))}'
            )
    return folder


def alf_file(folder: Path, name: str) -> Path | None:
    """Find a file of an ALF folder.

    Args:
        folder: ALF folder.
        name: name without optional parts, such as `spikes.times.npy`.

    Returns:
        the file: that of the latest revision, and there the one without optional parts, or the
        only one; None if there is none.

    Raises:
        BeastError: if there are several.
    """
    revisions = [item for item in folder.glob('#*#') if item.is_dir()]
    stem, extension = name.rsplit('.', 1)
    pattern = re.compile(
        rf'(?:_[a-zA-Z0-9]+_)?{re.escape(stem)}(?:_[a-zA-Z0-9]+)?(?:\.{_UUID})?\.{extension}'
    )
    for place in [*sorted(revisions, reverse=True), folder]:
        if (place / name).exists():
            return place / name
        found = sorted(item for item in place.glob('*') if pattern.fullmatch(item.name))
        if len(found) > 1:
            raise BeastError(
                f'the folder {place} holds several files of {stem} '
                f'({", ".join(item.name for item in found)}); name the one to be used {name}'
            )
        if found:
            return found[0]
    return None


def clock_of(file: Path) -> str:
    """Return the clock that a file of times names; empty if it names none.

    Examples:
        >>> clock_of(Path('spikes.times_ephysClock.npy')), clock_of(Path('_ibl_spikes.times.npy'))
        ('ephysClock', '')
    """
    attribute = file.name.split('.')[1]
    return attribute.partition('_')[2]


def _is_revision(folder: Path) -> bool:
    return folder.name.startswith('#') and folder.name.endswith('#')
