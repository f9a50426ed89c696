"""The action segmentation stage: scored videos in; models, scores and predictions out."""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from omegaconf import OmegaConf

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.features.source import FeatureSource
from beast_lp.features.store import store_names
from beast_lp.features.trunk import Trunk
from beast_lp.runs.files import finished_file, only_writer
from beast_lp.runs.seeds import numpy_generator
from beast_lp.runs.settings import check_same_run
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.evaluate import HeldOut, Scores, evaluate, held_out_parts
from beast_lp.segmentation.label_files import find_label_files, load_labels
from beast_lp.segmentation.labels import UNSCORED, Labels
from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.outputs import Prediction, write_table
from beast_lp.segmentation.predict import predict, to_all_frames
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
from beast_lp.segmentation.train import (
    TrainingData,
    build_segmenter,
    check_training_labels,
    train_segmenter,
)
from beast_lp.video.identity import source_key

logger = logging.getLogger(f'lightning_pose.{__name__}')


@dataclass(frozen=True)
class SegmentationFiles:
    """Where a training run keeps what."""

    directory: Path

    @property
    def settings(self) -> Path:
        """Resolved settings."""
        return self.directory / 'segmentation.yaml'

    @property
    def features(self) -> Path:
        """Stores of the features that the run computed."""
        return self.directory / 'features'

    @property
    def model(self) -> Path:
        """What the models are; exists only once all are there."""
        return self.directory / 'segmenter.json'

    @property
    def report(self) -> Path:
        """What a person looks at; the last file that is written."""
        return self.directory / 'report.html'

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to write, the report neither."""
        return self.model.exists() and self.report.exists()

    def member(self, fold: str, number: int) -> Path:
        """Return the folder of one model."""
        return self.directory / 'models' / fold / f'seed_{number}'


@dataclass(frozen=True)
class Description:
    """What the models of a finished run are, in `segmenter.json`.

    Attributes:
        classes: names.
        shape: of the features of a frame.
        source: what makes the features, as a person names it; None where they come from files.
        source_hash: of its weights.
        made_by: as in `Session`.
        members: fold and number of every model.
        trained_on: keys of the content of all videos of which any model has learned a frame; a
            run of before this was recorded has none.
    """

    classes: tuple[str, ...]
    shape: tuple[int, ...]
    source: str | None
    source_hash: str | None
    made_by: str
    members: tuple[tuple[str, int], ...]
    trained_on: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Write the fields as JSON."""
        return json.dumps(asdict(self), indent=2) + '\n'

    @staticmethod
    def read(path: Path) -> 'Description':
        """Read the file that holds what `to_json` wrote.

        Raises:
            BeastError: if it holds something else.
        """
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
            values['classes'], values['shape'] = tuple(values['classes']), tuple(values['shape'])
            values['members'] = tuple((fold, int(number)) for fold, number in values['members'])
            values['trained_on'] = tuple(values.get('trained_on', ()))
            return Description(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise BeastError(
                f'{path} does not describe a segmentation run ({type(error).__name__}: {error}); '
                'restore the file, or train again'
            ) from error


@dataclass(frozen=True)
class Outcome:
    """What a run has to show.

    Attributes:
        classes: names.
        scores: None where nothing was held out.
        held_out: stretches that were scored.
        history: one row per model and epoch; empty for an evaluation.
        summary: what was run, in words.
    """

    classes: tuple[str, ...]
    scores: Scores | None
    held_out: list[HeldOut]
    history: pd.DataFrame
    summary: Mapping[str, str]


# ---------------------------------------------------------------------------------------------
# training
# ---------------------------------------------------------------------------------------------


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
        _write_outcome(outcome, output_dir)
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


def check_output_dir(
    files: SegmentationFiles,
    config: SegmentationConfig,
    inputs: Inputs,
) -> None:
    """Make sure that a directory is new, or holds the very run that is asked for, unfinished.

    Raises:
        BeastError: if going on would mix two runs or overwrite a result.
    """
    if files.is_finished:
        raise BeastError(
            f'{files.directory} already holds a finished segmentation run; use it with `litpose '
            'segment predict`, or give another --output_dir'
        )
    check_same_run(
        'segmentation run',
        files.settings,
        settings_yaml(config, inputs),
        ('segmentation.fitting.checkpoint_minutes',),
    )


def settings_yaml(config: SegmentationConfig, inputs: Inputs) -> str:
    """Return, as YAML, all that makes two runs the same run."""
    return OmegaConf.to_yaml(
        OmegaConf.create(
            {
                'segmentation': OmegaConf.structured(config),
                'videos': [str(video) for video in inputs.videos],
                'held_out': [str(video) for video in inputs.held_out],
                'labels': str(inputs.labels),
                'source': inputs.source,
            }
        )
    )


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


def _write_outcome(outcome: Outcome, directory: Path) -> None:
    for name, table in (outcome.scores.tables() if outcome.scores else {}).items():
        write_table(table, directory / f'{name}.csv')
    for part in outcome.held_out:
        name = f'{part.video}_{part.frame[0]}-{part.frame[-1]}.csv'
        table = pd.DataFrame(
            part.probabilities.mean(axis=0),
            columns=pd.Index(outcome.classes),
        )
        names = np.array([*outcome.classes, 'unscored'])
        table.insert(0, 'scored', names[part.target])
        table.insert(0, 'frame', part.frame)
        write_table(table, directory / 'held_out' / name)


# ---------------------------------------------------------------------------------------------
# prediction
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """The result of a training run, ready to predict; `trained_on` as in `Description`."""

    directory: Path
    config: SegmentationConfig
    classes: tuple[str, ...]
    models: list[Segmenter]
    source: FeatureSource | None
    made_by: str
    trained_on: tuple[str, ...]

    def has_seen(self, video: Path) -> bool:
        """Say whether a model has learned any frame of a video, wherever that was.

        Raises:
            VideoError: if the video cannot be read.
        """
        return source_key(video, None) in self.trained_on


def load_trained(directory: Path, open_source: OpenSource) -> Trained:
    """Read the models of a finished run.

    Args:
        directory: of the run.
        open_source: from the name of what makes the features to it.

    Raises:
        BeastError: if there is no finished run, its description is damaged, or its backbone is
            gone or has changed.
    """
    files = SegmentationFiles(directory)
    if not files.model.exists():
        reason = (
            'has not finished; run the same `litpose segment train` command again'
            if (files.settings.exists())
            else 'is none; give the --output_dir of it as --model_dir'
        )
        raise BeastError(f'a segmentation run in {directory} {reason}')
    description = Description.read(files.model)
    stored = OmegaConf.load(files.settings)['segmentation']  # type: ignore[index]
    config: SegmentationConfig = OmegaConf.to_object(  # type: ignore[assignment]
        OmegaConf.merge(OmegaConf.structured(SegmentationConfig), stored)
    )
    source = feature_source(config, description.source, open_source)
    if source is not None and source.hash != description.source_hash:
        raise BeastError(
            f'{description.source} holds other weights than the model in {directory} was '
            'trained with; restore them, or train again'
        )
    example = np.zeros((1, *description.shape), dtype=np.float32)
    models = []
    for fold, number in description.members:
        model = new_segmenter(config, example, len(description.classes), number, source)
        model.load_state_dict(
            safetensors.torch.load_file(files.member(fold, number) / 'model.safetensors')
        )
        models.append(model.to('cuda' if torch.cuda.is_available() else 'cpu').eval())
    return Trained(
        directory,
        config,
        description.classes,
        models,
        source,
        description.made_by,
        description.trained_on,
    )


def predict_video(trained: Trained, session: Session) -> tuple[Prediction, np.ndarray]:
    """Predict a video with the ensemble of all models.

    Returns:
        the prediction, and the (models, frames, classes) probabilities of its members.

    Raises:
        BeastError: if the features are of another source than the models'.
    """
    if session.made_by != trained.made_by:
        raise BeastError(
            f'the features of {session.name} ({session.source}: {session.made_by}) are not like '
            f'those that the model in {trained.directory} was trained on ({trained.made_by}); '
            'make them in the same way'
        )
    rows = predict(trained.models, session.features)
    members = np.stack([to_all_frames(r, session.frame, session.frames) for r in rows])
    probabilities = members.mean(axis=0)
    decoding = trained.config.decoding
    labels = decode(probabilities, decoding.method, decoding.min_bout_frames, decoding.stay)
    return Prediction(
        session.name,
        session.video,
        trained.classes,
        probabilities,
        labels,
        session.fps,
        session.times,
    ), members


def run_evaluation(
    trained: Trained,
    sessions: Sequence[Session],
    labels: Sequence[Labels],
    output_dir: Path,
) -> Outcome:
    """Score trained models on all frames of videos; the summary says which they were trained on.

    Args:
        trained: the models.
        sessions: the videos.
        labels: of each of them.
        output_dir: of the tables.

    Raises:
        BeastError: if no frame is scored.
    """
    parts = []
    for session, own in zip(sessions, labels, strict=True):
        _, members = predict_video(trained, session)
        everything = np.ones(session.frames, dtype=bool)
        parts += held_out_parts(session.name, everything, own.target, members)
    if not any((part.target != UNSCORED).any() for part in parts):
        raise BeastError(
            'all frames of these videos are unscored, so there is nothing to compare with; give '
            'videos with labels'
        )
    seen = [session.name for session in sessions if trained.has_seen(session.video)]
    outcome = Outcome(
        trained.classes,
        evaluate(parts, trained.classes, trained.config.decoding),
        parts,
        pd.DataFrame(),
        {
            'model': str(trained.directory),
            'videos': ', '.join(f'{s.name} ({s.frames} frames)' for s in sessions),
            **(
                {
                    'trained on': f'frames of {", ".join(seen)}, so that the scores there say '
                    'little about new videos'
                }
                if seen
                else {}
            ),
            'members': str(len(trained.models)),
            'decoding': trained.config.decoding.method,
        },
    )
    _write_outcome(outcome, output_dir)
    return outcome


@contextmanager
def claimed(directory: Path, work: Mapping[str, Any]) -> Iterator[None]:
    """Do work in an output directory that is new, or in which the same work was interrupted.

    Args:
        directory: of this work alone.
        work: by which an interrupted run is known again; not its videos, of which a damaged one
            may have been taken out.

    Raises:
        BeastError: if something else is in it, or another process does this work.
    """
    record, text = directory / 'unfinished.json', json.dumps(work, indent=2)
    interrupted = record.is_file() and record.read_text(encoding='utf-8') == text
    if directory.exists() and os.listdir(directory) and not interrupted:
        raise BeastError(f'{directory} is not empty; give another --output_dir')
    directory.mkdir(parents=True, exist_ok=True)
    with only_writer(directory / '.lock', str(directory)):
        with finished_file(record) as part:
            part.write_text(text, encoding='utf-8')
        yield
        record.unlink()
