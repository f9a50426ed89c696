"""Behaviour of a fly as a user gets it: default settings, every 4th block of frames held out."""

from pathlib import Path
from typing import NoReturn

import pandas as pd
from budget import Budget

from beast_lp.config import parse_config
from beast_lp.segmentation.evaluate import ENSEMBLE
from beast_lp.segmentation.floors import LOGISTIC
from beast_lp.segmentation.inputs import Inputs
from beast_lp.segmentation.run_files import SegmentationFiles
from beast_lp.segmentation.training import run_training


def segmentation_scores(
    stores: Path,
    features: str,
    video: Path,
    labels: Path,
    seed: int,
    budget: Budget,
    directory: Path,
) -> dict[str, float]:
    """Train the heads of a seed and return the macro-F1 of their ensemble on held-out blocks.

    The 15 frames on either side of a held-out block are not trained on, and held-out frames are
    predicted from frames that were not trained on.

    Args:
        stores: folder of the stores.
        features: `patches` or `cls`, of a store.
        video: the one that is scored.
        labels: folder of its label file.
        seed: seed of the heads.
        budget: epochs, where they are not the default.
        directory: output directory of the training, which is resumed.
    """
    if not SegmentationFiles(directory).model.exists():
        config = parse_config(
            {
                'seed': seed,
                'segmentation': {
                    'features_dir': str(stores),
                    'features': features,
                    'split': {'by': 'block'},
                    'fitting': {'epochs': budget.segmentation_epochs},
                },
            }
        )
        inputs = Inputs([video], [], labels, None, stores, None)
        run_training(config, inputs, directory, _no_source, _no_source)
    table = pd.read_csv(directory / 'scores.csv')
    scores = dict(zip(table['model'], table['macro_f1'], strict=True))
    return {'score': float(scores[ENSEMBLE]), 'reference': float(scores[LOGISTIC])}


def _no_source(name: str) -> NoReturn:
    raise AssertionError(f'the features are stored, but {name} was opened')
