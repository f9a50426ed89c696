"""Action segmentation as a host user meets it: from a pose config to scores and predictions."""

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from beast_lp.config import SegmentationConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.host.compose import absolute_path, data_dir, path_from, paths_from, video_sources
from beast_lp.host.jobs.sources import open_source
from beast_lp.host.start import START_DIR
from beast_lp.reports.segmentation import (
    MAX_ETHOGRAMS,
    write_prediction_report,
    write_segmentation_report,
)
from beast_lp.segmentation.excerpt import write_excerpt
from beast_lp.segmentation.label_files import find_label_files, load_labels
from beast_lp.segmentation.nwb import check_nwb_packages, write_nwb
from beast_lp.segmentation.outcome import Outcome
from beast_lp.segmentation.outputs import (
    bout_table,
    one_hot,
    write_bouts,
    write_lightning_action,
    write_prediction,
)
from beast_lp.segmentation.prediction import (
    Trained,
    load_trained,
    predict_video,
    run_evaluation,
)
from beast_lp.segmentation.run_files import SegmentationFiles, UseFiles
from beast_lp.segmentation.training import run_training
from beast_lp.segmentation.videos import Inputs, OpenVideo, open_videos
from beast_lp.video.read import find_videos

logger = logging.getLogger(f'lightning_pose.{__name__}')

# settings of the videos at hand and their labels
_OF_USE = ('labels', 'ignore', 'subject', 'features_dir', 'keypoints_dir')


def train(cfg: DictConfig, output_dir: Path) -> Outcome:
    """Train models on the scored videos of a project, score them and draw the report.

    Raises:
        BeastError: for anything that the user can mend.
    """
    config = parse_config(cfg.get('beast'))
    inputs = resolve(cfg, config.segmentation)
    outcome = run_training(config, inputs, output_dir, open_source)
    write_segmentation_report(output_dir, outcome, config.segmentation.decoding)
    return outcome


def predict(
    cfg: DictConfig,
    model_dir: Path,
    output_dir: Path,
    videos: Sequence[Path] = (),
    clip_seconds: float = 0.0,
    nwb: bool = False,
    lightning_action: bool = False,
) -> None:
    """Predict every frame of videos and write tables, ethograms and what else is asked for.

    Args:
        cfg: the pose config.
        model_dir: of a finished training run.
        output_dir: new, or that of the same command, which was interrupted.
        videos: files or folders; without them, the config's.
        clip_seconds: length of a labelled clip of each video; 0 for none.
        nwb: write the bouts as NWB too.
        lightning_action: write features and labels in the layout of lightning-action too.

    Raises:
        BeastError: for anything that the user can mend.
    """
    if nwb:
        check_nwb_packages()
    trained, inputs, found = _open(cfg, model_dir, videos)
    bouts, shown = [], []
    work = {'action': 'predict', 'model_dir': str(model_dir)}
    with UseFiles(output_dir).claimed(work):
        for video in _open_videos(trained, inputs, found, output_dir):
            prediction = predict_video(trained, video)
            write_prediction(prediction, output_dir)
            if clip_seconds > 0:
                clip = output_dir / 'clips' / f'{video.name}.mp4'
                write_excerpt(prediction, clip, clip_seconds)
            if nwb:
                write_nwb(prediction, output_dir / 'nwb' / f'{video.name}.nwb')
            if lightning_action:
                write_lightning_action(
                    video.name,
                    video.features,
                    video.frame,
                    one_hot(prediction),
                    output_dir / 'lightning_action',
                )
            bouts.append(bout_table([prediction]))
            # not all of a thousand videos are kept in memory
            shown = [*shown, prediction][:MAX_ETHOGRAMS]
        write_bouts(pd.concat(bouts), output_dir / 'bouts.csv')
        write_prediction_report(output_dir, shown)


def evaluate(
    cfg: DictConfig,
    model_dir: Path,
    output_dir: Path,
    videos: Sequence[Path] = (),
) -> Outcome:
    """Score trained models on videos that they were not trained on, and draw the report.

    Args:
        cfg: the pose config.
        model_dir: of a finished training run.
        output_dir: new, or that of the same command, which was interrupted.
        videos: files or folders; without them, the config's.

    Raises:
        BeastError: for anything that the user can mend; if the config names none but videos that
            were trained on, that too.
    """
    trained, inputs, found = _open(cfg, model_dir, videos)
    files = find_label_files(found, inputs.labels)
    found = [video for video in found if video in files]
    _check_unseen(trained, found, bool(videos))
    work = {'action': 'evaluate', 'model_dir': str(model_dir)}
    with UseFiles(output_dir).claimed(work):
        opened = _open_videos(trained, inputs, found, output_dir)
        _, labels = load_labels(opened, files, trained.config, trained.classes)
        outcome = run_evaluation(trained, opened, labels, output_dir)
        write_segmentation_report(output_dir, outcome, trained.config.decoding)
    return outcome


