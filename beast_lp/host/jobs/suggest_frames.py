"""The job of `litpose suggest_frames`: distinct frames of videos, to be labelled in the GUI."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from PIL import Image

from beast_lp.config import AnchorConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.host.compose import data_dir, paths_from, video_sources
from beast_lp.host.label_queue import (
    FOLDER,
    append_to_queue,
    known_frames,
    picture_path,
    queue_of,
    write_empty_table,
)
from beast_lp.runs.files import finished_file
from beast_lp.runs.progress import progress_bar
from beast_lp.video.containers import VideoError
from beast_lp.video.read import FrameReader, count_frames, find_videos
from beast_lp.video.scan import scan_video
from beast_lp.video.shares import share_out

logger = logging.getLogger(f'lightning_pose.{__name__}')

# a suggested frame is at least so many frames from one that is labelled or waits for it
_APART = 5
# of JPEG, 0 to 100
_QUALITY = 95
# frames before and after each that a model with context reads, too
_CONTEXT = 2


def suggest_frames(cfg: DictConfig, count: int) -> list[Path]:
    """Write frames to label into a project, and put them into the queue of its GUI.

    Args:
        cfg: pose config.
        count: number of frames; of several views, number of moments.

    Returns:
        the queues that were written, one for each view.

    Raises:
        BeastError: for anything that the user can mend.
    """
    value = OmegaConf.select(cfg, 'data.csv_file', default=None) or 'CollectedData.csv'
    tables = paths_from(data_dir(cfg), value)
    names = _keypoint_names(cfg) if not all(table.exists() for table in tables) else []
    sessions = _sessions(cfg, len(tables))
    seed = parse_config(cfg.get('beast')).seed
    chosen = _choose([views[0] for views in sessions], known_frames(tables), count, seed)
    context = _CONTEXT if OmegaConf.select(cfg, 'model.model_type') == 'heatmap_mhcrnn' else 0
    views = [[session[view] for session in sessions] for view in range(len(tables))]
    for table, videos in zip(tables, views, strict=True):
        wanted = {video: chosen[number] for number, video in enumerate(videos)}
        _write_pictures(data_dir(cfg), wanted, context)
        if not table.exists():
            write_empty_table(table, names)
        pictures = [picture_path(video, frame) for video in videos for frame in wanted[video]]
        append_to_queue(table, pictures)
    found = sum(map(len, chosen))
    logger.info(
        f'beast: {found} frames of {sum(map(bool, chosen))} videos are in '
        f'{data_dir(cfg) / FOLDER} and wait for labels in the GUI (`litpose run_app`)'
    )
    if found < count:
        logger.warning(
            f'beast: only {found} of the {count} frames were found that differ from each other '
            'and from those that are labelled or wait for it'
        )
    return [queue_of(table) for table in tables]


def _keypoint_names(cfg: DictConfig) -> list[str]:
    """Return the names for a new table of labels."""
    names = OmegaConf.select(cfg, 'data.keypoint_names', default=None)
    if not names:
        raise BeastError(
            'there is no table of labels yet (data.csv_file), and a new one needs the names of '
            'the keypoints: set data.keypoint_names'
        )
    return [str(name) for name in names]


def _sessions(cfg: DictConfig, views: int) -> list[list[Path]]:
    """Return the videos that show the same moments, one for each view, in the order of views."""
    videos = find_videos(video_sources(cfg, None, 'data.video_dir'))
    stem, times = Counter(path.stem for path in videos).most_common(1)[0]
    if times > 1:
        raise BeastError(
            f'{times} videos are called {stem}, so that their pictures would share a folder; '
            'rename them'
        )
    if views == 1:
        return [[video] for video in videos]
    # imported here because the host's tools take seconds
    from lightning_pose.utils.io import split_video_files_by_view

    names = [str(name) for name in OmegaConf.select(cfg, 'data.view_names', default=None) or []]
    if len(names) != views:
        raise BeastError(f'data.csv_file names {views} tables, but data.view_names {len(names)}')
    return [list(map(Path, session)) for session in split_video_files_by_view(videos, names)]


def _choose(
    videos: Sequence[Path],
    known: Mapping[str, Collection[int]],
    count: int,
    seed: int,
) -> list[list[int]]:
    """Choose distinct frames of each video.

    Args:
        videos: video files.
        known: frames, by the name of the video, that are labelled or wait for it.
        count: frames to choose, in proportion to the lengths of the videos.
        seed: seed of the choice.

    Returns:
        the frames of each video, in order; none of a video that cannot be read.
    """
    lengths = [_length(video) for video in videos]
    # of more videos than frames, every so many
    used = [number * len(videos) // count for number in range(min(count, len(videos)))]
    used = used if count < len(videos) else list(range(len(videos)))
    shares = dict(zip(used, share_out(count, [lengths[number] for number in used]), strict=True))
    chosen: list[list[int]] = [[] for _ in videos]
    for number, share in shares.items():
        video = videos[number]
        taken = known.get(video.stem, ())
        # as many more as may lie beside those that are known
        config = AnchorConfig(strategy='distinct', per_video=share + len(taken))
        try:
            frames = scan_video(video, config, seed).anchors.frame
        except VideoError as error:
            logger.warning(f'beast: {error} (this video is left out)')
            continue
        free = [int(f) for f in frames if all(abs(int(f) - other) >= _APART for other in taken)]
        places = [place * len(free) // share for place in range(share)]
        chosen[number] = [free[place] for place in places] if len(free) > share else free
    return chosen


def _length(video: Path) -> int:
    try:
        return count_frames(video)
    except VideoError:
        # reading it says why
        return 0


def _write_pictures(base: Path, wanted: Mapping[Path, Sequence[int]], context: int) -> None:
    """Write the pictures of frames, except those that are there.

    Args:
        base: folder of the project.
        wanted: frames of each video.
        context: number of frames before and after each that are written too.
    """
    videos = [video for video, frames in wanted.items() if frames]
    with progress_bar(videos, desc='writing pictures', unit='video', total=len(videos)) as bar:
        for video in bar:
            (base / FOLDER / video.stem).mkdir(parents=True, exist_ok=True)
            around = range(-context, context + 1)
            frames = {frame + offset for frame in wanted[video] for offset in around}
            reader = FrameReader(video)
            size = (reader.info.height, reader.info.width)
            for frame in islice(reader, max(frames) + 1):
                path = base / picture_path(video, frame.ordinal)
                if frame.ordinal in frames and not path.exists():
                    picture = Image.fromarray(frame.pixels(size))
                    with finished_file(path) as part, part.open('wb') as file:
                        picture.save(file, 'jpeg', quality=_QUALITY)
