"""Behaviour of a fly from patch tokens: every 4th block of frames is held out."""

from pathlib import Path

import numpy as np
from budget import Budget

from beast_lp.config.segmentation import FittingConfig, HeadConfig
from beast_lp.features.store import FeatureStore
from beast_lp.segmentation.classes import class_list, scored
from beast_lp.segmentation.fit import TrainingData, build_segmenter, train_segmenter
from beast_lp.segmentation.metrics import macro_f1_of
from beast_lp.segmentation.one_hot import read_one_hot
from beast_lp.segmentation.probabilities import predict
from beast_lp.segmentation.split import hold_out_blocks

BLOCK, EVERY, GAP = 150, 4, 15
HEAD = HeadConfig(pooled_size=64, hidden_size=32, blocks=2, lags=4, dropout=0.2)
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
    target = scored(raw, classes, [], False, labels).target
    tokens = FeatureStore.open(store).patches
    assert tokens is not None and len(tokens) == len(target)
    fold = hold_out_blocks({'video': len(target)}, BLOCK, EVERY, GAP)
    train, test = fold.train['video'], fold.test['video']
    model = build_segmenter(tokens, len(classes), HEAD, seed)
    fitting = FittingConfig(
        epochs=budget.segmentation_epochs,
        batch_size=4,
        sequence_frames=200,
        learning_rate=2e-3,
    )
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    train_segmenter(
        model, TrainingData([tokens], [target], [train]), classes, fitting, seed, checkpoint
    )
    probabilities = predict([model], tokens, ~train)[0]
    predicted = np.nan_to_num(probabilities).argmax(axis=1)
    counted = np.ones(len(classes), dtype=bool)
    return {
        'score': macro_f1_of(np.where(test, target, -1), predicted, counted),
        'reference': PIXELS,
    }
