"""Preparation of a window store from raw videos, one clip per video, resumable and reusable."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.errors import BeastError
from beast_lp.runs.files import PART_SUFFIX, only_writer, write_table
from beast_lp.video.boxes import boxes_file
from beast_lp.video.containers import VideoError
from beast_lp.video.identity import names_in_use, source_key
from beast_lp.video.read import probe
from beast_lp.video.source_video import SourceVideo, source_videos
from beast_lp.video.window_build import Job, build_all, finished_earlier
from beast_lp.video.window_records import SIDECAR_SUFFIX, ClipRecord, read_record
from beast_lp.video.window_store import INDEX_NAME, WindowStore, write_index

logger = logging.getLogger('lightning_pose.' + __name__)

WINDOWS_DIR = 'windows'
LOCK_NAME = '.windows.lock'
ANCHOR_COLUMNS = ('video', 'video_id', 'frame', 'motion_energy', 'cluster', 'distance')
VIDEO_COLUMNS = (
    'video',
    'video_id',
    'width',
    'height',
    'fps',
    'codec',
    'frames_declared',
    'frames_read',
    'anchors',
    'status',
    'message',
)
# number of reasons in the error where no video can be used
_REASONS = 3


def prepare_windows(
    videos: Sequence[Path | SourceVideo],
    output_dir: Path,
    anchors: AnchorConfig,
    windows: WindowConfig,
    seed: int,
    progress: bool = True,
    offset_frames: int = 1,
    offset_ms: float | None = None,
) -> WindowStore:
    """Choose the anchors of every video and store their windows (t-k, t, t+k).

    Writes `windows/` (clips, their records, `index.csv`), `anchors.csv` and `videos.csv` in the
    output directory. A clip that was finished earlier from the same video content and settings is
    used again, a changed or damaged clip is rebuilt, and the clip of a video that is no longer
    listed is deleted. A video that gives no anchors is left out, with a warning and a row in
    `videos.csv`.

    Args:
        videos: absolute paths without duplicates, with their projects where there are several; the
            views of a session are videos like others.
        output_dir: folder of the results, created where it does not exist.
        anchors: strategy, and number of anchors per video.
        windows: size of the stored frames, folder of bounding boxes, and number of processes.
        seed: equal seeds give equal anchors.
        progress: show bars.
        offset_frames: k in frames.
        offset_ms: k in milliseconds, by each video's own frame rate and at least one frame; takes
            precedence over `offset_frames`.

    Raises:
        BeastError: if no video gives anchors (`videos.csv` lists every reason), bounding boxes are
            missing or too few, the disk is full, another run writes the same store, or a process
            is killed.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> import av
        >>> import numpy as np
        >>> folder = TemporaryDirectory()
        >>> video = Path(folder.name, 'mouse.mp4')
        >>> with av.open(str(video), 'w') as file:
        ...     stream = file.add_stream('mpeg4', rate=25)
        ...     stream.width, stream.height = 64, 48
        ...     for grey in range(0, 240, 8):
        ...         picture = np.full((48, 64, 3), grey, np.uint8)
        ...         file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        ...     file.mux(stream.encode())
        >>> settings = AnchorConfig(strategy='uniform', per_video=3), WindowConfig()
        >>> out = Path(folder.name, 'out')
        >>> store = prepare_windows([video], out, *settings, seed=0, progress=False)
        >>> store.table[['video_id', 'frame', 'clip', 'window']]
          video_id  frame       clip  window
        0    mouse      1  mouse.mp4       0
        1    mouse     14  mouse.mp4       1
        2    mouse     28  mouse.mp4       2
        >>> store.read(1, offsets=(0, 1), size=(24, 32)).shape
        (2, 24, 32, 3)
        >>> folder.cleanup()
    """
    directory = output_dir / WINDOWS_DIR
    directory.mkdir(parents=True, exist_ok=True)
    with only_writer(output_dir / LOCK_NAME, str(directory)):
        for leftover in directory.glob(f'*{PART_SUFFIX}'):
            leftover.unlink()
        sources = source_videos(videos)
        names = names_in_use(
            [item.path for item in sources],
            lambda name, _: read_record(directory / f'{name}{SIDECAR_SUFFIX}') is not None,
            safe=True,
        )
        named = dict(zip(names, sources, strict=True))
        results: dict[str, ClipRecord | VideoError] = {}
        jobs = _jobs(named, directory, anchors, windows, seed, offset_frames, offset_ms)
        for video_id, result in _build_or_reuse(jobs, windows.processes, progress):
            _warn(named[video_id].path, result)
            results[video_id] = result
        _write_tables(output_dir, named, results)
        return WindowStore.open(directory)


def _jobs(
    named: dict[str, SourceVideo],
    directory: Path,
    anchors: AnchorConfig,
    windows: WindowConfig,
    seed: int,
    offset_frames: int,
    offset_ms: float | None,
) -> dict[str, Job | VideoError]:
    """Describe the work for every video, by its name."""
    videos = [source.path for source in named.values()]
    boxes = _boxes_files(videos, windows.bbox_dir)
    jobs: dict[str, Job | VideoError] = {}
    for video_id, video, box in zip(named, videos, boxes, strict=True):
        try:
            jobs[video_id] = Job(
                video=video,
                video_id=video_id,
                boxes=box,
                directory=directory,
                anchors=anchors,
                windows=windows,
                step=offset_frames if offset_ms is None else _step(video, offset_ms),
                seed=seed,
                source_key=source_key(video, box),
            )
        except VideoError as error:
            jobs[video_id] = error
    return jobs


def _boxes_files(videos: Sequence[Path], bbox_dir: str | None) -> list[Path | None]:
    """Find the boxes of every video, before hours are spent on decoding."""
    if bbox_dir is None:
        return [None] * len(videos)
    files = [boxes_file(Path(bbox_dir), video) for video in videos]
    for file, video in zip(files, videos, strict=True):
        if not file.is_file():
            raise BeastError(
                f'{file} with the bounding boxes of {video} does not exist; write it with '
                '`litpose create_bbox`, or leave out beast.windows.bbox_dir'
            )
    name, count = Counter(files).most_common(1)[0] if files else (None, 0)
    if count > 1:
        raise BeastError(
            f'{count} videos share the name that goes with {name}, so it is unclear whose boxes '
            'it holds; rename the videos and their files of boxes'
        )
    return list(files)


def _step(video: Path, offset_ms: float) -> int:
    rate = probe(video).fps
    if not rate > 0:
        raise VideoError(
            f'{video} does not give its frame rate, which beast.pairs.offset_ms needs; set '
            'beast.pairs.offset_frames instead'
        )
    return max(1, round(offset_ms * rate / 1000))


def _build_or_reuse(
    jobs: dict[str, Job | VideoError], processes: int | None, progress: bool
) -> Iterator[tuple[str, ClipRecord | VideoError]]:
    """Yield the result for every video, first those that need no work."""
    pending: list[Job] = []
    for video_id, job in jobs.items():
        result = job if isinstance(job, VideoError) else finished_earlier(job)
        if result is not None:
            yield video_id, result
        elif isinstance(job, Job):
            pending.append(job)
            # the index must not outlive a clip that it names
            (job.directory / INDEX_NAME).unlink(missing_ok=True)
    for job, result in build_all(pending, processes, progress):
        yield job.video_id, result


def _warn(video: Path, result: ClipRecord | VideoError) -> None:
    if isinstance(result, VideoError):
        logger.warning(f'beast: {result} (this video is left out)')
    elif result.error:
        logger.warning(
            f'beast: {video} is damaged or cut short ({result.error}); the {result.frames_read} '
            'frames that could be decoded are used'
        )


def _write_tables(
    output_dir: Path, named: dict[str, SourceVideo], results: dict[str, ClipRecord | VideoError]
) -> None:
    """Write the tables and the index, and delete the clips of videos that are no longer listed."""
    directory = output_dir / WINDOWS_DIR
    rows = [_video_row(item.path, name, results[name]) for name, item in named.items()]
    _write_table(output_dir / 'videos.csv', rows, VIDEO_COLUMNS)
    records = [
        (source, result)
        for video_id, source in named.items()
        if isinstance(result := results[video_id], ClipRecord)
    ]
    if not records:
        reasons = '; '.join(row['message'] for row in rows[:_REASONS]) or 'none was given'
        raise BeastError(f'none of the {len(rows)} videos can be used: {reasons}')
    _remove_stale(directory, set(named))
    _write_table(output_dir / 'anchors.csv', _anchor_rows(records), ANCHOR_COLUMNS)
    write_index(directory, pd.DataFrame(_index_rows(records)))


def _remove_stale(directory: Path, keep: set[str]) -> None:
    """Delete the clips of videos that are no longer listed, and nothing else."""
    for sidecar in directory.glob(f'*{SIDECAR_SUFFIX}'):
        record = read_record(sidecar)
        if record is not None and record.video_id not in keep:
            # the index may name the clip; a new one follows
            (directory / INDEX_NAME).unlink(missing_ok=True)
            sidecar.unlink()
            (directory / record.clip).unlink(missing_ok=True)


def _video_row(video: Path, video_id: str, result: ClipRecord | VideoError) -> dict[str, Any]:
    row = {'video': str(video), 'video_id': video_id}
    if isinstance(result, VideoError):
        return {**row, 'anchors': 0, 'status': 'skipped', 'message': str(result)}
    return {
        **row,
        **result.header,
        'frames_read': result.frames_read,
        'anchors': len(result.anchors),
        'status': 'truncated' if result.error else 'ok',
        'message': result.error or '',
    }


def _anchor_rows(records: list[tuple[SourceVideo, ClipRecord]]) -> list[dict[str, Any]]:
    return [
        {
            'video': str(source.path),
            'video_id': record.video_id,
            'frame': frame,
            'motion_energy': round(float(energy), 4),
            'cluster': cluster,
            'distance': round(float(distance), 3),
        }
        for source, record in records
        for frame, energy, cluster, distance in zip(
            record.anchors.frame,
            record.anchors.motion_energy,
            record.anchors.cluster,
            record.anchors.distance,
            strict=True,
        )
    ]


def _index_rows(records: list[tuple[SourceVideo, ClipRecord]]) -> list[dict[str, Any]]:
    return [
        {
            'video': str(source.path),
            'video_id': record.video_id,
            'frame': frame,
            'clip': record.clip,
            'window': window,
            'step': record.step,
            'fps': record.header['fps'],
            'project': source.project,
        }
        for source, record in records
        for window, frame in enumerate(record.anchors.frame)
    ]


def _write_table(path: Path, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    table = pd.DataFrame(rows, columns=pd.Index(columns))
    # counts of frames would turn into floats, because skipped videos have none
    for name in ('width', 'height', 'frames_declared', 'frames_read'):
        if name in table:
            table[name] = table[name].astype('Int64')
    write_table(table, path)
