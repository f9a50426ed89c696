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


def alf_folders(path: Path) -> dict[str, Path]:
    """Find the ALF folders of a session: its own, or one for each of its probes.

    Args:
        path: ALF folder, folder of a probe or of a session, which holds `alf/`.

    Returns:
        the folders by the names of the probes. Where nothing has spikes, the folder that should.

    Raises:
        BeastError: if the spikes of one probe were sorted by several programs.

    Examples:
        >>> alf_folders(Path('nowhere'))
        {'nowhere': PosixPath('nowhere')}
    """
    inside = path / 'alf'
    folder = inside if alf_file(path, _SPIKES) is None and inside.is_dir() else path
    if alf_file(folder, _SPIKES) is not None:
        return {folder.name: folder}
    if folder.parent.name == 'alf':
        # what is below the folder of a probe are its sorters, and not further probes
        sorters = [item for item in _below(folder) if _has_spikes(item)]
        if len(sorters) > 1:
            raise _several(folder, sorters)
    probes = {}
    for probe in _below(folder):
        found = [item for item in (probe, *_below(probe)) if _has_spikes(item)]
        if len(found) > 1:
            raise _several(probe, found)
        if found:
            probes[probe.name] = found[0]
    return probes or {folder.name: folder}


def _below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(item for item in folder.iterdir() if item.is_dir() and not _is_revision(item))


def _has_spikes(folder: Path) -> bool:
    return alf_file(folder, _SPIKES) is not None


def _several(probe: Path, folders: list[Path]) -> BeastError:
    return BeastError(
        f'{probe} holds the spikes of several sorters; give {" or ".join(map(str, folders))}'
    )


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
