"""Write feature stores of videos: decoding overlaps with computing, and runs can be resumed.

Memory does not grow with the length of a video.
"""

import logging
import math
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from beast_lp.errors import BeastError
from beast_lp.features.frame_sample import open_boxes
from beast_lp.features.info import FeatureInfo
from beast_lp.features.patches import BASIS_NAME, PatchReduction, patch_basis, stored_grid
from beast_lp.features.prefetch import prefetch
from beast_lp.features.settings import ExtractionSettings
from beast_lp.features.source import FeatureSource
from beast_lp.features.store import FeatureStore, store_directories
from beast_lp.features.writer import FeatureWriter, store_difference
from beast_lp.runs.files import only_writer
from beast_lp.runs.progress import progress_bar
from beast_lp.video.boxes import Boxes
from beast_lp.video.containers import VideoError
from beast_lp.video.identity import source_key
from beast_lp.video.read import FrameReader, count_frames
from beast_lp.video.times import frame_times

logger = logging.getLogger(f'lightning_pose.{__name__}')


class Batch(NamedTuple):
    """Frames that are encoded together.

    Attributes:
        frames: images as the source takes them.
        ordinal: numbers of the frames in the video.
        time: time stamps in seconds since that of the first frame, NaN where there is none; they
            are mended once all are known.
    """

    frames: UInt8[np.ndarray, 'frames h w ...']
    ordinal: Int[np.ndarray, ' frames']
    time: Float[np.ndarray, ' frames']


def extract_features(
    source: FeatureSource,
    videos: Sequence[Path],
    output_dir: Path,
    settings: ExtractionSettings | None = None,
    progress: bool = True,
) -> list[Path]:
    """Write a feature store for every video; finished stores are kept, unfinished ones resumed.

    Args:
        source: source of the features.
        videos: video files, absolute paths without duplicates.
        output_dir: folder that gets one folder per video, and the basis of reduced patches.
        settings: settings of the extraction; None for the defaults.
        progress: whether to show progress bars.

    Returns:
        the folder of every video.

    Raises:
        BeastError: if a folder holds features of another source or of other settings, a setting
            does not suit the source, or the disk is full; and, after all other videos, if videos
            could not be read.
    """
    settings = settings or ExtractionSettings()
    reduction = None
    if settings.patches:
        reduction = PatchReduction(stored_grid(source, settings.patch_grid))
        if settings.patch_dim is not None:
            reduction = PatchReduction(
                reduction.grid,
                patch_basis(
                    output_dir / BASIS_NAME,
                    source,
                    reduction.grid,
                    settings.patch_dim,
                    videos,
                    settings.batch_size,
                    progress,
                    settings.bbox_dir,
                ),
            )
    directories = store_directories(output_dir, videos)
    failed: list[str] = []
    for number, (video, directory) in enumerate(zip(videos, directories, strict=True), 1):
        try:
            extract_video(
                source,
                video,
                directory,
                settings,
                reduction,
                progress,
                f'{number}/{len(videos)} {video.name}',
            )
        except VideoError as error:
            logger.warning(f'beast: {error} (the other videos are read)')
            failed.append(str(error))
    if failed:
        raise BeastError(
            f'{len(failed)} of {len(videos)} videos have no features: {"; ".join(failed)}'
        )
    return directories


