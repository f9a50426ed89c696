"""Behaviour of a fly from patch tokens: every 4th block of frames is held out."""

from pathlib import Path

import numpy as np
from budget import Budget
from sklearn.metrics import f1_score

from beast_lp.config.segmentation import FittingConfig, HeadConfig
from beast_lp.features.store import FeatureStore
from beast_lp.segmentation.classes import UNSCORED, class_list, project_labels
from beast_lp.segmentation.fit import TrainingData, fit_segmenter
from beast_lp.segmentation.model import build_segmenter
from beast_lp.segmentation.one_hot import read_one_hot
from beast_lp.segmentation.probabilities import predict
from beast_lp.segmentation.split import hold_out_blocks

EVERY = 4
HEAD = HeadConfig(hidden_size=32, blocks=2, lags=4)
# macro-F1 of pixels, a window of 7 frames and logistic regression on the same blocks
PIXELS = 0.41


def segmentation_scores(
    store: Path,
    labels: Path,
    seed: int,
    budget: Budget,
    checkpoint: Path,
) -> dict[str, float]:
    """Train a head and return its macro-F1 on held-out blocks.

    The 15 frames on either side of a held-out block are not trained on, and held-out frames are
    predicted from frames that were not trained on.

    Args:
        store: patch tokens of the video.
        labels: one class per frame.
        seed: of the head.
        budget: epochs.
        checkpoint: to resume from.
    """
    raw = read_one_hot(labels)
    classes = class_list([raw.classes], None, [], False)
    target = project_labels(raw, classes, [], False, labels).target
    tokens = FeatureStore.open(store).patches
    assert tokens is not None and len(tokens) == len(target)
    fold = hold_out_blocks({'video': len(target)}, EVERY)
    train, test = fold.train['video'], fold.test['video']
    model = build_segmenter(tokens.shape[1:], len(classes), HEAD, seed)
    fitting = FittingConfig(
        epochs=budget.segmentation_epochs,
        batch_size=4,
        sequence_frames=200,
        learning_rate=2e-3,
    )
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    fit_segmenter(
        model, TrainingData([tokens], [target], [train]), classes, fitting, seed, checkpoint
    )
    probabilities = predict([model], tokens, ~train)[0]
    predicted = np.nan_to_num(probabilities).argmax(axis=1)
    scored = test & (target != UNSCORED)
    score = f1_score(
        target[scored], predicted[scored], labels=np.unique(target[scored]), average='macro'
    )
    return {'score': float(score), 'reference': PIXELS}
