"""Trained models applied to other videos: to predict them, or to be scored on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.features.source import FeatureSource, hash_files
from beast_lp.segmentation.classes import Labels
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.evaluate import evaluate, held_out_parts
from beast_lp.segmentation.floors import Floor, mean_floor
from beast_lp.segmentation.labelling import UNSCORED, Labelling, labelling_of
from beast_lp.segmentation.model import Segmenter, build_segmenter, current_names
from beast_lp.segmentation.outcome import Outcome, write_outcome
from beast_lp.segmentation.outputs import Prediction
from beast_lp.segmentation.probabilities import predict, to_all_frames
from beast_lp.segmentation.run_files import Description, SegmentationFiles, read_config
from beast_lp.segmentation.streams import Shape, shapes_in_words, widths
from beast_lp.segmentation.videos import (
    OpenSource,
    OpenVideo,
    SourceFiles,
    comes_from_files,
    feature_source,
)
from beast_lp.video.identity import source_key
from beast_lp.vit.safe_load import read_tensors


@dataclass(frozen=True)
class Trained:
    """The models of a training run, ready to predict.

    Attributes:
        directory: output directory of the run.
        config: settings of the run.
        classes: names, in the order of the class numbers.
        models: members of the ensemble.
        source: what makes the features; None where they come from files.
        made_by: as in `OpenVideo`.
        trained_on: as in `Description`.
        shapes: shape of a frame of each stream of features.
        floors: floors of the run's folds; none of a version that did not keep them.
        folds: number of the fold of each model.
    """

    directory: Path
    config: SegmentationConfig
    classes: tuple[str, ...]
    models: list[Segmenter]
    source: FeatureSource | None
    made_by: str
    trained_on: tuple[str, ...]
    shapes: tuple[Shape, ...]
    floors: tuple[Floor, ...] = ()
    folds: tuple[int, ...] = ()

    @property
    def labelling(self) -> Labelling:
        """Whether a frame has one class or any number of them."""
        return labelling_of(self.config)

    def has_seen(self, video: Path) -> bool:
        """Return whether a model has learned any frame of a video, under whatever name.

        Raises:
            VideoError: if the video cannot be read.
        """
        return source_key(video, None) in self.trained_on


def load_trained(
    directory: Path,
    open_source: OpenSource,
    source_files: SourceFiles,
) -> Trained:
    """Read the models of a finished run.

    Args:
        directory: output directory of the run.
        open_source: opens what makes the features, by its name.
        source_files: returns the files that opening it reads.

    Raises:
        BeastError: if there is no finished run, its description is damaged, an older version
            trained it with settings that no longer exist, or its backbone is gone or has changed.
    """
    files = SegmentationFiles(directory)
    if not files.model.exists():
        reason = (
            'has not finished; run the same `litpose segment train` command again'
            if files.settings.exists()
            else 'is none; give the --output_dir of it as --model_dir'
        )
        raise BeastError(f'a segmentation run in {directory} {reason}')
    description = Description.read(files.model)
    description.check_files(directory)
    config = read_config(files.settings)
    has_tokens = [len(shape) == 2 for shape in description.shapes]
    if [kind == 'patches' for kind in config.kinds] != has_tokens:
        raise BeastError(
            f'{files.settings} has features: {config.features}, but {files.model} '
            f'{shapes_in_words(description.shapes)} in each frame, which are other features; '
            'restore the files, or train again'
        )
    # what needs no code of others comes first
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    models = [
        _load_member(files.weights(fold, number), description, config)
        for fold, number in description.members
    ]
    if not comes_from_files(config):
        _check_source_files(description, directory, source_files)
    source = feature_source(config, description.source, open_source)
    if source is not None and source.hash != description.source_hash:
        raise _other_weights(description, directory)
    models = [model.to(device).eval() for model in models]
    folds = list(dict.fromkeys(fold for fold, _ in description.members))
    # those of an older version have none
    kept = [files.floor(fold) for fold in folds if files.floor(fold).is_file()]
    values, classes = sum(widths(description.shapes)), len(description.classes)
    floors = tuple(Floor.load(path, values, classes, labelling_of(config)) for path in kept)
    if len(floors) < len(folds):
        floors = ()
    return Trained(
        directory,
        config,
        description.classes,
        models,
        source,
        description.made_by,
        description.trained_on,
        description.shapes,
        floors,
        tuple(folds.index(fold) for fold, _ in description.members),
    )


def _check_source_files(
    description: Description,
    directory: Path,
    source_files: SourceFiles,
) -> None:
    """Check, before anything is opened, that what made the features is what was trained with."""
    if description.source is None or description.source_files is None:
        return
    if hash_files(source_files(description.source)) != description.source_files:
        raise _other_weights(description, directory)


def _other_weights(description: Description, directory: Path) -> BeastError:
    return BeastError(
        f'{description.source} holds other weights than the model in {directory} was trained '
        'with; restore them, or train again'
    )


def _load_member(path: Path, description: Description, config: SegmentationConfig) -> Segmenter:
    """Read one model, after a check that its weights are those of the run that is described."""
    if not path.is_file():
        raise BeastError(
            f'{path}, a model of the segmentation run, is missing; restore it, or train again'
        )
    weights, _ = read_tensors(path)
    # older versions knew no other
    if 'difference_gain' in weights:
        weights.setdefault('difference_lag', torch.ones((), dtype=torch.int64))
    weights = current_names(weights)
    classes, last = len(description.classes), f'tcn.blocks.{config.head.blocks - 1}.first.bias'
    if last not in weights:
        # before as many blocks are built as damaged settings say
        raise BeastError(
            f'{path} has no {last}, although the settings in {path.parents[3]} name '
            f'{config.head.blocks} blocks; restore the files, or train again'
        )
    try:
        # sizes first: those of a damaged description may fill the memory
        with torch.device('meta'):
            expected = build_segmenter(description.shapes, classes, config.head, 0).state_dict()
    except (RuntimeError, ValueError, OverflowError, TypeError) as error:
        raise BeastError(
            f'no model has the sizes that {path.parents[3]} describes '
            f'({str(error).splitlines()[0]}); restore its files, or train again'
        ) from error
    for name in sorted({*weights, *expected}):
        own, wanted = (
            tuple(state[name].shape) if name in state else 'nothing'
            for state in (weights, expected)
        )
        if own != wanted:
            raise BeastError(
                f'{path} does not fit the run that {path.parents[3]} describes: {name} is {own}, '
                f'not {wanted}; restore the file, or train again'
            )
    broken = next((name for name, value in weights.items() if not value.isfinite().all()), None)
    if broken is not None:
        raise BeastError(
            f'{path} holds weights that are no numbers ({broken}); restore the file, or train '
            'again'
        )
    model = build_segmenter(
        description.shapes, classes, config.head, seed=0, labelling=labelling_of(config)
    )
    model.load_state_dict(weights)
    return model


def predict_video(trained: Trained, video: OpenVideo) -> Prediction:
    """Predict a video with the ensemble of all models.

    Args:
        trained: models.
        video: video with its features.

    Raises:
        BeastError: if the features are of another source than the models'.
    """
    members, _ = _predict_members(trained, video)
    probabilities = members.mean(axis=0)
    return Prediction(
        video.name,
        video.path,
        trained.classes,
        probabilities,
        decode(probabilities, trained.config.decoding, trained.labelling),
        video.fps,
        video.times if video.clock is None else video.clock,
        video.times,
        trained.labelling,
    )


def _predict_members(
    trained: Trained,
    video: OpenVideo,
) -> tuple[
    Float[np.ndarray, 'models frames classes'],
    dict[str, Float[np.ndarray, 'frames classes']],
]:
    """Return the probabilities of each model, and of the floors on average over their folds."""
    if video.made_by != trained.made_by:
        raise BeastError(
            f'the features of {video.name} ({video.source}: {video.made_by}) are not like '
            f'those that the model in {trained.directory} was trained on ({trained.made_by}); '
            'make them in the same way'
        )
    if video.features.shapes != trained.shapes:
        raise BeastError(
            f'the features of {video.name} are {shapes_in_words(video.features.shapes)} in each '
            f'frame, but the model in {trained.directory} takes '
            f'{shapes_in_words(trained.shapes)}; make them in the same way'
        )
    rows = predict(trained.models, video.features)
    visible = np.ones(len(video.features), dtype=bool)
    floors = [floor.predict(video.features, visible) for floor in trained.floors]
    if floors:
        # each model beside the floor of its own fold, as it was scored in training
        rows = np.stack(
            [
                trained.floors[fold].mixed(row, floors[fold])
                for row, fold in zip(rows, trained.folds, strict=True)
            ]
        )
    mean = mean_floor(floors)
    return to_all_frames(rows, video.frame, video.frames), {
        name: to_all_frames(values, video.frame, video.frames) for name, values in mean.items()
    }


def run_evaluation(
    trained: Trained,
    videos: Sequence[OpenVideo],
    labels: Sequence[Labels],
    output_dir: Path,
) -> Outcome:
    """Score trained models on all frames of videos; the summary names videos trained on.

    Args:
        trained: models.
        videos: videos with their features.
        labels: labels of each video.
        output_dir: folder of the tables.

    Raises:
        BeastError: if no frame is scored.
    """
    parts = []
    for video, own in zip(videos, labels, strict=True):
        members, floors = _predict_members(trained, video)
        everything = np.ones(video.frames, dtype=bool)
        parts += held_out_parts(video.name, everything, own.target, members, floors)
    if not any((part.target != UNSCORED).any() for part in parts):
        raise BeastError(
            'all frames of these videos are unscored, so there is nothing to compare with; give '
            'videos with labels'
        )
    summary = {
        'model': str(trained.directory),
        'videos': ', '.join(f'{v.name} ({v.frames} frames)' for v in videos),
    }
    seen = [video.name for video in videos if trained.has_seen(video.path)]
    if seen:
        summary['trained on'] = (
            f'frames of {", ".join(seen)}, so that the scores there say little about new videos'
        )
    summary['members'] = str(len(trained.models))
    summary['decoding'] = trained.config.decoding.method
    scores = evaluate(parts, trained.classes, trained.config.decoding, trained.labelling)
    paths = {video.name: video.path for video in videos}
    outcome = Outcome(
        trained.classes, scores, parts, pd.DataFrame(), summary, paths, trained.labelling
    )
    write_outcome(outcome, trained.config.decoding, output_dir)
    return outcome