def extract_video(
    source: FeatureSource,
    video: Path,
    directory: Path,
    settings: ExtractionSettings,
    reduction: PatchReduction | None,
    progress: bool = True,
    label: str | None = None,
) -> None:
    """Write the feature store of one video.

    Args:
        source: source of the features.
        video: video file, an absolute path.
        directory: folder of the store.
        settings: settings of the extraction.
        reduction: reduction of the patches; None to store no patches.
        progress: whether to show a progress bar.
        label: label of the bar; None for the video's name.

    Raises:
        VideoError: if no frame of the video can be decoded.
        BeastError: if the store holds other features, or the disk is full.
    """
    boxes = open_boxes(video, settings.bbox_dir)
    reader = FrameReader(video, source.pixel_format, boxes)
    info = _describe(source, reader, boxes, settings, reduction)
    if directory.exists():
        changed = store_difference(FeatureStore.open(directory).info, info)
        if changed:
            raise BeastError(
                f'{directory} already holds other features: {changed}; delete the folder, or give '
                'another --output_dir'
            )
        logger.info(f'beast: the features of {video.name} exist already')
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    source.begin()
    with (
        only_writer(directory.with_name(f'.{directory.name}.lock'), str(directory)),
        FeatureWriter(directory, info, anew=source.looks_back) as writer,
    ):
        if writer.rows:
            logger.info(f'beast: resuming {video.name} after {writer.rows} frames')
        # 8 bytes a frame
        stamps = array('d')
        batches = _read(reader, source.image_size, settings, stamps, writer.rows)
        total = -(-count_frames(video) // settings.stride)
        bar = progress_bar(
            desc=label or video.name,
            unit='frame',
            total=total,
            initial=writer.rows,
            disable=not progress,
        )
        with bar, closing(prefetch(batches)) as ready:
            for batch in ready:
                cls, maps = source.encode(batch.frames, reduction is not None)
                patches = None if reduction is None or maps is None else reduction(maps)
                writer.append(cls, batch.ordinal, batch.time, patches)
                bar.update(len(cls))
        if not writer.rows:
            raise VideoError(f'{video} gives no frames ({reader.error or "it is empty"})')
        writer.set_times(frame_times(video, stamps, reader.info.fps))
        if reader.error:
            logger.warning(
                f'beast: {video} is damaged or cut short ({reader.error}); the '
                f'{reader.frames_read} frames that could be decoded have features'
            )
        writer.finish(reader.frames_read, reader.error)
        logger.info(
            f'beast: {writer.rows} frames of {video.name} are in {directory} '
            f'({writer.rows * info.bytes_per_frame / 1e6:.1f} MB'
            + (f', {_gb_per_hour(info):.2f} GB per hour of video)' if info.fps else ')')
        )


def _describe(
    source: FeatureSource,
    reader: FrameReader,
    boxes: Boxes | None,
    settings: ExtractionSettings,
    reduction: PatchReduction | None,
) -> FeatureInfo:
    header = reader.info
    grid = None if reduction is None else reduction.grid
    patch_dim, basis = source.patch_dim, None
    if reduction is not None and reduction.basis is not None:
        patch_dim, basis = len(reduction.basis.components), reduction.basis.hash
    return FeatureInfo(
        video=str(header.path),
        source=source.name,
        source_kind=source.kind,
        source_hash=source.hash,
        dim=source.dim,
        image_size=source.image_size,
        grid=grid,
        patch_dim=None if grid is None else patch_dim,
        patch_basis=basis,
        stride=settings.stride,
        precision=source.precision,
        video_key=source_key(header.path, boxes.path if boxes else None),
        width=header.width,
        height=header.height,
        fps=header.fps if math.isfinite(header.fps) else None,
    )


def _gb_per_hour(info: FeatureInfo) -> float:
    return 3600 * (info.fps or 0) / info.stride * info.bytes_per_frame / 1e9


def _read(
    reader: FrameReader,
    size: tuple[int, int],
    settings: ExtractionSettings,
    stamps: 'array[float]',
    done: int,
) -> Iterator[Batch]:
    """Decode the whole video, and convert the frames that are needed and not done yet."""
    frames, ordinals, times = [], [], []
    for frame in reader:
        stamps.append(math.nan if frame.time is None else frame.time)
        if frame.ordinal % settings.stride or frame.ordinal // settings.stride < done:
            continue
        frames.append(frame.pixels(size))
        ordinals.append(frame.ordinal)
        times.append(stamps[-1] - stamps[0])
        if len(frames) == settings.batch_size:
            yield Batch(np.stack(frames), np.array(ordinals), np.array(times))
            frames, ordinals, times = [], [], []
    if frames:
        yield Batch(np.stack(frames), np.array(ordinals), np.array(times))
