"""Videos with the features of their frames."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.features.extract import ExtractionSettings, extract_features
from beast_lp.features.keypoints import keypoint_features, read_keypoints
from beast_lp.features.source import FeatureSource
from beast_lp.features.store import FeatureStore, store_directories, store_names
from beast_lp.runs.keys import digest
from beast_lp.segmentation.sequences import Features
from beast_lp.video.identity import source_key
from beast_lp.video.read import count_frames, probe, time_stamps

logger = logging.getLogger(f'lightning_pose.{__name__}')

# opens a source by its name; only the host's room knows how
OpenSource = Callable[[str], FeatureSource]


@dataclass(frozen=True)
class Inputs:
    """Absolute paths of what a run reads.

    Attributes:
        videos: all videos that are trained or scored on.
        held_out: those of them that the config names as test videos.
        labels: folder of label files, or one BORIS table.
        source: name of what makes the features, where a backbone computes them.
        features_dir: folder of stores that `litpose embed` wrote, where features come from there.
        keypoints_dir: folder of prediction files, where features are keypoints.
    """

    videos: Sequence[Path]
    held_out: Sequence[Path]
    labels: Path
    source: str | None
    features_dir: Path | None
    keypoints_dir: Path | None


@dataclass(frozen=True)
class OpenVideo:
    """One video and the features of its frames.

    Attributes:
        name: name in files and tables.
        path: path of the video.
        features: one row per frame that has features.
        frame: numbers of those frames, rising.
        frames: number of frames of the whole video.
        times: seconds from the first frame to each frame.
        fps: frames per second, on average.
        frame_bytes: size of a frame's features on disk.
        source: what made the features.
        made_by: everything that features must share to serve one model: weights, image size,
            patches and their basis.
        content: hash of the video that the features were computed from, or of the keypoints.
    """

    name: str
    path: Path
    features: Features
    frame: Int[np.ndarray, ' rows']
    frames: int
    times: Float[np.ndarray, ' frames']
    fps: float
    frame_bytes: int
    source: str
    made_by: str
    content: str


def feature_source(
    config: SegmentationConfig,
    name: str | None,
    open_source: OpenSource,
) -> FeatureSource | None:
    """Open what makes the features; return None where they come from files.

    Args:
        config: decides the kind of features.
        name: name of the source; None if the config has none.
        open_source: turns a name into a source.

    Raises:
        BeastError: if a source is needed and not named, or does not have such features.
    """
    if config.features == 'keypoints' or config.features_dir is not None:
        return None
    if name is None:
        raise BeastError(
            'the config does not say where the features come from: set beast.segmentation.source '
            '(or model.backbone_checkpoint) to the output directory of `litpose pretrain` or to '
            'another source of `litpose embed`, or beast.segmentation.features_dir to what that '
            'wrote'
        )
    source = open_source(name)
    if config.features == 'patches' and source.grid is None:
        raise BeastError(
            f'{source.name} ({source.kind}) has no patches; set beast.segmentation.features=cls'
        )
    return source


def open_videos(
    videos: Sequence[Path],
    config: SegmentationConfig,
    inputs: Inputs,
    directory: Path,
    source: FeatureSource | None,
) -> list[OpenVideo]:
    """Open the features of videos, computing those that do not exist yet.

    Args:
        videos: video files, one path each.
        config: decides the kind of features.
        inputs: paths of features that come from files.
        directory: folder of the stores that are computed.
        source: what makes the features; None where they come from files.

    Raises:
        BeastError: if features are missing, not those of the video, or not of one kind.
    """
    opened = _open(videos, config, inputs, directory, source)
    for first, other in pairwise(opened):
        if other.made_by != first.made_by:
            raise BeastError(
                f'the features of {first.name} and {other.name} differ in what made them '
                f'({first.made_by}; {other.made_by}); make all in the same way'
            )
    return opened


def check_stems(videos: Sequence[Path], what: str) -> None:
    """Refuse two videos with the same name, where a file is found by the name of its video.

    Args:
        videos: video files, one path each.
        what: files that are found by the name, for the message.

    Raises:
        BeastError: if two have the same name in different folders or formats.
    """
    seen: dict[str, Path] = {}
    for video in videos:
        other = seen.setdefault(video.stem, video)
        if other != video:
            raise BeastError(
                f'{other} and {video} have the same name, by which {what} would be taken for '
                'both; rename one of them, and what belongs to it'
            )


def _open(
    videos: Sequence[Path],
    config: SegmentationConfig,
    inputs: Inputs,
    directory: Path,
    source: FeatureSource | None,
) -> list[OpenVideo]:
    if config.features == 'keypoints':
        check_stems(videos, f'predictions in {inputs.keypoints_dir}')
        return [
            _from_keypoints(name, video, inputs.keypoints_dir)
            for name, video in zip(store_names(videos), videos, strict=True)
        ]
    if source is not None:
        folders = extract_features(source, videos, directory, _extraction(config, source))
    elif inputs.features_dir is not None:
        folders = store_directories(inputs.features_dir, videos)
    else:
        raise BeastError(
            'this model was trained on features that `litpose embed` wrote; embed these videos '
            'with the same source and set beast.segmentation.features_dir to the folder'
        )
    return [
        _from_store(video, FeatureStore.open(folder), config.features)
        for video, folder in zip(videos, folders, strict=True)
    ]


def _extraction(config: SegmentationConfig, source: FeatureSource) -> ExtractionSettings:
    """Return which features of a source are stored."""
    if config.features == 'cls':
        return ExtractionSettings()
    grid = config.patch_grid
    if grid is not None and source.grid is not None:
        grid = min(grid, max(source.grid))
    return ExtractionSettings(patches=True, patch_grid=grid)


def _from_store(video: Path, store: FeatureStore, kind: str) -> OpenVideo:
    features = store.cls if kind == 'cls' else store.patches
    if features is None:
        raise BeastError(
            f'{store.directory} holds no patch features; run `litpose embed` with them, or set '
            'beast.segmentation.features=cls'
        )
    if store.info.video_key != source_key(video, None):
        logger.warning(
            f'beast: the features in {store.directory} were made of another file than {video}, or '
            'of frames that were cropped to boxes'
        )
    info = store.info
    made_by = f'weights {info.source_hash}, images {info.image_size}'
    if kind == 'patches':
        made_by += f', patches {info.grid}, basis {info.patch_basis}'
    return OpenVideo(
        store.directory.name,
        video,
        features,
        store.frame,
        info.frames,
        _all_times(store),
        info.fps or 1.0,
        info.bytes_per_frame,
        info.source,
        made_by,
        info.video_key,
    )


def _all_times(store: FeatureStore) -> Float[np.ndarray, ' frames']:
    """Return seconds of all frames of a video, of which a store may have every n-th only."""
    frame, time, wanted = store.frame, store.time, np.arange(store.info.frames)
    if len(frame) == len(wanted):
        return np.array(time)
    step = 1 / (store.info.fps or 1.0)
    if len(frame) > 1:
        step = float(np.median(np.diff(time) / np.diff(frame)))
    outside = wanted - np.clip(wanted, frame[0], frame[-1])
    return np.interp(wanted, frame, time) + step * outside


def _from_keypoints(name: str, video: Path, directory: Path | None) -> OpenVideo:
    path = (directory or Path()) / f'{video.stem}.csv'
    positions, _ = read_keypoints(path)
    frames, rate, times = count_frames(video), probe(video).fps, time_stamps(video)
    if len(positions) != frames:
        raise BeastError(
            f'{path} has {len(positions)} rows, but {video} has {frames} frames; predict the '
            'video again'
        )
    rate = rate if rate > 0 else 1.0
    if times is None or len(times) != frames:
        times = np.arange(frames) / rate
    # the network itself adds the differences between frames, which are the velocities
    values = keypoint_features(positions)
    return OpenVideo(
        name,
        video,
        values,
        np.arange(frames),
        frames,
        times,
        rate,
        round(path.stat().st_size / frames),
        'keypoints',
        f'{values.shape[1] // 2} keypoints',
        digest(values.tobytes()).hexdigest(),
    )
