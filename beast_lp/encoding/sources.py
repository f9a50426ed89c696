"""Which files a run reads: sessions, and for each the sources of features to compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from beast_lp.encoding.align import camera_clock
from beast_lp.encoding.spikes import Activity, Binned, load_array
from beast_lp.errors import BeastError
from beast_lp.features.keypoints import keypoint_features, read_keypoints
from beast_lp.features.store import INFO_NAME, FeatureStore


@dataclass(frozen=True)
class SourceFiles:
    """One row of the comparison: features of a kind, of every session.

    Attributes:
        name: for tables and figures.
        paths: of each view a store, a folder of stores, a prediction CSV or a folder of these;
            the features of several views stand side by side.
        velocities: of keypoints, add the steps from frame to frame.
    """

    name: str
    paths: tuple[Path, ...]
    velocities: bool = False


@dataclass(frozen=True)
class FrameFeatures:
    """Features of one video, frame by frame.

    Attributes:
        arrays: whose rows, one per frame that has features, are read side by side; memory maps
            where they lie in a store.
        frame: ordinals of these frames in the video.
        time: their seconds since the video's first frame; None where the file has no times.
        frames_in_video: of the whole video.
        made_by: of each array the hash of the weights that made it, empty for keypoints.
    """

    arrays: tuple[Float[np.ndarray, 'frames ...'], ...]
    frame: Int[np.ndarray, ' frames']
    time: Float[np.ndarray, ' frames'] | None
    frames_in_video: int
    made_by: tuple[str, ...]


def parse_named(items: Sequence[str], what: str) -> list[tuple[str, Path]]:
    """Split `NAME=PATH` or `PATH`, which is named by itself.

    Args:
        items: as given.
        what: is named, for messages.

    Returns:
        names and absolute paths, in order.

    Raises:
        BeastError: if nothing is given, or two have one name.
    """
    if not items:
        raise BeastError(f'no {what} were given; name one or more with --{what}')
    named = []
    for item in items:
        name, separator, path = item.partition('=')
        path = Path(path if separator else item).expanduser().absolute()
        if not separator:
            # the folder of an ALF session is named for the session, alf/ in it is not
            name = path.parent.name if path.name == 'alf' else path.stem
        named.append((name, path))
    names = [name for name, _ in named]
    for name in names:
        if not name or '/' in name:
            raise BeastError(
                f'{name!r} does not do as the name of {what}: write NAME=PATH, with a name that '
                'can be part of a file name'
            )
        if names.count(name) > 1:
            raise BeastError(
                f'two of the {what} are called {name!r}; tell them apart with NAME=PATH'
            )
    return named


def find_sources(named: Sequence[tuple[str, Path]]) -> list[SourceFiles]:
    """Return the rows of the comparison; keypoints make two, without and with velocities.

    Raises:
        BeastError: if a path does not exist or holds no features.
    """
    sources = []
    for name, joined in named:
        paths = tuple(_views(joined))
        for path in paths:
            if not path.exists():
                raise BeastError(f'there are no features at {path}; correct the path of {name!r}')
            if path.is_file() and path.suffix.lower() != '.csv':
                raise BeastError(
                    f'{path} holds no features; give what `litpose embed` wrote, or a CSV file of '
                    "the host's predictions"
                )
        sources.append(SourceFiles(name, paths))
        if all(_holds_keypoints(path) for path in paths):
            sources.append(SourceFiles(f'{name} + velocities', paths, velocities=True))
    return sources


def read_features(source: SourceFiles, session: str, only: bool, tokens: str) -> FrameFeatures:
    """Read the features of one session.

    Args:
        source: where.
        session: its name; where the source is a folder, the store or CSV of that name in it.
        only: there is one session, which a lone store or CSV belongs to whatever its name.
        tokens: of a store, `cls`, `patches` or `both`.

    Raises:
        BeastError: if there are none for this session, or they cannot be read.
    """
    views = [
        _read_view(_of_session(source.name, path, session, only), source.velocities, tokens)
        for path in source.paths
    ]
    if len(views) == 1:
        return views[0]
    first = views[0]
    if any(not np.array_equal(view.frame, first.frame) for view in views):
        found = ', '.join(str(len(view.frame)) for view in views)
        raise BeastError(
            f'the views of {source.name!r} do not have features of the same frames ({found} '
            f'frames in session {session!r}); embed videos of one camera clock with one stride'
        )
    time = next((view.time for view in views if view.time is not None), None)
    return FrameFeatures(
        tuple(array for view in views for array in view.arrays),
        first.frame,
        time,
        first.frames_in_video,
        tuple(made_by for view in views for made_by in view.made_by),
    )


def _read_view(path: Path, velocities: bool, tokens: str) -> FrameFeatures:
    if path.suffix.lower() == '.csv':
        positions, _ = read_keypoints(path)
        values = keypoint_features(positions, velocities)
        return FrameFeatures((values,), np.arange(len(values)), None, len(values), ('',))
    store = FeatureStore.open(path)
    arrays = []
    if tokens != 'patches':
        arrays.append(store.cls)
    if tokens != 'cls' and store.patches is not None:
        arrays.append(store.patches)
    if not arrays:
        raise BeastError(
            f'beast.encoding.tokens is {tokens}, but {path} holds no patch features; run `litpose '
            'embed` with patches, or set tokens to cls'
        )
    return FrameFeatures(
        tuple(arrays),
        store.frame,
        store.time,
        store.info.frames or int(store.frame[-1]) + 1,
        (store.info.source_hash,) * len(arrays),
    )


def check_one_backbone(source: SourceFiles, hashes: dict[str, tuple[str, ...]]) -> None:
    """Make sure that the features of all sessions were made by the same weights.

    Args:
        source: of the features.
        hashes: of the weights that made its arrays, by session.

    Raises:
        BeastError: if they differ.
    """
    if len(set(hashes.values())) > 1:
        found = ', '.join(
            f'{session}: {"+".join(dict.fromkeys(value[:8] or "keypoints" for value in values))}'
            for session, values in hashes.items()
        )
        raise BeastError(
            f'the features of {source.name!r} come from different backbones ({found}), so their '
            'scores cannot be compared; run `litpose embed` for all videos with one backbone'
        )


def frame_times(
    session: str,
    activity: Activity,
    features: Sequence[FrameFeatures],
    camera_times: Path | None,
    offset: float,
) -> tuple[Float[np.ndarray, ' frames'], str]:
    """Find out when each frame of a session's video was taken, on the clock of the spikes.

    The given camera times go before those beside the counts, and these before the video's own.

    Args:
        session: its name.
        activity: its neurons.
        features: of the session's video, from all sources.
        camera_times: as `numbers_of` takes it; None for no file.
        offset: seconds to add.

    Returns:
        one time per frame of the video, and a sentence about what may be wrong with them (empty
        if nothing may).

    Raises:
        BeastError: if the times do not fit the video, or there are none at all.
    """
    frames = max(item.frames_in_video for item in features)
    given = None
    if camera_times is not None:
        given = numbers_of(camera_times, session, 'camera times')
    elif isinstance(activity, Binned) and activity.frame_times is not None:
        given = activity.frame_times, activity.source
    if given is not None:
        stamps, source = given
        surplus = len(stamps) - frames
        return camera_clock(stamps, frames, offset, source), '' if surplus <= 0 else (
            f'{source} holds {len(stamps)} camera times for a video of {frames} frames, and the '
            f'last {surplus} were cut off; if frames are missing before the end of the video, the '
            'times of all that follow are wrong'
        )
    for item in features:
        if item.time is not None:
            # of frames without features the time is not known, and not needed
            times = np.interp(np.arange(frames), item.frame, item.time) + offset
            # whoever gave an offset has thought of the two clocks
            return times, '' if offset else (
                'no camera times were given, so the times in the video file were taken, as if the '
                f'first frame had been filmed at {times[0]:g} s on the clock of the neurons; '
                'unless it was, set beast.encoding.camera_times or clock_offset_s'
            )
    raise BeastError(
        f'nothing says when the frames of session {session!r} were taken: keypoint files have no '
        'times; set beast.encoding.camera_times, or add the features of a store'
    )


def check_one_each(path: Path, sessions: Sequence[str], what: str) -> None:
    """Make sure that no session gets the times of another.

    Args:
        path: as `numbers_of` takes it.
        sessions: names of all.
        what: is in it, for the message.

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
    """Read one column of numbers that belongs to a session.

    Args:
        path: a .npy or .csv file, or a folder of <session>.npy or .csv.
        session: its name.
        what: the numbers are, for messages.

    Returns:
        the numbers, and the file that holds them.

    Raises:
        BeastError: if it is missing or no such file.
    """
    if path.is_dir():
        files = [path / f'{session}{suffix}' for suffix in ('.npy', '.csv')]
        path = next((file for file in files if file.exists()), files[0])
    return read_numbers(path, what), path


