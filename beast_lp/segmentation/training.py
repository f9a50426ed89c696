"""A training run: from scored videos to models, and to their scores on held-out frames."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch

from beast_lp.config import BeastConfig
from beast_lp.config.segmentation import FittingConfig
from beast_lp.features.source import FeatureSource, hash_files
from beast_lp.runs.files import finished_file
from beast_lp.runs.keys import file_key
from beast_lp.segmentation.classes import Labels
from beast_lp.segmentation.evaluate import HeldOut, evaluate, held_out_parts
from beast_lp.segmentation.fit import fit_segmenter
from beast_lp.segmentation.floors import Floor, fit_floor
from beast_lp.segmentation.held_out_curve import best_length, hold_out_part, share_of_floor
from beast_lp.segmentation.label_files import find_label_files, load_labels
from beast_lp.segmentation.labelling import UNSCORED, labelling_of
from beast_lp.segmentation.model import Segmenter, build_segmenter
from beast_lp.segmentation.outcome import Outcome, write_outcome
from beast_lp.segmentation.outputs import write_table
from beast_lp.segmentation.probabilities import predict, to_all_frames
from beast_lp.segmentation.run_files import (
    Description,
    SegmentationFiles,
    run_settings,
)
from beast_lp.segmentation.split import Fold, make_folds
from beast_lp.segmentation.summary import run_summary
from beast_lp.segmentation.training_data import TrainingData, check_training_labels
from beast_lp.segmentation.training_length import with_length
from beast_lp.segmentation.videos import (
    Inputs,
    OpenSource,
    OpenVideo,
    SourceFiles,
    feature_source,
    open_videos,
)
from beast_lp.video.identity import source_key

logger = logging.getLogger(f'lightning_pose.{__name__}')

# number, in the history, of the model that the held-out curve was drawn of
CURVE = -1


def run_training(
    config: BeastConfig,
    inputs: Inputs,
    output_dir: Path,
    open_source: OpenSource,
    source_files: SourceFiles,
) -> Outcome:
    """Train all models, or resume an interrupted run, and score them.

    Args:
        config: the seed and the `segmentation` section are read.
        inputs: paths of videos, labels and features.
        output_dir: directory of this run alone.
        open_source: opens what makes the features, by its name.
        source_files: returns the files that opening it reads.

    Raises:
        BeastError: if the directory holds a finished run or one with other settings or labels, or
            labels or features cannot be used.
    """
    files, settings = SegmentationFiles(output_dir), config.segmentation
    labelling = labelling_of(settings)
    identity = run_settings(config, inputs)
    files.check(identity)
    label_files = find_label_files(inputs.videos, inputs.labels)
    scored = [video for video in inputs.videos if video in label_files]
    source = feature_source(settings, inputs.source, open_source)
    opened = hash_files(source_files(str(inputs.source))) if source else None
    with files.claimed(identity):
        videos = open_videos(scored, settings, inputs, files.features, source)
        classes, labels = load_labels(videos, label_files, settings)
        held_out = [video.name for video in videos if video.path in inputs.held_out]
        lengths = {video.name: video.frames for video in videos}
        folds = make_folds(lengths, settings, held_out, config.seed)
        # before hours of training: every fold must be able to learn every class
        for fold in folds:
            check_training_labels(_training_data(fold, videos, labels), classes)
        history, parts = [], []
        for fold in folds:
            data = _training_data(fold, videos, labels)
            models, rows, share = _train_fold(fold, data, classes, config, files)
            history += rows
            floor = replace(fit_floor(data, len(classes)), share=np.array(share))
            floor.save(files.floor(fold.name))
            parts += _predict_held_out(fold, videos, labels, models, floor)
        outcome = Outcome(
            classes,
            evaluate(parts, classes, settings.decoding, labelling) if parts else None,
            parts,
            pd.DataFrame(history),
            run_summary(settings, videos, labels, classes, folds),
            {video.name: video.path for video in videos},
            labelling,
        )
        write_outcome(outcome, settings.decoding, output_dir)
        write_table(outcome.history, output_dir / 'metrics.csv')
        description = _describe(config, inputs, source, opened, videos, classes, folds, files)
        with finished_file(files.model) as part:
            part.write_text(description.to_json(), encoding='utf-8')
    return outcome


def _training_data(
    fold: Fold,
    videos: Sequence[OpenVideo],
    labels: Sequence[Labels],
) -> TrainingData:
    return TrainingData(
        [video.features for video in videos],
        [own.target[video.frame] for video, own in zip(videos, labels, strict=True)],
        [fold.train[video.name][video.frame] for video in videos],
        [f'{v.name} {v.content}: {v.made_by}' for v in videos],
        labels[0].labelling,
    )


def _train_fold(
    fold: Fold,
    data: TrainingData,
    classes: Sequence[str],
    config: BeastConfig,
    files: SegmentationFiles,
) -> tuple[list[Segmenter], list[dict[str, Any]], float]:
    """Train the ensemble of one fold, or read what is finished.

    Returns:
        the models, the history of all trainings, and the weight of logistic regression.
    """
    settings, shapes = config.segmentation, data.features[0].shapes
    fitting, curve, share = _length(fold, data, classes, config, files)
    models, history = [], [{'fold': fold.name, 'model': CURVE, **row} for row in curve]
    for number in range(settings.fitting.ensemble):
        folder, seed = files.member(fold.name, number), config.seed + number
        folder.mkdir(parents=True, exist_ok=True)
        model = build_segmenter(shapes, len(classes), settings.head, seed, data.labelling)
        rows = fit_segmenter(
            model,
            data,
            classes,
            fitting,
            seed,
            folder / 'last.ckpt',
            f'training {fold.name}, model {number + 1} of {settings.fitting.ensemble}',
        )
        history += [{'fold': fold.name, 'model': number, **row} for row in rows]
        with finished_file(files.weights(fold.name, number)) as part:
            safetensors.torch.save_file(
                {name: value.cpu().contiguous() for name, value in model.state_dict().items()},
                part,
            )
        models.append(model)
    return models, history, share


def _length(
    fold: Fold,
    data: TrainingData,
    classes: Sequence[str],
    config: BeastConfig,
    files: SegmentationFiles,
) -> tuple[FittingConfig, list[dict[str, float]], float]:
    """Decide the length of a fold's trainings and the weight of logistic regression.

    A number of epochs in the config is kept. Else a model is trained without a part of the
    training frames, whose loss decides; where there are too few of them, the rule alone does.

    Returns:
        the settings with their length, the curve, and the weight.
    """
    fitting = config.segmentation.fitting
    length = with_length(fitting, len(data.codes()), data.runs())
    parts = hold_out_part(data, len(classes)) if fitting.epochs is None else None
    if parts is None:
        return length, [], 0.0
    learned, held_out = parts
    folder = files.curve(fold.name)
    folder.mkdir(parents=True, exist_ok=True)
    shapes = data.features[0].shapes
    head = config.segmentation.head
    model = build_segmenter(shapes, len(classes), head, config.seed, data.labelling)
    rows = fit_segmenter(
        model,
        learned,
        classes,
        length,
        config.seed,
        folder / 'last.ckpt',
        f'held-out curve of {fold.name}',
        held_out,
    )
    epochs = best_length(rows)
    logger.info(
        f'beast: the loss on held-out training frames was least after epoch {epochs} of '
        f'{length.epochs}; {fold.name} is trained so long'
    )
    share = 0.0
    if head.linear:
        share = share_of_floor(model, learned, held_out, len(classes))
    return replace(length, epochs=epochs), rows, share


def _predict_held_out(
    fold: Fold,
    videos: Sequence[OpenVideo],
    labels: Sequence[Labels],
    models: Sequence[Segmenter],
    floor: Floor,
) -> list[HeldOut]:
    """Predict the held-out frames, seeing no frame that was trained on."""
    parts = []
    for video, own in zip(videos, labels, strict=True):
        test = fold.test[video.name]
        if not test.any():
            continue
        visible = ~fold.train[video.name][video.frame]
        rows = predict(models, video.features, visible)
        floors = floor.predict(video.features, visible)
        rows = floor.mixed(rows, floors)
        probabilities = to_all_frames(rows, video.frame, video.frames)
        target = np.where(np.isnan(probabilities[0]).any(axis=1), UNSCORED, own.target)
        spread = {
            name: to_all_frames(values, video.frame, video.frames)
            for name, values in floors.items()
        }
        parts += held_out_parts(video.name, test, target, probabilities, spread)
    return parts


def _describe(
    config: BeastConfig,
    inputs: Inputs,
    source: FeatureSource | None,
    opened: str | None,
    videos: Sequence[OpenVideo],
    classes: tuple[str, ...],
    folds: Sequence[Fold],
    files: SegmentationFiles,
) -> Description:
    ensemble = range(config.segmentation.fitting.ensemble)
    members = tuple((fold.name, number) for fold in folds for number in ensemble)
    read = [
        files.settings,
        *(files.weights(*member) for member in members),
        *(files.floor(fold.name) for fold in folds),
    ]
    return Description(
        classes,
        videos[0].features.shapes,
        inputs.source,
        source.hash if source else None,
        videos[0].made_by,
        members,
        tuple(
            source_key(video.path, None)
            for video in videos
            if any(fold.train[video.name].any() for fold in folds)
        ),
        {path.relative_to(files.directory).as_posix(): file_key(path) for path in read},
        opened,
    )
