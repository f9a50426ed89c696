"""The job of `litpose pretrain`: from a pose config to a backbone and a report."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from beast_lp.config import BeastConfig, parse_config
from beast_lp.config.presets import CONTINUE
from beast_lp.config.pretraining import LEAST_FRAMES
from beast_lp.errors import BeastError, sentence_of
from beast_lp.host.compose import (
    absolute_path,
    compose_config,
    data_dir,
    pose_image_size,
    video_sources,
    whole_number,
)
from beast_lp.host.cropped_labels import crop_labels, existing_crops
from beast_lp.host.start import OUTPUT_DIR_VARIABLE, InheritedVariable
from beast_lp.host.train_status import NAME, mark_completed, mark_training
from beast_lp.pretraining.launch import launched_rank
from beast_lp.pretraining.run_files import RunFiles, run_settings
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.video.boxes import AUTO, BOXES_DIR, boxes_folder
from beast_lp.video.read import find_videos
from beast_lp.video.source_video import SourceVideo

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from beast_lp.video.labelled import LabelledFrames

logger = logging.getLogger(f'lightning_pose.{__name__}')

# settings of a run that may differ where its backbone is used again
_VIDEOS = ('videos', 'projects')


def joint_config(config_files: Sequence[Path], overrides: Sequence[str]) -> DictConfig:
    """Read the pose config of a project, with further projects that are trained on with it.

    Args:
        config_files: pose configs; the first one holds the settings.
        overrides: overrides of the first config, in Hydra's grammar.

    Raises:
        BeastError: if a setting cannot be used or a project has no videos.
    """
    first, *others = config_files
    cfg = compose_config(first, overrides)
    if others:
        listed = [*(OmegaConf.select(cfg, 'beast.projects') or []), *map(str, others)]
        OmegaConf.update(cfg, 'beast.projects', listed, force_add=True)
    take_sizes(cfg)
    gather_videos(cfg, parse_config(cfg.get('beast'), pose_image_size(cfg)))
    return cfg


def run(cfg: DictConfig, output_dir: Path, config_file: Path) -> None:
    """Pretrain as a command of its own, and log where the backbone is and what comes next.

    Args:
        cfg: pose config.
        output_dir: directory of the run.
        config_file: file of the config, for the next command.

    Raises:
        BeastError: for anything that the user can mend.
    """
    status_file = output_dir / NAME
    with InheritedVariable(OUTPUT_DIR_VARIABLE, str(output_dir)):
        backbone = pretrain(cfg, output_dir, status_file, config_file=config_file)
    mark_completed(status_file)
    command = _next_command(cfg, config_file, output_dir)
    logger.info(
        f'beast: the backbone is in {backbone}\n'
        f'Look at {output_dir / "report.html"}, then train a pose model with\n\n{command}\n'
    )
    crops = _crops(cfg, output_dir)
    if crops:
        boxes = crops.parent
        logger.info(
            'beast: that model takes crops: predict videos with `litpose predict MODEL VIDEO '
            f'--bbox_dir {boxes}`; `litpose motion_bbox {config_file} VIDEO --output_dir {boxes}` '
            'writes the boxes of new ones'
        )


def pretrain(
    cfg: DictConfig,
    output_dir: Path,
    status_file: Path,
    reuse: bool = False,
    config_file: Path | None = None,
) -> Path:
    """Run the pretraining stage of a pose config and draw its report.

    Args:
        cfg: pose config; `data` names the videos, `beast` holds the settings.
        output_dir: directory of the run; an interrupted run in it is resumed.
        status_file: progress file of the host.
        reuse: use the backbone of a finished run with the same settings instead of refusing it;
            its videos may differ.
        config_file: file of the config, where the report is to name the next command.

    Returns:
        the directory of the finished backbone.

    Raises:
        BeastError: for anything that the user can mend.
    """
    take_sizes(cfg)
    config = parse_config(cfg.get('beast'), pose_image_size(cfg))
    videos = gather_videos(cfg, config)
    labels = labelled_frames(cfg, config)
    config = with_absolute_paths(config, cfg)
    files = RunFiles(output_dir)
    settings, finished = run_settings(config, videos), reuse and files.backbone.exists()
    if finished:
        _check_reusable(files, settings)
    # what the report lacks can be made again, by one process, where the videos are the same
    lacking = finished and launched_rank() == 0 and not files.report.exists()
    if not finished or (lacking and not files.changed(settings)):
        run_pretraining(
            config,
            videos,
            output_dir,
            num_devices(cfg),
            labels=labels,
            claimed=partial(mark_training, status_file),
            tracker=partial(_progress_tracker, status_file),
        )
    if launched_rank() == 0 and config.windows.bbox_dir == AUTO and not reuse:
        crop_labels(cfg, output_dir / BOXES_DIR)
    if launched_rank() == 0 and not files.report.exists():
        # imported here because torch and the figures take seconds, and the scan comes first
        from beast_lp.reports.pretraining_run import write_report

        try:
            command = _next_command(cfg, config_file, output_dir) if config_file else ''
            write_report(output_dir, command)
        except (BeastError, OSError) as error:
            if not finished:
                raise
            logger.warning(f'beast: {output_dir} gets no report, because {sentence_of(error)}')
    return files.backbone


def take_sizes(cfg: DictConfig) -> None:
    """Give the model the sizes of the weights that it starts from, under `preset: continue`.

    Args:
        cfg: pose config; what its `beast.model` leaves out is filled in.

    Raises:
        BeastError: if the config names no weights, or they cannot be read.
    """
    section = cfg.get('beast')
    if not isinstance(section, DictConfig) or section.get('preset') != CONTINUE:
        return
    init = section.get('init')
    if init is None or init == 'random':
        raise BeastError(
            f'beast.preset {CONTINUE} needs the backbone that is to be continued; set beast.init '
            'to the output directory of a finished `litpose pretrain`'
        )
    # imported here because torch takes seconds, and other presets do not need it yet
    from beast_lp.vit.weights import read_encoder

    theirs = read_encoder(absolute_path(str(init), cfg)).architecture
    for name in ('image_size', 'patch_size', 'hidden_size', 'num_layers'):
        key = f'beast.model.{name}'
        if OmegaConf.select(cfg, key) is None:
            value = getattr(theirs, name)
            value = list(value) if isinstance(value, tuple) else value
            OmegaConf.update(cfg, key, value, force_add=True)


def _next_command(cfg: DictConfig, config_file: Path, output_dir: Path) -> str:
    """Return the command that trains a pose model on the backbone."""
    # imported here because the checks of the pose config take seconds, and the scan comes first
    from beast_lp.host.next_step import pose_command

    config = parse_config(cfg.get('beast'), pose_image_size(cfg))
    crops = _crops(cfg, output_dir)
    return pose_command(cfg, config_file, output_dir, config.model.hidden_size, crops)


def _crops(cfg: DictConfig, output_dir: Path) -> Path | None:
    """Return the folder of labelled frames that are cropped like the videos, None for none."""
    config = with_absolute_paths(parse_config(cfg.get('beast'), pose_image_size(cfg)), cfg)
    boxes = boxes_folder(config.windows.bbox_dir, output_dir)
    return existing_crops(boxes) if boxes else None


def _progress_tracker(status_file: Path) -> 'Callback':
    """Build the host's writer of the progress file."""
    # imported here because Lightning takes seconds, and the scan comes first
    from lightning_pose.callbacks import JSONTrainingProgressTracker

    return JSONTrainingProgressTracker(status_file)


