"""The job of `litpose beast_demo`: every stage in turn, finished ones left out."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning_pose.train
from lightning_pose.api import Model
from omegaconf import DictConfig, open_dict

from beast_lp.config import parse_config
from beast_lp.demo import DemoSize, write_project
from beast_lp.demo.project import CONFIG_NAME
from beast_lp.encoding.run_files import EncodingFiles
from beast_lp.features.extract import extract_features
from beast_lp.features.pca import FRAME_PCA_NAME, frame_pca
from beast_lp.host.compose import compose_config
from beast_lp.host.jobs import segment
from beast_lp.host.jobs.demo_results import DemoFiles, read_times, write_results, write_times
from beast_lp.host.jobs.encode import encode
from beast_lp.host.jobs.pretrain import pretrain
from beast_lp.host.jobs.sources import open_source
from beast_lp.host.train_status import NAME, is_completed, mark_completed
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.runs.files import finished_folder
from beast_lp.segmentation.run_files import SegmentationFiles

logger = logging.getLogger(f'lightning_pose.{__name__}')

# features of the frame PCA, the baseline of the encoding stage
_PCA_COMPONENTS = 30


def run_demo(directory: Path, size: DemoSize) -> None:
    """Write a project, pretrain, and train and evaluate all three kinds of head.

    Args:
        directory: directory of the demo; stages that are finished in it are kept.
        size: size of the synthetic project.
    """
    files = DemoFiles(directory)
    config_file = files.project / CONFIG_NAME
    with _stage('1/5', 'the project', files.times):
        if not config_file.exists():
            write_project(files.project, size)
    cfg = compose_config(config_file, [f'beast.segmentation.source="{files.pretraining}"'])
    with _stage('2/5', 'pretraining', files.times):
        _pretrain(cfg, files)
    with _stage('3/5', 'pose', files.times):
        _train_pose(cfg, files)
    with _stage('4/5', 'neural encoding', files.times):
        _encode(cfg, files)
    with _stage('5/5', 'behaviour', files.times):
        if not SegmentationFiles(files.segmentation).is_finished:
            segment.train(cfg, files.segmentation)
    page = write_results(files)
    logger.info(
        f'beast: Where to look:\n'
        f'  {page}   the results, with links to the report of every stage\n'
        f'  {config_file}   the pose config, with its beast: section\n'
        f"  {files.pretraining / 'backbone'}   the backbone, in transformers' format\n"
        f'  {files.pose / "video_preds"}   predictions and labelled video of the held-out one\n'
        f'  {files.project / "truth"}   what they should be\n'
    )


def _pretrain(cfg: DictConfig, files: DemoFiles) -> None:
    if RunFiles(files.pretraining).is_finished:
        return
    status_file = files.pretraining / NAME
    pretrain(cfg, files.pretraining, status_file)
    mark_completed(status_file)


def _train_pose(cfg: DictConfig, files: DemoFiles) -> None:
    if is_completed(files.pose):
        return
    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.model.backbone_checkpoint = str(files.pretraining)
    lightning_pose.train.train(cfg, model_dir=files.pose)


def _encode(cfg: DictConfig, files: DemoFiles) -> None:
    if EncodingFiles(files.encoding).is_finished:
        return
    sources = {name: files.features / name for name in ('beast', 'frame_pca', 'pose')}
    recorded = [file.stem for file in files.spikes]
    videos = [video for video in files.videos if video.stem in recorded]
    backbone = open_source(str(files.pretraining))
    extract_features(backbone, videos, sources['beast'])
    components = frame_pca(sources['frame_pca'] / FRAME_PCA_NAME, videos, _PCA_COMPONENTS)
    extract_features(components, videos, sources['frame_pca'])
    _predict_keypoints(files, videos, sources['pose'])
    spikes = list(zip(recorded, files.spikes, strict=True))
    encode(parse_config(cfg.beast), spikes, list(sources.items()), files.encoding)


def _predict_keypoints(files: DemoFiles, videos: Sequence[Path], folder: Path) -> None:
    """Write the pose model's keypoints of videos; the folder appears once complete."""
    if folder.exists():
        return
    model = Model.from_dir(files.pose)
    with finished_folder(folder) as part:
        for video in videos:
            model.predict_on_video_file(video, output_dir=part, compute_metrics=False)


@contextmanager
def _stage(number: str, name: str, times: Path) -> Iterator[None]:
    """Log the start of a stage, and record its duration."""
    logger.info(f'beast: === {number} {name} ===')
    start = time.perf_counter()
    yield
    seconds = read_times(times)
    # a stage that was done before takes none
    seconds[name] = max(seconds.get(name, 0.0), time.perf_counter() - start)
    write_times(times, seconds)
