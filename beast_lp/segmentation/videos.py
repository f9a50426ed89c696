"""Videos with the features of their frames."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.features.extract import ExtractionSettings, extract_features
from beast_lp.features.frames import (
    FrameFeatures,
    keypoint_file,
    read_keypoint_table,
    read_store,
    with_gaps_filled,
    without_gaps,
)
from beast_lp.features.pca import FramePCA
from beast_lp.features.source import FeatureSource
from beast_lp.features.store import store_directories, store_names
from beast_lp.segmentation.clock import recording_times
from beast_lp.segmentation.inputs import Inputs
from beast_lp.segmentation.streams import Streams
from beast_lp.video.boxes import boxes_file

# opens a source by its name; only the host's room knows how
OpenSource = Callable[[str], FeatureSource]
# returns the files that opening a source reads
SourceFiles = Callable[[str], Sequence[Path]]


@dataclass(frozen=True)
class OpenVideo:
    """One video and the features of its frames.

    Attributes:
        name: name in files and tables.
        path: path of the video.
        features: those of each frame that has any.
        frame: numbers of those frames, rising.
        frames: number of frames of the whole video.
        times: seconds from the first frame to each frame, in the video file.
        fps: frames per second in the video file, on average.
        frame_bytes: size of a frame's features on disk.
        source: what made the features.
        made_by: everything that features must share to serve one model: weights, image size,
            patches and their basis, number of keypoints.
        content: hash of the video that the features were computed from, or of the keypoints.
        clock: seconds of each frame on the clock of the recording; None where that is the file's.
    """

    name: str
    path: Path
    features: Streams
    frame: Int[np.ndarray, ' rows']
    frames: int
    times: Float[np.ndarray, ' frames']
    fps: float
    frame_bytes: int
    source: str
    made_by: str
    content: str
    clock: Float[np.ndarray, ' frames'] | None = None


def comes_from_files(config: SegmentationConfig) -> bool:
    """Return whether the features are read from files, so that no source computes them."""
    return not config.stored_kinds or config.features_dir is not None


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
    if comes_from_files(config):
        return None
    if name is None:
        raise BeastError(
            'the config does not say where the features come from: set beast.segmentation.source '
            '(or model.backbone_checkpoint) to the output directory of `litpose pretrain` or to '
            'another source of `litpose embed`, or beast.segmentation.features_dir to what that '
            'wrote'
        )
    source = open_source(name)
    if config.bbox_dir is not None and isinstance(source, FramePCA):
        raise BeastError(
            f'{source.name} takes whole frames; leave out beast.segmentation.bbox_dir'
        )
    if 'patches' in config.kinds and source.grid is None:
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
    # first: whoever lacks predictions need not wait for features
    tables = _keypoint_files(videos, config, inputs)
    folders = _stores(videos, config, inputs, directory, source)
    names = [folder.name for folder in folders] if folders else store_names(videos)
    opened = []
    for number, (name, video) in enumerate(zip(names, videos, strict=True)):
        boxes = boxes_file(inputs.bbox_dir, video) if inputs.bbox_dir else None
        parts = [read_store(folders[number], kind, video, boxes) for kind in config.stored_kinds]
        if tables:
            # the network itself adds the differences between frames, which are the velocities
            parts.append(_keypoints(tables[number], video, parts))
        opened.append(_video(name, video, parts, config, inputs))
    return opened


def _keypoint_files(
    videos: Sequence[Path],
    config: SegmentationConfig,
    inputs: Inputs,
) -> list[Path]:
    """Return the table of keypoints of each video; none if they are no part of the features.

    Raises:
        BeastError: if one is missing, or two videos would share one.
    """
    if 'keypoints' not in config.kinds:
        return []
    check_stems(videos, f'predictions in {inputs.keypoints_dir}')
    tables = [keypoint_file(inputs.keypoints_dir or Path(), video.stem) for video in videos]
    missing = [table for table in tables if not table.exists()]
    if missing:
        others = f' (nor {len(missing) - 1} others like it)' if missing[1:] else ''
        raise BeastError(
            f'there is no {missing[0]}{others}, although the features are '
            f'{" and ".join(config.kinds)}; write it with `litpose predict`, or set '
            'beast.segmentation.keypoints_dir to the folder that holds it'
        )
    return tables


def _stores(
    videos: Sequence[Path],
    config: SegmentationConfig,
    inputs: Inputs,
    directory: Path,
    source: FeatureSource | None,
) -> list[Path]:
    """Return the store of each video, computing those that do not exist; none if none are read.

    Raises:
        BeastError: if the features were stored, and nothing says where.
    """
    if not config.stored_kinds:
        return []
    if source is not None:
        return extract_features(source, videos, directory, _extraction(config, source, inputs))
    if inputs.features_dir is not None:
        return store_directories(inputs.features_dir, videos)
    raise BeastError(
        'this model was trained on features that `litpose embed` wrote; embed these videos '
        'with the same source and set beast.segmentation.features_dir to the folder'
    )


def _keypoints(path: Path, video: Path, beside: Sequence[FrameFeatures]) -> FrameFeatures:
    """Read the keypoints of a video.

    Frames that lack one have no features. Beside stored features, which have no gaps, its place is
    taken from the frames around: leaving frames out would lose what is stored of them.

    Raises:
        BeastError: if the stored features are of another number of frames.
    """
    keypoints = read_keypoint_table(path, video=video)
    if not beside:
        return without_gaps(keypoints, path)
    keypoints = with_gaps_filled(keypoints, path)
    frames = beside[0].frames_in_video
    if keypoints.frames_in_video != frames:
        raise BeastError(
            f'{path} has {keypoints.frames_in_video} rows, as {video} has frames, but the stored '
            f'features are of a video of {frames} frames; embed the video again'
        )
    return replace(keypoints, values=keypoints.values[beside[0].frame], frame=beside[0].frame)


def _extraction(
    config: SegmentationConfig,
    source: FeatureSource,
    inputs: Inputs,
) -> ExtractionSettings:
    """Return which features of a source are stored."""
    if 'patches' not in config.kinds:
        return ExtractionSettings(bbox_dir=inputs.bbox_dir)
    grid = config.patch_grid
    if grid is not None and source.grid is not None:
        grid = min(grid, max(source.grid))
    return ExtractionSettings(patches=True, patch_grid=grid, bbox_dir=inputs.bbox_dir)


def _video(
    name: str,
    video: Path,
    parts: Sequence[FrameFeatures],
    config: SegmentationConfig,
    inputs: Inputs,
) -> OpenVideo:
    """Put features of the same frames side by side."""
    first = parts[0]
    times = _all_times(first)
    return OpenVideo(
        name,
        video,
        Streams(tuple(part.values for part in parts)),
        first.frame,
        first.frames_in_video,
        times,
        first.fps or 1.0,
        sum(part.frame_bytes for part in parts),
        _joined(
            part.source if part.is_keypoints else f'{kind} of {part.source}'
            for kind, part in zip(config.kinds, parts, strict=True)
        ),
        _joined(part.made_by for part in parts),
        _joined(part.content for part in parts),
        recording_times(config, inputs.camera_times, video, times),
    )


def _joined(texts: Iterable[str]) -> str:
    return ' + '.join(dict.fromkeys(texts))


def _all_times(features: FrameFeatures) -> Float[np.ndarray, ' frames']:
    """Return seconds of all frames of a video, of which a store may have every n-th only."""
    frame, time, wanted = features.frame, features.time, np.arange(features.frames_in_video)
    assert time is not None
    if len(frame) == len(wanted):
        return np.array(time)
    step = 1 / (features.fps or 1.0)
    if len(frame) > 1:
        step = float(np.median(np.diff(time) / np.diff(frame)))
    outside = wanted - np.clip(wanted, frame[0], frame[-1])
    return np.interp(wanted, frame, time) + step * outside
