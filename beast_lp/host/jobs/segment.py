"""The job of `litpose segment`: from a pose config to scores and predictions."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from beast_lp.config import parse_config
from beast_lp.errors import BeastError
from beast_lp.host.jobs.segment_inputs import config_of_use, resolve
from beast_lp.host.jobs.sources import open_source, source_files
from beast_lp.reports.review_page import write_review_page
from beast_lp.reports.segmentation import (
    MAX_ETHOGRAMS,
    write_prediction_report,
    write_segmentation_report,
)
from beast_lp.segmentation.boris_project import write_boris
from beast_lp.segmentation.evaluate import below_floor
from beast_lp.segmentation.excerpt import write_excerpt
from beast_lp.segmentation.inputs import Inputs
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
from beast_lp.segmentation.videos import OpenVideo, open_videos

logger = logging.getLogger(f'lightning_pose.{__name__}')


def train(cfg: DictConfig, output_dir: Path, config_file: Path | None = None) -> Outcome:
    """Train models on the scored videos of a project, score them and draw the report.

    Args:
        cfg: pose config.
        output_dir: directory of the run; an interrupted run in it is resumed.
        config_file: file of the config, for the line that says how to predict.

    Raises:
        BeastError: for anything that the user can mend.
    """
    config = parse_config(cfg.get('beast'))
    inputs = resolve(cfg, config.segmentation)
    outcome = run_training(config, inputs, output_dir, open_source, source_files)
    write_segmentation_report(output_dir, outcome, config.segmentation.decoding)
    _log_scores(outcome)
    _log_results(
        output_dir,
        f'  predict with   litpose segment predict {config_file or "<config_file>"} '
        f'--model_dir {output_dir} --videos ...\n',
    )
    return outcome


def predict(
    cfg: DictConfig,
    model_dir: Path,
    output_dir: Path,
    videos: Sequence[Path] = (),
    clip_seconds: float = 0.0,
    nwb: bool = False,
    lightning_action: bool = False,
    session_start: datetime | None = None,
) -> None:
    """Predict every frame of videos, and write tables, ethograms and the exports asked for.

    Args:
        cfg: pose config.
        model_dir: directory of a finished training run.
        output_dir: directory of the results; an interrupted run in it is resumed.
        videos: video files or folders; without them, the config's.
        clip_seconds: length in s of a labelled clip of each video; 0 for none.
        nwb: whether the bouts are also written as NWB.
        lightning_action: whether features and labels are also written in the layout of
            lightning-action.
        session_start: start of the recording, for the NWB file of one video.

    Raises:
        BeastError: for anything that the user can mend.
    """
    if nwb:
        check_nwb_packages()
    trained, inputs, found = _open(cfg, model_dir, videos)
    if session_start is not None and len(found) > 1:
        raise BeastError(
            f'--session_start_time is that of one recording, but there are {len(found)} videos; '
            'predict them one by one'
        )
    if nwb and session_start is None:
        logger.warning(
            'beast: no start of the session was given (--session_start_time), so that the NWB '
            'files say 1970-01-01 and that this is a placeholder'
        )
    bouts, shown = [], []
    work = {'action': 'predict', 'model_dir': str(model_dir)}
    with UseFiles(output_dir).claimed(work):
        for video in _open_videos(trained, inputs, found, output_dir):
            prediction = predict_video(trained, video)
            write_prediction(prediction, output_dir)
            write_review_page(prediction, output_dir / 'review' / f'{video.name}.html')
            write_boris(prediction, output_dir / 'boris' / f'{video.name}.boris')
            if clip_seconds > 0:
                clip = output_dir / 'clips' / f'{video.name}.mp4'
                write_excerpt(prediction, clip, clip_seconds)
            if nwb:
                write_nwb(prediction, output_dir / 'nwb' / f'{video.name}.nwb', session_start)
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
    _log_results(output_dir)


def evaluate(
    cfg: DictConfig,
    model_dir: Path,
    output_dir: Path,
    videos: Sequence[Path] = (),
) -> Outcome:
    """Score trained models on videos that they were not trained on, and draw the report.

    Args:
        cfg: pose config.
        model_dir: directory of a finished training run.
        output_dir: directory of the results; an interrupted run in it is resumed.
        videos: video files or folders; without them, the config's.

    Raises:
        BeastError: for anything that the user can mend, or if the config names no videos but
            those that were trained on.
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
    _log_scores(outcome)
    _log_results(output_dir)
    return outcome


def _log_scores(outcome: Outcome) -> None:
    if outcome.scores is not None:
        logger.info(
            'beast: scores of the held-out part\n'
            + outcome.scores.summary.round(3).to_string(index=False)
        )
        note = below_floor(outcome.scores.summary)
        if note:
            logger.warning(f'beast: the models are not above their floor: {note}')


def _log_results(output_dir: Path, usage: str = '') -> None:
    logger.info(
        f'beast: the results are in {output_dir}\n{usage}'
        f'  look at        {output_dir / "report.html"}'
    )


def _check_unseen(trained: Trained, videos: Sequence[Path], chosen: bool) -> None:
    """Warn of videos that were trained on; refuse them where the user did not choose them.

    Args:
        trained: trained models.
        videos: videos to be scored.
        chosen: whether the command line names them.

    Raises:
        BeastError: if all were trained on and the config alone names them.
    """
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
    """Open trained models with the config's labels and decoding, and find the videos."""
    # first, since the models take a while to load
    parse_config(cfg.get('beast'))
    trained = load_trained(model_dir, open_source, source_files)
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
