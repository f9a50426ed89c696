"""The pretraining stage as a host user meets it: from a pose config to a backbone and a report."""

import json
import logging
import os
import sys
from pathlib import Path

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
    check_output_dir,
    difference_to,
    run_pretraining,
    run_settings,
)
from beast_lp.reports.pretraining_run import write_report
from beast_lp.video.labelled import LabelledFrames, read_labels
from beast_lp.video.read import find_videos

logger = logging.getLogger(f'lightning_pose.{__name__}')

# of the settings of a run, its videos and the project of each
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
        output_dir: of the run; an interrupted run in it continues.
        status_file: the host's progress file.
        reuse: take the backbone of a finished run with the same settings instead of refusing;
            its videos may be others.

    Returns:
        the directory of the finished backbone.

    Raises:
        BeastError: for anything that the user can mend.
    """
    config = parse_config(cfg.get('beast'), pose_image_size(cfg))
    videos, projects = gather_videos(cfg, config)
    labels = labelled_frames(cfg, config)
    # resolved now, so that the settings of a run do not depend on where it was started
    config.videos = config.output_dir = None
    config.projects = []
    config.init = absolute_path(config.init, cfg)
    if config.windows.bbox_dir:
        config.windows.bbox_dir = absolute_path(config.windows.bbox_dir, cfg)

    files, settings = RunFiles(output_dir), run_settings(config, videos, projects)
    # the host's tracker writes from whatever process it is in, so it is for one alone
    tracked = launched_rank() == 0
    if files.backbone.exists():
        if not (reuse or tracked):
            # nothing is left but the report, for one process
            sys.exit(0)
        if reuse or not files.is_finished:
            _check_finished(files, settings, reuse)
            if tracked and not files.is_finished:
                write_report(output_dir)
            return files.backbone
    if tracked:
        # a finished run is refused before it, since it calls whatever it finds unfinished
        check_output_dir(files, settings)
    output_dir.mkdir(parents=True, exist_ok=True)
    trackers = [JSONTrainingProgressTracker(status_file)] if tracked else []
    backbone = run_pretraining(
        config, videos, output_dir, num_devices(cfg), trackers, projects, labels
    )
    write_report(output_dir)
    return backbone


def _check_finished(files: RunFiles, settings: str, reuse: bool) -> None:
    """Make sure that a finished backbone is the one that is asked for.

    Args:
        files: of the run.
        settings: resolved settings, as YAML.
        reuse: it serves a pose model; then the project may have other videos by now.

    Raises:
        BeastError: if its settings are others.
    """
    changed = difference_to(files, settings, without=_VIDEOS if reuse else ())
    if changed:
        raise BeastError(
            f'{files.directory} holds a finished pretraining run with other settings '
            f'({changed}); restore that setting, rename or delete the folder to pretrain anew, or '
            f'use the run as it is with model.backbone_checkpoint={files.directory}'
        )
    if difference_to(files, settings):
        # a project gets new videos all the time, and its backbone serves them too
        logger.warning(
            f'beast: using the finished pretraining run in {files.directory}, which saw other '
            'videos than the project has now; rename or delete the folder to pretrain anew'
        )
    else:
        logger.info('beast: using the finished pretraining run')


def gather_videos(cfg: DictConfig, config: BeastConfig) -> tuple[list[Path], list[str]]:
    """Return the videos of a project and of those that are trained on together with it.

    Returns:
        the videos, and the project of each; no projects where there is one.

    Raises:
        BeastError: if a project has no videos, or two have one in common.
    """
    videos = find_videos(video_sources(cfg, config.videos, 'beast.videos'))
    if not config.projects:
        return videos, []
    projects = ['this project'] * len(videos)
    for name in config.projects:
        path = Path(absolute_path(name, cfg))
        if not path.is_file():
            raise BeastError(f'beast.projects names {path}, where there is no config file')
        other = compose_config(path, [])
        own = parse_config(other.get('beast')).videos
        found = find_videos(video_sources(other, own, 'beast.videos'))
        shared = set(found) & set(videos)
        if shared:
            raise BeastError(
                f'{min(shared)} belongs to {path} and to another of the projects, which are to be '
                'balanced; give each project a data.video_dir of its own'
            )
        videos += found
        projects += [str(path)] * len(found)
    return videos, projects


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
    """Tell the host's progress file that the run is over, as the host's own training does."""
    status = json.loads(status_file.read_text()) if status_file.exists() else {}
    temporary = status_file.with_suffix('.json.tmp')
    temporary.write_text(json.dumps({**status, 'status': 'COMPLETED'}))
    os.replace(temporary, status_file)