def with_absolute_paths(config: BeastConfig, cfg: DictConfig) -> BeastConfig:
    """Return the settings with paths that do not depend on where the command was started."""
    boxes = config.windows.bbox_dir
    if boxes and boxes != AUTO:
        boxes = absolute_path(boxes, cfg)
    return replace(
        config,
        init=absolute_path(config.init, cfg),
        windows=replace(config.windows, bbox_dir=boxes),
    )


def _check_reusable(files: RunFiles, settings: dict[str, Any]) -> None:
    """Check that a finished backbone serves a pose model; the project may have new videos by now.

    Raises:
        BeastError: if its settings differ.
    """
    changed = files.changed(settings, _VIDEOS)
    if changed:
        raise BeastError(
            f'{files.directory} holds a finished pretraining run with other settings '
            f'({changed}); restore that setting, rename or delete the folder to pretrain anew, or '
            f'use the run as it is with model.backbone_checkpoint={files.directory}'
        )
    outdated = files.outdated(settings, _VIDEOS)
    if outdated:
        logger.warning(
            f'beast: the finished pretraining run in {files.directory} was made with a setting '
            f'that no longer exists ({outdated}); its backbone is used as it is, so rename or '
            'delete the folder to pretrain anew'
        )
    if files.changed(settings):
        # a project gets new videos all the time, and its backbone serves them too
        logger.warning(
            f'beast: using the finished pretraining run in {files.directory}, which saw other '
            'videos than the project has now; rename or delete the folder to pretrain anew'
        )
    elif not outdated:
        logger.info('beast: using the finished pretraining run')


def gather_videos(cfg: DictConfig, config: BeastConfig) -> list[SourceVideo]:
    """Return the videos of a project and of the projects that are trained on with it.

    Returns:
        the videos with their projects, which have no name where there is only one.

    Raises:
        BeastError: if a project has no videos, or two have one in common.
    """
    own = find_videos(video_sources(cfg, config.videos, 'beast.videos'))
    if not config.projects:
        return [SourceVideo(video) for video in own]
    videos = dict.fromkeys(own, 'this project')
    for name in config.projects:
        path = Path(absolute_path(name, cfg))
        if not path.is_file() or path.suffix != '.yaml':
            raise BeastError(
                f'beast.projects names {path}, where there is no config file; give the .yaml of '
                'that project'
            )
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


def labelled_frames(cfg: DictConfig, config: BeastConfig) -> 'LabelledFrames | None':
    """Return the labelled frames, unless neither the probe nor tuning has a use for them.

    Labels that the settings do not ask for are left out, with a warning, where they are damaged.

    Raises:
        BeastError: if the probe is asked for and there are none, or they cannot be read.
    """
    asked = bool(config.probe.every_epochs)
    if config.probe.every_epochs == 0 and not config.tune:
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
            'beast.probe.every_epochs=0'
        )
    # imported here because it takes seconds, and missing labels are reported first
    from beast_lp.video.labelled import read_labels

    try:
        frames = read_labels(files, base)
    except BeastError as error:
        if asked or config.tune:
            raise
        logger.warning(f'beast: pretraining goes without the probe: {error}')
        return None
    # the stage says how many labels are too few for the choice of the weight
    wanted = asked or config.tune or len(frames.images) >= LEAST_FRAMES
    return frames if wanted else None


def num_devices(cfg: DictConfig) -> int:
    """Return the number of GPUs that the config asks for, at least 1."""
    return max(1, whole_number(cfg, 'training.num_gpus') or 1)
