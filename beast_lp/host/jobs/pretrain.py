"""The pretraining stage as a host user meets it: from a pose config to a backbone and a report."""

import json
import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lightning_pose.callbacks import JSONTrainingProgressTracker
from omegaconf import DictConfig, OmegaConf

from beast_lp.config import BeastConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.host.compose import (
    absolute_path,
    compose_config,
    data_dir,
    pose_image_size,
    video_sources,
)
from beast_lp.pretraining.distributed import launched_rank
from beast_lp.pretraining.probe import LEAST_FRAMES
from beast_lp.pretraining.stage import (
    RunFiles,
    run_pretraining,
    run_settings,
)
from beast_lp.reports.pretraining_run import write_report
from beast_lp.runs.files import finished_file
from beast_lp.video.labelled import LabelledFrames, read_labels
from beast_lp.video.read import find_videos
from beast_lp.video.source_video import SourceVideo

logger = logging.getLogger(f'lightning_pose.{__name__}')

# settings of a run that may differ where its backbone is used again
_VIDEOS = ('videos', 'projects')


def pretrain(
    cfg: DictConfig,
    output_dir: Path,
    status_file: Path,
    reuse: bool = False,
) -> Path:
    """Run the pretraining stage of a pose config and draw its report.

    Args:
        cfg: the pose config; `data` says where the videos are, `beast` how to pretrain.
        output_dir: folder of the run; a run that was interrupted there is resumed.
        status_file: the host's progress file.
        reuse: take the backbone of a finished run with the same settings instead of refusing;
            its videos may be others.

    Returns:
        the directory of the finished backbone.

    Raises:
        BeastError: for anything that the user can mend.
    """
    config = parse_config(cfg.get('beast'), pose_image_size(cfg))
    videos = gather_videos(cfg, config)
    labels = labelled_frames(cfg, config)
    config = with_absolute_paths(config, cfg)
    files = RunFiles(output_dir)
    if reuse and files.backbone.exists():
        _check_reusable(files, run_settings(config, videos))
    else:
        run_pretraining(
            config,
            videos,
            output_dir,
            num_devices(cfg),
            labels=labels,
            tracker=partial(JSONTrainingProgressTracker, status_file),
        )
    if launched_rank() == 0 and not files.report.exists():
        write_report(output_dir)
    return files.backbone


def with_absolute_paths(config: BeastConfig, cfg: DictConfig) -> BeastConfig:
    """Return the settings with paths that do not depend on where the command was started."""
    boxes = config.windows.bbox_dir
    return replace(
        config,
        init=absolute_path(config.init, cfg),
        windows=replace(config.windows, bbox_dir=boxes and absolute_path(boxes, cfg)),
    )


def _check_reusable(files: RunFiles, settings: dict[str, Any]) -> None:
    """Check that a finished backbone serves a pose model; the project may have new videos by now.

    Raises:
        BeastError: if its settings are others.
    """
    changed = files.changed(settings, _VIDEOS)
    if changed:
        raise BeastError(
            f'{files.directory} holds a finished pretraining run with other settings '
            f'({changed}); restore that setting, rename or delete the folder to pretrain anew, or '
            f'use the run as it is with model.backbone_checkpoint={files.directory}'
        )
    if files.changed(settings):
        # a project gets new videos all the time, and its backbone serves them too
        logger.warning(
            f'beast: using the finished pretraining run in {files.directory}, which saw other '
            'videos than the project has now; rename or delete the folder to pretrain anew'
        )
    else:
        logger.info('beast: using the finished pretraining run')


def gather_videos(cfg: DictConfig, config: BeastConfig) -> list[SourceVideo]:
    """Return the videos of a project and of those that are trained on together with it.

    Returns:
        the videos with their projects, which have no name where there is one alone.

    Raises:
        BeastError: if a project has no videos, or two have one in common.
    """
    own = find_videos(video_sources(cfg, config.videos, 'beast.videos'))
    if not config.projects:
        return [SourceVideo(video) for video in own]
    videos = dict.fromkeys(own, 'this project')
    for name in config.projects:
        path = Path(absolute_path(name, cfg))
        if not path.is_file():
            raise BeastError(f'beast.projects names {path}, where there is no config file')
        other = compose_config(path, [])
        setting = parse_config(other.get('beast')).videos
        found = find_videos(video_sources(other, setting, 'beast.videos'))
        shared = set(found) & videos.keys()
        if shared:
            raise BeastError(
                f'{min(shared)} belongs to {path} and to another of the projects, which are to be '
                'balanced; give each project a data.video_dir of its own'
            )
        videos |= dict.fromkeys(found, str(path))
    return [SourceVideo(video, project) for video, project in videos.items()]


def labelled_frames(cfg: DictConfig, config: BeastConfig) -> LabelledFrames | None:
    """Return the labelled frames, where the probe is asked for or can help to tune.

    Raises:
        BeastError: if the probe is asked for and there are none.
    """
    asked = config.probe.every_epochs is not None
    if not asked and not config.tune:
        return None
    value = OmegaConf.select(cfg, 'data.csv_file', default=None)
    names = [str(name) for name in value] if OmegaConf.is_list(value) else [str(value or '')]
    base = data_dir(cfg)
    files = [base / name for name in names if name]
    if not asked and not (files and all(path.is_file() for path in files)):
        return None
    if not files:
        raise BeastError(
            'beast.probe needs labelled frames, but the config has no data.csv_file; set it, or '
            'beast.probe.every_epochs=null'
        )
    frames = read_labels(files, base)
    return frames if asked or len(frames.images) >= LEAST_FRAMES else None


def num_devices(cfg: DictConfig) -> int:
    """Return the number of GPUs that the config asks for, at least 1."""
    return max(1, int(OmegaConf.select(cfg, 'training.num_gpus', default=1) or 1))


def mark_completed(status_file: Path) -> None:
    """Set the host's progress file to completed, as the host's own training does."""
    status = json.loads(status_file.read_text()) if status_file.exists() else {}
    with finished_file(status_file) as part:
        part.write_text(json.dumps({**status, 'status': 'COMPLETED'}))