def read_numbers(path: Path, what: str) -> Float[np.ndarray, ' numbers']:
    """Read one column of numbers from a .npy or .csv file.

    Raises:
        BeastError: if it is missing or no such file.
    """
    if not path.exists():
        raise BeastError(f'there are no {what} at {path}; correct the path')
    try:
        if path.suffix == '.csv':
            values = pd.read_csv(path, header=None).apply(pd.to_numeric, errors='coerce')
            values = values.to_numpy(dtype=np.float64)
            # a header
            values = values[1:] if len(values) and np.isnan(values[0]).all() else values
        else:
            values = load_array(path).astype(np.float64)
        if values.ndim == 2 and 1 in values.shape:
            values = values.ravel()
    except (ValueError, TypeError, OSError) as error:
        raise BeastError(
            f'{path} cannot be read as {what} ({error}); give a .npy file or a .csv of one column'
        ) from error
    if values.ndim != 1 or not values.size:
        raise BeastError(
            f'{path} must hold one column of {what}, found an array of {values.shape}'
        )
    return values


def _holds_keypoints(path: Path) -> bool:
    if path.is_file():
        return path.suffix.lower() == '.csv'
    stores = (path / INFO_NAME).exists() or any(path.glob(f'*/{INFO_NAME}'))
    return not stores and any(path.glob('*.csv'))


def _views(joined: Path) -> list[Path]:
    """Split `PATH,PATH,...`; a path that exists as it is may hold commas itself."""
    if joined.exists():
        return [joined]
    first, *others = str(joined).split(',')
    return [Path(first), *(Path(other).expanduser().absolute() for other in others)]


def _of_session(name: str, path: Path, session: str, only: bool) -> Path:
    alone = path.is_file() or (path / INFO_NAME).exists()
    if alone:
        if not only and path.stem != session:
            raise BeastError(
                f'{path} ({name!r}) holds the features of one video, but there are several '
                'sessions; give the folder that holds those of all'
            )
        return path
    inside = [path / session, path / f'{session}.csv']
    found = [item for item in inside if item.exists()]
    if not found:
        known = sorted(
            item.stem
            for item in path.iterdir()
            if item.suffix == '.csv' or (item / INFO_NAME).exists()
        )
        raise BeastError(
            f'{path} holds no features of session {session!r}, only of '
            f'{", ".join(known) or "none"}; name the session by --spikes SESSION=PATH as its '
            'video is called'
        )
    return found[0]
