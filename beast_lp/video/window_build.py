"""Building the clips of several videos, one after the other or in several processes."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.errors import BeastError
from beast_lp.runs.progress import progress_bar
from beast_lp.video.boxes import Boxes
from beast_lp.video.containers import VideoError
from beast_lp.video.scan import scan_video
from beast_lp.video.window_clip import CLIP_SUFFIX, build_clip
from beast_lp.video.window_records import (
    SIDECAR_SUFFIX,
    ClipRecord,
    changed_since,
    damage,
    read_record,
    settings_key,
    write_record,
)
from beast_lp.video.workers import usable_cores

logger = logging.getLogger('lightning_pose.' + __name__)

# more gain little, because of the disk and the decoders' own threads
MOST_PROCESSES = 8
# bytes of video per process; starting a process takes as many seconds as preparing these
WORTH_A_PROCESS = 20_000_000


@dataclass(frozen=True)
class Job:
    """Everything that building the clip of one video needs; it can be sent to another process.

    Attributes:
        video: video file.
        video_id: name of the clip without its suffix.
        boxes: file of the video's bounding boxes; None for whole frames.
        directory: folder of the clip and its record.
        anchors: strategy, and number of anchors.
        windows: longest side of the frames.
        step: number of frames, k of the windows (t-k, t, t+k).
        seed: equal seeds give equal anchors.
        source_key: hash of the content of the video and its boxes.
    """

    video: Path
    video_id: str
    boxes: Path | None
    directory: Path
    anchors: AnchorConfig
    windows: WindowConfig
    step: int
    seed: int
    source_key: str

    @property
    def settings_key(self) -> str:
        """Hash of every setting that shapes the clip."""
        return settings_key(self.anchors, self.windows, self.step, self.seed)

    @property
    def sidecar(self) -> Path:
        """File of the clip's record."""
        return self.directory / f'{self.video_id}{SIDECAR_SUFFIX}'

    @property
    def clip(self) -> Path:
        """File of the clip."""
        return self.directory / f'{self.video_id}{CLIP_SUFFIX}'


def finished_earlier(job: Job) -> ClipRecord | None:
    """Return the record of a clip that an earlier run finished, or log why it must be rebuilt.

    Args:
        job: job whose clip may exist.

    Returns:
        the record, None if the clip must be built.
    """
    record = read_record(job.sidecar)
    if record is None:
        if job.sidecar.exists() or job.clip.exists():
            logger.warning(f'beast: {job.clip} has no usable record beside it; it is built again')
        return None
    change = changed_since(record, job.source_key, job.settings_key)
    if change:
        logger.info(
            f'beast: {job.video}: {change} since {job.clip.name} was built; it is built again'
        )
        return None
    harm = damage(record, job.directory)
    if harm:
        logger.warning(
            f'beast: the clip {job.clip} is missing or damaged ({harm}); it is built again'
        )
        return None
    logger.info(f'beast: {job.video}: the windows of an earlier run are used')
    return record


def build(job: Job, progress: bool) -> ClipRecord:
    """Choose the anchors of a video and write its clip and record.

    Args:
        job: what to build.
        progress: show a bar of frames.

    Raises:
        VideoError: if the video gives no anchors.
        BeastError: if the disk is full or the boxes do not fit the video.
    """
    boxes = Boxes(job.boxes) if job.boxes else None
    # an old clip is kept until the scan succeeds: the video may be unreadable only for now
    scan = scan_video(job.video, job.anchors, job.seed, progress, job.directory, job.step, boxes)
    # the record must not outlive the clip that it describes
    job.sidecar.unlink(missing_ok=True)
    job.clip.unlink(missing_ok=True)
    build_clip(job.video, scan.anchors.frame, job.clip, job.windows, progress, job.step, boxes)
    info = scan.info
    record = ClipRecord(
        source_key=job.source_key,
        settings_key=job.settings_key,
        video_id=job.video_id,
        clip=job.clip.name,
        clip_bytes=job.clip.stat().st_size,
        header={
            'width': info.width,
            'height': info.height,
            'fps': info.fps,
            'codec': info.codec,
            'frames_declared': info.frames_declared,
        },
        frames_read=scan.frames,
        error=scan.error,
        step=job.step,
        anchors=scan.anchors,
    )
    write_record(job.directory, record)
    return record


def build_all(
    jobs: Sequence[Job], processes: int | None, progress: bool
) -> Iterator[tuple[Job, ClipRecord | VideoError]]:
    """Build clips, in several processes where there are several videos.

    The result does not depend on the number of processes.

    Args:
        jobs: one job per video.
        processes: number of processes, at most one per job; with 1, this process does the work.
            None is one per core that this process may use, at most `MOST_PROCESSES`, and fewer
            where the videos are small.
        progress: show a bar of frames for each video, or of videos if there are several processes.

    Yields:
        each job once it is done, with its record or the reason why the video cannot be used.

    Raises:
        BeastError: if the disk is full, boxes do not fit, or a process is killed. Other processes
            are stopped, and finished clips are kept.
    """
    if processes is None:
        size = sum(job.video.stat().st_size for job in jobs)
        processes = min(MOST_PROCESSES, usable_cores(), size // WORTH_A_PROCESS)
    processes = min(processes, len(jobs))
    if processes <= 1:
        for job in jobs:
            yield job, _attempt(job, progress)
    else:
        yield from _build_in_parallel(jobs, processes, progress)


def _build_in_parallel(
    jobs: Sequence[Job], processes: int, progress: bool
) -> Iterator[tuple[Job, ClipRecord | VideoError]]:
    # spawned, not forked: locks that threads of this process hold would stay locked for ever
    context = multiprocessing.get_context('spawn')
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(processes, context, _prepare_process)
    try:
        futures = {executor.submit(_attempt, job, False): job for job in jobs}
        bar = progress_bar(
            as_completed(futures),
            desc='videos',
            unit='video',
            total=len(jobs),
            disable=not progress,
        )
        for future in bar:
            yield futures[future], future.result()
        executor.shutdown()
    except BaseException as error:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            raise BeastError(
                'a process that prepared videos was killed, which happens when memory runs out; '
                'run the same command again, which resumes the run, with '
                'beast.windows.processes=1 if it happens again'
            ) from error
        raise


def _attempt(job: Job, progress: bool) -> ClipRecord | VideoError:
    try:
        return build(job, progress)
    except VideoError as error:
        return error


def _prepare_process() -> None:
    """Let a process of the pool end quietly, together with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
