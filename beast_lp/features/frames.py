"""Features of a video frame by frame, from a feature store or a table of predicted keypoints.

Neural encoding and behaviour segmentation read features here, so both check them alike.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from beast_lp.errors import BeastError
from beast_lp.features.keypoints import keypoint_features, read_keypoints
from beast_lp.features.store import FeatureStore
from beast_lp.runs.keys import digest
from beast_lp.video.identity import source_key
from beast_lp.video.keypoint_table import SUFFIXES, leaves_frames_out
from beast_lp.video.read import probe, times_of

logger = logging.getLogger(f'lightning_pose.{__name__}')


@dataclass(frozen=True)
class FrameFeatures:
    """Features of one video.

    Attributes:
        values: one row per frame that has features; a memory map where they lie in a store.
        frame: ordinals of these frames in the video, rising.
        time: seconds of these frames since the video's first one; None for a table of keypoints
            whose video is not given.
        frames_in_video: number of frames of the whole video.
        fps: average frames per second; None where that is unknown.
        frame_bytes: bytes of a frame's features on disk.
        source: name of what made the features.
        made_by: all that features must have in common to be comparable: weights and image size,
            for patches also their grid and basis; of keypoints their number.
        content: key of the video that the features were computed from, or of the keypoints.
        is_keypoints: whether the features are few and each has a meaning, such as keypoints and
            the columns of a table; they are NaN where one is missing.
        units: number of each feature's unit; features of one unit share a scale. None: all have
            the same.
        may_end_early: whether the video may have more frames, in which no animal was found.
        clock: seconds of the rows on the clock of the neurons; None where they are frames of the
            video, or trials.
        is_table: whether they are the columns of a table.
    """

    values: Float[np.ndarray, 'frames ...']
    frame: Int[np.ndarray, ' frames']
    time: Float[np.ndarray, ' frames'] | None
    frames_in_video: int
    fps: float | None
    frame_bytes: int
    source: str
    made_by: str
    content: str
    is_keypoints: bool = False
    units: Int[np.ndarray, ' features'] | None = None
    may_end_early: bool = False
    clock: Float[np.ndarray, ' frames'] | None = None
    is_table: bool = False


def read_store(
    directory: Path,
    tokens: str,
    video: Path | None = None,
    boxes: Path | None = None,
) -> FrameFeatures:
    """Open the features of a feature store.

    Args:
        directory: folder of one video, as `litpose embed` wrote it.
        tokens: `cls` or `patches`.
        video: file that the features should belong to, if it is at hand; a warning says if they
            were made of another file.
        boxes: file of the boxes that its frames should have been cropped to; None for whole ones.

    Raises:
        BeastError: if there is no complete store, it has no patches, or its frames are in
            disorder.
    """
    store = FeatureStore.open(directory)
    info = store.info
    values = store.cls if tokens == 'cls' else store.patches
    if values is None:
        raise BeastError(
            f'{directory} holds no patch features; run `litpose embed` with --patches, or use the '
            'CLS tokens (`cls`) instead'
        )
    frames = info.frames or int(store.frame[-1]) + 1
    bounded = np.concatenate([[-1], store.frame, [frames]])
    if (np.diff(bounded) < 1).any() or (np.diff(store.time) < 0).any():
        raise BeastError(
            f'{directory} does not hold frames of a video of {frames} frames in their order; '
            'delete the folder and run `litpose embed` again'
        )
    if video is not None and info.video_key != source_key(video, boxes):
        logger.warning(
            f'beast: the features in {directory} were made of another file than {video}, or of '
            f'frames that were cropped to {"other boxes" if boxes else "boxes"}'
        )
    made_by = f'weights {info.source_hash}, images {info.image_size}'
    if tokens == 'patches':
        store.check('patches')
        made_by += f', patches {info.grid}, basis {info.patch_basis}'
    return FrameFeatures(
        values=values,
        frame=store.frame,
        time=store.time,
        frames_in_video=frames,
        fps=info.fps,
        frame_bytes=info.bytes_per_frame,
        source=info.source,
        made_by=made_by,
        content=info.video_key,
    )


def read_keypoint_table(
    path: Path,
    velocities: bool = False,
    video: Path | None = None,
) -> FrameFeatures:
    """Read predicted keypoints as features.

    Args:
        path: file that `litpose predict`, DeepLabCut or SLEAP wrote.
        velocities: add the steps from frame to frame.
        video: file whose keypoints they are, if it is at hand; it gives the times.

    Raises:
        BeastError: if it is no such file, or does not have a row for each frame of the video.
    """
    positions, names = read_keypoints(path)
    frames, fps, time = len(positions), None, None
    sparse = leaves_frames_out(path)
    if video is not None:
        time, rate = times_of(video, frames).seconds, probe(video).fps
        if sparse and frames < len(time):
            gap = np.full((len(time) - frames, *positions.shape[1:]), np.nan)
            positions, frames = np.concatenate([positions, gap]), len(time)
        if frames != len(time):
            raise BeastError(
                f'{path} has {frames} rows, but {len(time)} frames of {video} can be decoded; '
                'predict the video again'
            )
        fps = rate if rate > 0 else None
    values = keypoint_features(positions, velocities)
    return FrameFeatures(
        values=values,
        frame=np.arange(frames),
        time=time,
        frames_in_video=frames,
        fps=fps,
        frame_bytes=round(path.stat().st_size / frames),
        source='keypoints',
        made_by=f'{len(names)} keypoints',
        content=digest(values.tobytes()).hexdigest(),
        is_keypoints=True,
        units=np.repeat(np.arange(1 + velocities), 2 * len(names)),
        may_end_early=sparse,
    )


def without_gaps(features: FrameFeatures, path: Path) -> FrameFeatures:
    """Leave out the frames in which a keypoint is missing, and log how many they are.

    Args:
        features: features of one video.
        path: their file, for messages.

    Raises:
        BeastError: if no frame is left.
    """
    if not features.is_keypoints:
        return features
    whole = np.asarray(np.isfinite(features.values).all(axis=1))
    if whole.all():
        return features
    total, lost = len(whole), int((~whole).sum())
    if lost == total:
        raise BeastError(
            f'none of the {total} frames in {path} has all keypoints; leave out those that are '
            'seldom seen'
        )
    logger.warning(
        f'beast: {lost} of the {total} frames in {path} lack a keypoint, and have no features'
    )
    return replace(
        features,
        values=features.values[whole],
        frame=features.frame[whole],
        time=None if features.time is None else features.time[whole],
    )


def with_gaps_filled(features: FrameFeatures, path: Path) -> FrameFeatures:
    """Place keypoints where they are missing, and log in how many frames.

    A coordinate lies on the line between the frames before and after in which it is known; before
    the first and after the last of them it stays where it is there.

    Args:
        features: keypoints of one video, each known in a frame at least.
        path: their file, for the message.
    """
    known = np.isfinite(features.values)
    if known.all():
        return features
    values = features.values.copy()
    for column, seen in zip(values.T, known.T, strict=True):
        column[~seen] = np.interp(np.flatnonzero(~seen), np.flatnonzero(seen), column[seen])
    logger.warning(
        f'beast: {int((~known.all(axis=1)).sum())} of the {len(known)} frames in {path} lack a '
        'keypoint; its place there is taken from the frames before and after'
    )
    return replace(features, values=values)


def keypoint_file(folder: Path, name: str) -> Path:
    """Return the file of keypoints of a video in a folder.

    Args:
        folder: folder of the predictions of several videos.
        name: name of the video without its suffix.

    Returns:
        `NAME.csv`, `.h5` or `.slp`; else the one file that DeepLabCut (`NAMEDLC_....h5`) or SLEAP
        (`NAME....analysis.h5`, `NAME.predictions.slp`) named for the video; else `NAME.csv`,
        which is not there.

    Raises:
        BeastError: if there are several of one kind.
    """
    plain = [folder / f'{name}{suffix}' for suffix in SUFFIXES]
    found = next((path for path in plain if path.exists()), None)
    if found is not None or not folder.is_dir():
        return found or plain[0]
    kinds: dict[str, list[Path]] = {suffix: [] for suffix in SUFFIXES}
    for path in sorted(folder.iterdir()):
        rest = path.name.removeprefix(name)
        named = path.name.startswith(name) and rest.startswith(('DLC', '.'))
        if named and path.suffix.lower() in kinds:
            kinds[path.suffix.lower()].append(path)
    for files in kinds.values():
        if len(files) > 1:
            raise BeastError(
                f'{folder} holds several files of keypoints of {name} '
                f'({", ".join(file.name for file in files)}); keep one of them there'
            )
        if files:
            return files[0]
    return plain[0]
