"""Trained models applied to other videos: to predict them, or to be scored on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from jaxtyping import Float

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.features.source import FeatureSource
from beast_lp.segmentation.classes import UNSCORED, Labels
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.evaluate import evaluate, held_out_parts
from beast_lp.segmentation.model import Segmenter, build_segmenter
from beast_lp.segmentation.outcome import Outcome, write_outcome
from beast_lp.segmentation.outputs import Prediction
from beast_lp.segmentation.probabilities import predict, to_all_frames
from beast_lp.segmentation.run_files import Description, SegmentationFiles, read_config
from beast_lp.segmentation.videos import OpenSource, OpenVideo, feature_source
from beast_lp.video.identity import source_key


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
    """

    directory: Path
    config: SegmentationConfig
    classes: tuple[str, ...]
    models: list[Segmenter]
    source: FeatureSource | None
    made_by: str
    trained_on: tuple[str, ...]

    def has_seen(self, video: Path) -> bool:
        """Return whether a model has learned any frame of a video, under whatever name.

        Raises:
            VideoError: if the video cannot be read.
        """
        return source_key(video, None) in self.trained_on


def load_trained(directory: Path, open_source: OpenSource) -> Trained:
    """Read the models of a finished run.

    Args:
        directory: output directory of the run.
        open_source: opens what makes the features, by its name.

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
    config = read_config(files.settings)
    source = feature_source(config, description.source, open_source)
    if source is not None and source.hash != description.source_hash:
        raise BeastError(
            f'{description.source} holds other weights than the model in {directory} was '
            'trained with; restore them, or train again'
        )
    models = []
    for fold, number in description.members:
        model = build_segmenter(description.shape, len(description.classes), config.head, seed=0)
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


def predict_video(trained: Trained, video: OpenVideo) -> Prediction:
    """Predict a video with the ensemble of all models.

    Args:
        trained: models.
        video: video with its features.

    Raises:
        BeastError: if the features are of another source than the models'.
    """
    probabilities = _predict_members(trained, video).mean(axis=0)
    return Prediction(
        video.name,
        video.path,
        trained.classes,
        probabilities,
        decode(probabilities, trained.config.decoding),
        video.fps,
        video.times,
    )


def _predict_members(
    trained: Trained,
    video: OpenVideo,
) -> Float[np.ndarray, 'models frames classes']:
    if video.made_by != trained.made_by:
        raise BeastError(
            f'the features of {video.name} ({video.source}: {video.made_by}) are not like '
            f'those that the model in {trained.directory} was trained on ({trained.made_by}); '
            'make them in the same way'
        )
    rows = predict(trained.models, video.features)
    return to_all_frames(rows, video.frame, video.frames)


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
        members = _predict_members(trained, video)
        everything = np.ones(video.frames, dtype=bool)
        parts += held_out_parts(video.name, everything, own.target, members)
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
    scores = evaluate(parts, trained.classes, trained.config.decoding)
    outcome = Outcome(trained.classes, scores, parts, pd.DataFrame(), summary)
    write_outcome(outcome, output_dir)
    return outcome
