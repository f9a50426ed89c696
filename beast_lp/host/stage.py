"""The pretraining stage as a host user meets it: from a pose config to a backbone and a report."""

import json
import logging
import os
from pathlib import Path
from typing import Any, cast

from lightning_pose.callbacks import JSONTrainingProgressTracker
from omegaconf import DictConfig, OmegaConf

from beast_lp.config import BeastConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.host.hook import START_DIR
from beast_lp.host.pose import absolute_path
from beast_lp.pretraining.stage import RunFiles, difference_to, run_pretraining, run_settings
from beast_lp.reports.collect import write_report
from beast_lp.video.read import find_videos

logger = logging.getLogger(f'lightning_pose.{__name__}')


def pretrain(
    cfg: DictConfig, output_dir: Path, status_file: Path, reuse: bool = False,
) -> Path:
    """Run the pretraining stage of a pose config and draw its report.

    Args:
        cfg: the pose config; `data` says where the videos are, `beast` how to pretrain.
        output_dir: of the run; an interrupted run in it continues.
        status_file: the host's progress file.
        reuse: take the backbone of a finished run with the same settings instead of refusing.

    Returns:
        the directory of the finished backbone.

    Raises:
        BeastError: for anything that the user can mend.
    """
    config = parse_config(cfg.get('beast'))
    videos = find_videos(video_source(cfg, config))
    # resolved now, so that the settings of a run do not depend on where it was started
    config.videos = config.output_dir = None
    config.init = absolute_path(config.init, cfg)
    if config.windows.bbox_dir:
        config.windows.bbox_dir = absolute_path(config.windows.bbox_dir, cfg)

    files = RunFiles(output_dir)
    if reuse and files.backbone.exists():
        difference = difference_to(files, run_settings(config, videos))
        if difference:
            raise BeastError(
                f'{output_dir} holds a finished pretraining run with other settings '
                f'({difference}); give another beast.output_dir, or use the run as it is with '
                f'model.backbone_checkpoint={output_dir}'
            )
        logger.info('beast: using the finished pretraining run')
        return files.backbone
    output_dir.mkdir(parents=True, exist_ok=True)
    # the host's tracker writes from whatever process it is in, so it is for one alone
    main_process = int(os.environ.get('LOCAL_RANK', 0)) == 0
    trackers = [JSONTrainingProgressTracker(status_file)] if main_process else []
    backbone = run_pretraining(config, videos, output_dir, num_devices(cfg), trackers)
    write_report(output_dir)
    return backbone


def video_source(cfg: DictConfig, config: BeastConfig) -> Path | list[Path]:
    """Return the folder, file or list that holds the videos, as absolute paths.

    `beast.videos` goes before `data.video_dir`; as in the host, a relative video path is relative
    to `data.data_dir`.

    Raises:
        BeastError: if the config does not say where the videos are.
    """
    data_dir = Path(START_DIR, str(OmegaConf.select(cfg, 'data.data_dir', default='') or ''))
    source = config.videos or OmegaConf.select(cfg, 'data.video_dir', default=None)
    if OmegaConf.is_config(source):
        source = OmegaConf.to_container(source)
    if not source:
        raise BeastError(
            'the config does not say where the videos are: set data.video_dir to their folder '
            '(or beast.videos, if pretraining uses others)'
        )
    if isinstance(source, list):
        return [data_dir / str(item) for item in cast(list[Any], source)]
    return data_dir / str(source)


def num_devices(cfg: DictConfig) -> int:
    """Return the number of GPUs that the config asks for, at least 1."""
    return max(1, int(OmegaConf.select(cfg, 'training.num_gpus', default=1) or 1))


def mark_completed(status_file: Path) -> None:
    """Tell the host's progress file that the run is over, as the host's own training does."""
    status = json.loads(status_file.read_text()) if status_file.exists() else {}
    temporary = status_file.with_suffix('.json.tmp')
    temporary.write_text(json.dumps({**status, 'status': 'COMPLETED'}))
    os.replace(temporary, status_file)
