"""The stages of `litpose beast_demo`, each skipped where its result is there already."""

import json
import logging
import time
from pathlib import Path

import lightning_pose.train
import pandas as pd
from omegaconf import open_dict

from beast_lp.demo import DemoSize, write_project
from beast_lp.demo.project import CONFIG_NAME
from beast_lp.host.compose import compose_config
from beast_lp.host.stage import mark_completed, pretrain
from beast_lp.pretraining.stage import RunFiles

logger = logging.getLogger(f'lightning_pose.{__name__}')


def run_demo(directory: Path, size: DemoSize) -> None:
    """Write the synthetic lab, pretrain on it, train a pose model, and say where to look.

    Args:
        directory: of the demo; what is finished in it is kept.
        size: of the synthetic lab.
    """
    project, pretraining, pose = (directory / name for name in ('project', 'pretraining', 'pose'))
    seconds: dict[str, float] = {}

    with _Stage('1/3 writing the project', seconds):
        config_file = project / CONFIG_NAME
        if not config_file.exists():
            write_project(project, size)
    with _Stage('2/3 pretraining the backbone', seconds):
        cfg = compose_config(config_file, [])
        if not RunFiles(pretraining).backbone.exists():
            status_file = pretraining / 'train_status.json'
            pretrain(cfg, pretraining, status_file)
            mark_completed(status_file)
    with _Stage('3/3 training and evaluating the pose model', seconds):
        if not _is_completed(pose):
            with open_dict(cfg):
                cfg.model.backbone_checkpoint = str(pretraining)
            lightning_pose.train.train(cfg, model_dir=pose)

    errors = pose_errors(project, pose)
    errors.to_csv(directory / 'pose_error.csv', index=False)
    logger.info(
        f'\nThe demo is done ({sum(seconds.values()) / 60:.1f} min: '
        + ', '.join(f'{name} {value:.0f} s' for name, value in seconds.items()) + ').\n\n'
        + errors.round(2).to_string(index=False)
        + f'\n\nWhere to look:\n'
        f'  {config_file}   the pose config, with its beast: section\n'
        f'  {pretraining / "report.html"}   how pretraining went\n'
        f'  {pretraining / "backbone"}   the backbone, in transformers\' format\n'
        f'  {pose / "video_preds"}   predictions and labelled video of the held-out session\n'
        f'  {project / "truth"}   what they should be\n'
    )


def pose_errors(project: Path, pose: Path) -> pd.DataFrame:
    """Return the mean pixel error of the model and of a constant prediction.

    The constant is each keypoint's mean position over the labelled frames: the error that needs no
    picture.

    Args:
        project: the demo's project.
        pose: the trained model.

    Returns:
        one row per set of labelled frames: `frames`, `model_px`, `constant_px`.
    """
    labels = pd.read_csv(project / 'CollectedData.csv', header=[0, 1, 2], index_col=0)
    rows = []
    for suffix, name in (('', 'training videos'), ('_new', 'held-out video')):
        table = pd.read_csv(pose / f'predictions_pixel_error{suffix}.csv', index_col=0)
        keypoints = table.drop(columns='set', errors='ignore')
        truth = pd.read_csv(
            project / f'CollectedData{suffix}.csv', header=[0, 1, 2], index_col=0
        )
        offset = (truth.to_numpy() - labels.to_numpy().mean(axis=0)).reshape(len(truth), -1, 2)
        rows.append({
            'frames': f'{len(truth)} of the {name}',
            'model_px': float(keypoints.to_numpy().mean()),
            'constant_px': float((offset ** 2).sum(axis=-1).__pow__(0.5).mean()),
        })
    return pd.DataFrame(rows)


def _is_completed(pose: Path) -> bool:
    status = pose / 'train_status.json'
    return status.exists() and json.loads(status.read_text()).get('status') == 'COMPLETED'


class _Stage:
    """Says that a stage begins, and measures it."""

    def __init__(self, name: str, seconds: dict[str, float]) -> None:
        self.name = name
        self.seconds = seconds

    def __enter__(self) -> None:
        logger.info(f'\n=== {self.name} ===')
        self._start = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.seconds[self.name[4:]] = time.perf_counter() - self._start
