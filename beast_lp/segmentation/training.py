"""A training run: scored videos in; models and their scores on held-out frames out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.features.source import FeatureSource
from beast_lp.features.store import store_names
from beast_lp.features.trunk import Trunk
from beast_lp.runs.files import finished_file, only_writer
from beast_lp.runs.seeds import numpy_generator
from beast_lp.segmentation.classes import UNSCORED, Labels
from beast_lp.segmentation.evaluate import HeldOut, evaluate, held_out_parts
from beast_lp.segmentation.fit import (
    TrainingData,
    build_segmenter,
    check_training_labels,
    train_segmenter,
)
from beast_lp.segmentation.label_files import find_label_files, load_labels
from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.outputs import Outcome, write_outcome, write_table
from beast_lp.segmentation.probabilities import predict, to_all_frames
from beast_lp.segmentation.run_files import (
    Description,
    SegmentationFiles,
    check_output_dir,
    settings_yaml,
)
from beast_lp.segmentation.sequences import Features
from beast_lp.segmentation.sessions import (
    Inputs,
    OpenSource,
    Session,
    feature_source,
    open_sessions,
)
from beast_lp.segmentation.split import (
    Fold,
    fold_videos,
    hold_out_blocks,
    hold_out_videos,
    whole,
)
from beast_lp.video.identity import source_key


def run_training(
    config: SegmentationConfig,
    inputs: Inputs,
    output_dir: Path,
    open_source: OpenSource,
) -> Outcome:
    """Train all models, or go on with a run that was interrupted, and score them.

    Args:
        config: all settings.
        inputs: where everything is.
        output_dir: of this run alone.
        open_source: from the name of what makes the features to it.

    Raises:
        BeastError: if the directory holds a finished run or one with other settings or labels, or
            labels or features cannot be used.
    """
    files = SegmentationFiles(output_dir)
    check_output_dir(files, config, inputs)
    output_dir.mkdir(parents=True, exist_ok=True)
    with only_writer(output_dir / '.lock', 'this segmentation run'):
        label_files = find_label_files(inputs.videos, inputs.labels)
        scored = [video for video in inputs.videos if video in label_files]
        held_out = [
            name
            for name, video in zip(store_names(scored), scored, strict=True)
            if video in inputs.held_out
        ]
        source = feature_source(config, inputs.source, open_source)
        with finished_file(files.settings) as part:
            part.write_text(settings_yaml(config, inputs), encoding='utf-8')
        sessions = open_sessions(scored, config, inputs, files.features, source)
        classes, labels = load_labels(sessions, label_files, config)
        folds = make_folds(
            {session.name: session.frames for session in sessions}, config, held_out
        )
        # before hours of training: every fold must be able to learn every class
        for fold in folds:
            check_training_labels(_training_data(fold, sessions, labels), classes)
        history, parts = [], []
        for fold in folds:
            models = _train_fold(fold, sessions, labels, classes, config, files, source, history)
            parts += _predict_held_out(fold, sessions, labels, models)
        outcome = Outcome(
            classes,
            evaluate(parts, classes, config.decoding) if parts else None,
            parts,
            pd.DataFrame(history),
            _summary(config, sessions, labels, classes, folds),
        )
        write_outcome(outcome, output_dir)
        write_table(outcome.history, output_dir / 'metrics.csv')
        description = Description(
            classes,
            sessions[0].features.shape[1:],
            inputs.source,
            source.hash if source else None,
            sessions[0].made_by,
            tuple(
                (fold.name, number) for fold in folds for number in range(config.fitting.ensemble)
            ),
            tuple(
                source_key(session.video, None)
                for session in sessions
                if any(fold.train[session.name].any() for fold in folds)
            ),
        )
        with finished_file(files.model) as part:
            part.write_text(description.to_json(), encoding='utf-8')
    return outcome


def make_folds(
    lengths: Mapping[str, int],
    config: SegmentationConfig,
    held_out: Sequence[str],
) -> list[Fold]:
    """Divide the frames of all scored videos as the config says.

    Args:
        lengths: frames of each video.
        config: `split` and `seed`.
        held_out: videos that the config names as test videos.

    Raises:
        BeastError: if nothing would be left for training, or for testing.
    """
    split = config.split
    if split.by == 'none':
        return [whole(lengths)]
    if split.by == 'block':
        return [hold_out_blocks(lengths, split.block_frames, split.test_every, split.gap_frames)]
    if split.by == 'folds':
        return fold_videos(lengths, split.folds, config.seed)
    names = list(lengths)
    chosen = list(held_out)
    if split.test_videos is None:
        count = max(1, round(len(names) * split.test_fraction))
        chosen = [
            names[i] for i in numpy_generator(config.seed, 'split').permutation(len(names))[:count]
        ]
    if not chosen or len(chosen) >= len(names):
        raise BeastError(
            f'{len(names)} videos have labels and {len(chosen)} of them would be held out; score '
            'another video, or hold out blocks of frames (beast.segmentation.split.by=block)'
        )
    return [hold_out_videos(lengths, chosen)]


def _training_data(
    fold: Fold,
    sessions: Sequence[Session],
    labels: Sequence[Labels],
) -> TrainingData:
    return TrainingData(
        [session.features for session in sessions],
        [own.target[session.frame] for session, own in zip(sessions, labels, strict=True)],
        [fold.train[session.name][session.frame] for session in sessions],
        [f'{s.name} {s.content}: {s.made_by}' for s in sessions],
    )


def _train_fold(
    fold: Fold,
    sessions: Sequence[Session],
    labels: Sequence[Labels],
    classes: Sequence[str],
    config: SegmentationConfig,
    files: SegmentationFiles,
    source: FeatureSource | None,
    history: list[dict[str, Any]],
) -> list[Segmenter]:
    """Train the ensemble of one fold; what is finished is read."""
    data = _training_data(fold, sessions, labels)
    models = []
    for number in range(config.fitting.ensemble):
        folder = files.member(fold.name, number)
        folder.mkdir(parents=True, exist_ok=True)
        model = new_segmenter(config, data.features[0], len(classes), number, source)
        rows = train_segmenter(
            model,
            data,
            classes,
            config.fitting,
            config.seed + number,
            folder / 'last.ckpt',
            f'training {fold.name}, model {number + 1} of {config.fitting.ensemble}',
        )
        history += [{'fold': fold.name, 'model': number, **row} for row in rows]
        with finished_file(folder / 'model.safetensors') as part:
            safetensors.torch.save_file(
                {name: value.cpu().contiguous() for name, value in model.state_dict().items()},
                part,
            )
        models.append(model)
    return models


def new_segmenter(
    config: SegmentationConfig,
    features: Features,
    classes: int,
    number: int,
    source: FeatureSource | None,
) -> Segmenter:
    """Build the untrained n-th model of an ensemble."""
    return build_segmenter(
        features,
        classes,
        config.head,
        config.seed + number,
        source.tail if isinstance(source, Trunk) else None,
    )


def _predict_held_out(
    fold: Fold,
    sessions: Sequence[Session],
    labels: Sequence[Labels],
    models: Sequence[Segmenter],
) -> list[HeldOut]:
    """Predict what is held out, from frames that were not trained on."""
    parts = []
    for session, own in zip(sessions, labels, strict=True):
        test = fold.test[session.name]
        if not test.any():
            continue
        visible = ~fold.train[session.name][session.frame]
        rows = predict(models, session.features, visible)
        frames = np.stack([to_all_frames(r, session.frame, session.frames) for r in rows])
        target = np.where(np.isnan(frames[0]).any(axis=1), UNSCORED, own.target)
        parts += held_out_parts(session.name, test, target, frames)
    return parts


def _summary(
    config: SegmentationConfig,
    sessions: Sequence[Session],
    labels: Sequence[Labels],
    classes: Sequence[str],
    folds: Sequence[Fold],
) -> dict[str, str]:
    counts = {
        name: sum(int((own.target == number).sum()) for own in labels)
        for number, name in enumerate(classes)
    }
    shape = sessions[0].features.shape[1:]
    per_hour = sessions[0].frame_bytes * 3600 * sessions[0].fps / 1e9
    return {
        'features': f'{config.features} of {sessions[0].source}',
        'size of a frame': ' x '.join(map(str, shape)),
        'disk per hour of video': f'{per_hour:.2f} GB',
        'videos': ', '.join(f'{s.name} ({s.frames} frames)' for s in sessions),
        'scored frames': ', '.join(f'{name} {count}' for name, count in counts.items()),
        'held out': f'by {config.split.by}: '
        + '; '.join(
            f'{fold.name}: {sum(int(mask.sum()) for mask in fold.test.values())} of '
            f'{sum(len(mask) for mask in fold.test.values())} frames'
            for fold in folds
        ),
        'models': f'{config.fitting.ensemble} in each of {len(folds)} fold(s)',
        'decoding': config.decoding.method,
    }
