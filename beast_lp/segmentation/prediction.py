"""Trained models used on other videos: to predict them, or to be scored on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from omegaconf import OmegaConf

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.features.source import FeatureSource
from beast_lp.segmentation.classes import UNSCORED, Labels
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.evaluate import evaluate, held_out_parts
from beast_lp.segmentation.model import Segmenter
from beast_lp.segmentation.outputs import Outcome, Prediction, write_outcome
from beast_lp.segmentation.probabilities import predict, to_all_frames
from beast_lp.segmentation.run_files import Description, SegmentationFiles
from beast_lp.segmentation.sessions import OpenSource, Session, feature_source
from beast_lp.segmentation.training import new_segmenter
from beast_lp.video.identity import source_key


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
    write_outcome(outcome, output_dir)
    return outcome
