"""Files that a run reads: sessions, and for each the sources of features to compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from beast_lp.encoding.named_table import SUFFIXES as TABLE_SUFFIXES
from beast_lp.encoding.named_table import read_named_table
from beast_lp.encoding.number_files import read_numbers
from beast_lp.errors import BeastError
from beast_lp.features.frames import (
    FrameFeatures,
    keypoint_file,
    read_keypoint_table,
    read_store,
)
from beast_lp.features.store import INFO_NAME
from beast_lp.runs.names import name_of, split_name, split_paths
from beast_lp.runs.words import can_name_a_file
from beast_lp.video.keypoint_table import SUFFIXES as KEYPOINT_SUFFIXES
from beast_lp.video.keypoint_table import is_keypoint_file

_SUFFIXES = (*KEYPOINT_SUFFIXES, *TABLE_SUFFIXES)


@dataclass(frozen=True)
class SourceFiles:
    """One source of features for all sessions, a row of the comparison.

    Attributes:
        name: name in tables and figures.
        paths: for each view a store, a file of keypoints, a named table, or a folder of these;
            the features of several views stand side by side.
        velocities: whether the steps of keypoints from frame to frame are added.
    """

    name: str
    paths: tuple[Path, ...]
    velocities: bool = False


def parse_named(items: Sequence[str], what: str) -> list[tuple[str, Path]]:
    """Split `NAME=PATH`, or `PATH`, which is named as its file or folder.

    Args:
        items: arguments of the command line, or entries of the config.
        what: noun for the items, for messages: `features` or `spikes`.

    Returns:
        names and absolute paths, in order.

    Raises:
        BeastError: if there are no items, two share a name, or a name cannot be part of a path.

    Examples:
        >>> parse_named(['mouse=/data/a.npz', '/data/b.npz'], 'spikes')
        [('mouse', PosixPath('/data/a.npz')), ('b', PosixPath('/data/b.npz'))]
    """
    if not items:
        raise BeastError(f'no {what} were given; name one or more with --{what}')
    named = []
    for item in items:
        name, given = split_name(item)
        path = Path(given).expanduser().absolute()
        if name is None:
            # the folder of an ALF session is named for the session, alf/ in it is not
            name = path.parent.name if path.name == 'alf' else name_of(path)
        named.append((name, path))
    names = [name for name, _ in named]
    for name in names:
        if not can_name_a_file(name):
            raise BeastError(
                f'{name!r} cannot be the name of {what}: write NAME=PATH, with a name that can be '
                'part of a file name, in UTF-8'
            )
        if names.count(name) > 1:
            raise BeastError(
                f'two of the {what} are called {name!r}; tell them apart with NAME=PATH'
            )
    return named


def find_sources(named: Sequence[tuple[str, Path]]) -> list[SourceFiles]:
    """Return the sources to compare; keypoints make two, without and with velocities.

    Args:
        named: name and path of each source; a path may be several, joined by commas.

    Raises:
        BeastError: if a path does not exist or holds no features.
    """
    sources = []
    for name, joined in named:
        paths = tuple(_views(joined))
        for path in paths:
            if not path.exists():
                raise BeastError(f'there are no features at {path}; correct the path of {name!r}')
            if path.is_file() and path.suffix.lower() not in _SUFFIXES:
                raise BeastError(
                    f'{path} holds no features; give what `litpose embed` wrote, predicted '
                    f'keypoints, or a table ({", ".join(dict.fromkeys(_SUFFIXES))})'
                )
        sources.append(SourceFiles(name, paths))
        if all(_holds_keypoints(path) for path in paths):
            sources.append(SourceFiles(f'{name} + velocities', paths, velocities=True))
    return sources


def read_features(
    source: SourceFiles,
    session: str,
    only: bool,
    tokens: str,
) -> tuple[FrameFeatures, ...]:
    """Read the features of one session.

    Args:
        source: files of the source.
        session: name of the session; of a folder, its store or CSV of that name is read.
        only: whether there is no other session, so that a lone store or CSV may have any name.
        tokens: `cls` or `patches`, read from a store.

    Returns:
        the features of each view, of the same frames.

    Raises:
        BeastError: if there are none for this session, or they cannot be read.
    """
    paths = [_of_session(source.name, path, session, only) for path in source.paths]
    views = tuple(_read_view(path, source.velocities, tokens) for path in paths)
    timed = [view for view in views if view.clock is not None]
    if timed and len(source.paths) > 1:
        raise BeastError(
            f'{source.name!r} puts a table with times of its own beside other features; give it '
            'as a source of its own'
        )
    if any(not np.array_equal(view.frame, views[0].frame) for view in views):
        found = ', '.join(str(len(view.frame)) for view in views)
        raise BeastError(
            f'the views of {source.name!r} do not have features of the same frames ({found} '
            f'frames in session {session!r}); embed videos of one camera clock with one stride'
        )
    return views


def _read_view(path: Path, velocities: bool, tokens: str) -> FrameFeatures:
    if path.is_dir():
        return read_store(path, tokens)
    if is_keypoint_file(path):
        return read_keypoint_table(path, velocities)
    return read_named_table(path)


def check_made_alike(source: SourceFiles, made_by: Mapping[str, Sequence[str]]) -> None:
    """Check that the features of all sessions were made in the same way.

    Args:
        source: source of the features.
        made_by: `FrameFeatures.made_by` of each view, by session.

    Raises:
        BeastError: if they differ.
    """
    if len({tuple(views) for views in made_by.values()}) > 1:
        found = '; '.join(
            f'{session}: {" + ".join(dict.fromkeys(views))}' for session, views in made_by.items()
        )
        raise BeastError(
            f'the features of {source.name!r} were made in different ways ({found}), so their '
            'scores cannot be compared; run `litpose embed` for all videos with one backbone and '
            'the same settings'
        )


def check_one_each(path: Path, sessions: Sequence[str], what: str) -> None:
    """Check that no session gets the times of another.

    Args:
        path: path that `numbers_of` takes.
        sessions: names of all sessions.
        what: noun for its content, for the message.

    Raises:
        BeastError: if it is one file, and there are several sessions.
    """
    if len(sessions) > 1 and path.is_file():
        raise BeastError(
            f'{path} holds the {what} of one session, but there are {len(sessions)} '
            f'({", ".join(sessions)}); give a folder that holds <session>.npy of each'
        )


def numbers_of(
    path: Path,
    session: str,
    what: str,
) -> tuple[Float[np.ndarray, ' numbers'], Path]:
    """Read the numbers of a session.

    Args:
        path: .npy or .csv file, or folder of <session>.npy or .csv.
        session: name of the session.
        what: noun for the numbers, for messages.

    Returns:
        the numbers, and the file that holds them.

    Raises:
        BeastError: if the file is missing or holds no column of numbers.
    """
    path = file_of(path, session)
    return read_numbers(path, what), path


def file_of(path: Path, session: str) -> Path:
    """Return the file of a session, which a path of a file is for all.

    Args:
        path: .npy or .csv file, or folder of <session>.npy or .csv.
        session: name of the session.
    """
    if not path.is_dir():
        return path
    files = [path / f'{session}{suffix}' for suffix in ('.npy', '.csv')]
    return next((file for file in files if file.exists()), files[0])


def _holds_keypoints(path: Path) -> bool:
    if path.is_file():
        return is_keypoint_file(path)
    if (path / INFO_NAME).exists() or any(path.glob(f'*/{INFO_NAME}')):
        return False
    files = (item for item in sorted(path.iterdir()) if item.suffix.lower() in KEYPOINT_SUFFIXES)
    first = next(files, None)
    return first is not None and is_keypoint_file(first)


def _views(joined: Path) -> list[Path]:
    """Split `PATH,PATH,...`."""
    first, *others = split_paths(str(joined))
    return [Path(first), *(Path(other).expanduser().absolute() for other in others)]


def _of_session(name: str, path: Path, session: str, only: bool) -> Path:
    alone = path.is_file() or (path / INFO_NAME).exists()
    if alone:
        if not only and name_of(path) != session:
            raise BeastError(
                f'{path} ({name!r}) holds the features of one video, but there are several '
                'sessions; give the folder that holds those of all'
            )
        return path
    tables = [path / f'{session}{suffix}' for suffix in TABLE_SUFFIXES]
    inside = [path / session, keypoint_file(path, session), *tables]
    found = [item for item in inside if item.exists()]
    if not found:
        known = sorted(
            name_of(item)
            for item in path.iterdir()
            if item.suffix.lower() in _SUFFIXES or (item / INFO_NAME).exists()
        )
        raise BeastError(
            f'{path} holds no features of session {session!r}, only of '
            f'{", ".join(known) or "none"}; name the session by --spikes SESSION=PATH as its '
            'video is called'
        )
    return found[0]