def _check_unseen(trained: Trained, videos: Sequence[Path], chosen: bool) -> None:
    """Warn of videos that were trained on, and refuse them where nobody chose them."""
    seen = [video.name for video in videos if trained.has_seen(video)]
    if len(seen) == len(videos) and not chosen:
        raise BeastError(
            f'the model in {trained.directory} was trained on frames of every video of the config '
            f'that has labels ({len(seen)} in all), so that scores there would say little about '
            'new videos; give others with --videos'
        )
    if seen:
        logger.warning(
            f'beast: the model in {trained.directory} was trained on frames of {", ".join(seen)}, '
            'so that its scores there say little about new videos; give others with --videos'
        )


def _open(
    cfg: DictConfig,
    model_dir: Path,
    videos: Sequence[Path],
) -> tuple[Trained, Inputs, list[Path]]:
    """Open a trained model, with what the config says of the use of it, and find the videos."""
    # before the models, which take a while
    parse_config(cfg.get('beast'))
    trained = load_trained(model_dir, open_source)
    config = config_of_use(cfg, trained.config)
    inputs = resolve(cfg, config, videos)
    return replace(trained, config=config), inputs, list(inputs.videos)


def _open_videos(
    trained: Trained,
    inputs: Inputs,
    videos: Sequence[Path],
    output_dir: Path,
) -> list[OpenVideo]:
    """Open the features of videos, computing what is missing."""
    return open_videos(
        videos,
        trained.config,
        inputs,
        SegmentationFiles(output_dir).features,
        trained.source,
    )


def config_of_use(cfg: DictConfig, trained: SegmentationConfig) -> SegmentationConfig:
    """Return the settings by which trained models are used on the videos of a config.

    Model settings come from the training run. Labels, videos and decoding come from the config
    where it gives them; it may have no `beast.segmentation` at all.

    Args:
        cfg: pose config.
        trained: settings of the training run.

    Raises:
        BeastError: if the config has a setting that does not exist or has a wrong value.
    """
    config = parse_config(cfg.get('beast')).segmentation
    section: Any = OmegaConf.select(cfg, 'beast.segmentation', default=None) or {}
    given = {key: getattr(config, key) for key in _OF_USE if key in section}
    if trained.features_dir is None:
        # the models bring what makes their features
        given.pop('features_dir', None)
    asked = section.get('decoding') or {}
    decoding = {
        item.name: getattr(config.decoding, item.name)
        for item in fields(config.decoding)
        if item.name in asked
    }
    return replace(
        trained,
        **given,
        decoding=replace(trained.decoding, **decoding),
        videos=config.videos,
        split=config.split,
    )


def resolve(
    cfg: DictConfig,
    config: SegmentationConfig,
    chosen: Sequence[Path] = (),
) -> Inputs:
    """Find what the config names; as in the host, relative paths start at `data.data_dir`.

    Args:
        cfg: the pose config.
        config: the settings.
        chosen: files or folders in place of the videos of the config; relative ones start where
            the command was started.

    Raises:
        BeastError: if there are no videos.
    """
    base = data_dir(cfg)
    videos, held_out = (
        _config_videos(cfg, config)
        if not chosen
        else (find_videos([Path(START_DIR, video) for video in chosen]), [])
    )
    checkpoint = config.source or OmegaConf.select(cfg, 'model.backbone_checkpoint', default=None)
    return Inputs(
        videos=videos,
        held_out=held_out,
        labels=path_from(base, config.labels),
        source=absolute_path(str(checkpoint), cfg) if checkpoint else None,
        features_dir=path_from(base, config.features_dir) if config.features_dir else None,
        keypoints_dir=path_from(base, config.keypoints_dir) if config.keypoints_dir else None,
    )


def _config_videos(
    cfg: DictConfig,
    config: SegmentationConfig,
) -> tuple[list[Path], list[Path]]:
    """Return all videos that a config names, and those of them that are test videos."""
    paths = video_sources(cfg, config.videos, 'beast.segmentation.videos')
    if not config.split.test_videos:
        return find_videos(paths), []
    test_paths = paths_from(data_dir(cfg), config.split.test_videos)
    # a link and its target are one video: under two names it would be both trained and scored on
    test_files = {video.resolve() for video in find_videos(test_paths)}
    videos = find_videos([*paths, *test_paths])
    return videos, [video for video in videos if video.resolve() in test_files]
