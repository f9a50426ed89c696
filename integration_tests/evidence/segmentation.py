"""Behaviour of a real fly from five kinds of features, over seeds: the table in the README.

Every backbone but the random one is pretrained on the very video (fly_courtship, male), with the
`laptop` preset. Every 4th block of 150 frames is held out, 15 frames on either side of it are not
trained on, and held-out frames are predicted from frames that were not trained on. The seeds are
those of the head; there is one pretraining each.

    python integration_tests/evidence/segmentation.py --output_dir DIRECTORY

What is finished in the directory is kept, so that an interrupted run continues.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from beast_lp.config import parse_config
from beast_lp.config.segmentation import FittingConfig, HeadConfig
from beast_lp.features.extract import ExtractionSettings, extract_features
from beast_lp.features.networks import vit_source
from beast_lp.features.store import FeatureStore
from beast_lp.pretraining.model import MaskedAutoencoder, encoder_to_transformers
from beast_lp.pretraining.seeds import derive_seed
from beast_lp.pretraining.stage import RunFiles, run_pretraining
from beast_lp.pretraining.weights import read_encoder, save_backbone
from beast_lp.segmentation.labels import class_list, read_one_hot, scored
from beast_lp.segmentation.metrics import macro_f1_of
from beast_lp.segmentation.predict import predict
from beast_lp.segmentation.split import hold_out_blocks
from beast_lp.segmentation.train import TrainingData, build_segmenter, train_segmenter

DATA = Path(os.environ.get('BEAST_LP_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
BLOCK, EVERY, GAP = 150, 4, 15
GRID = 4
HEAD = HeadConfig(pooled_size=64, hidden_size=32, blocks=2, lags=4, dropout=0.2)
FITTING = FittingConfig(epochs=60, batch_size=4, sequence_frames=200, learning_rate=2e-3)
LOSSES = {
    'BEAST': {},
    'ViT-M': {'contrastive_weight': 0},
    'ViT-C': {'reconstruction_weight': 0},
}


def pretrained(name: str, directory: Path, video: Path, epochs: int, anchors: int) -> Path:
    """Return the backbone of a variant, pretrained on the video unless it is there already."""
    config = parse_config({
        'preset': 'laptop', 'anchors': {'per_video': anchors}, 'loss': LOSSES.get(name, {}),
        'training': {'epochs': epochs},
    })
    if name == 'random':
        backbone = directory / 'random'
        if not backbone.exists():
            import torch

            torch.manual_seed(derive_seed(0, 'random backbone'))
            model = MaskedAutoencoder(config.model, decoder=False)
            save_backbone(backbone, model.architecture, encoder_to_transformers(model))
        return backbone
    output = directory / name
    if not RunFiles(output).backbone.exists():
        output.mkdir(parents=True, exist_ok=True)
        run_pretraining(config, [video], output)
    return RunFiles(output).backbone


def held_out_probabilities(
    backbone: Path, store: Path, video: Path, labels: Path, seed: int, checkpoint: Path,
) -> tuple[Float[np.ndarray, 'frames classes'], np.ndarray]:
    """Train a head; return probabilities of all frames that it was not trained on, and labels."""
    raw = read_one_hot(labels)
    classes = class_list([raw.classes], None, [], False)
    target = scored(raw, classes, [], False, labels).target
    source = vit_source(read_encoder(backbone), backbone)
    settings = ExtractionSettings(patches=True, patch_grid=GRID)
    tokens = FeatureStore.open(extract_features(source, [video], store, settings)[0]).patches
    assert tokens is not None and len(tokens) == len(target)
    fold = hold_out_blocks({'male': len(target)}, BLOCK, EVERY, GAP)
    train, test = fold.train['male'], fold.test['male']
    model = build_segmenter(tokens, len(classes), HEAD, seed)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    train_segmenter(
        model, TrainingData([tokens], [target], [train]), classes, FITTING, seed, checkpoint
    )
    return predict([model], tokens, ~train)[0], np.where(test, target, -1)


def score(probabilities: np.ndarray, target: np.ndarray) -> float:
    """Return macro-F1 over the scored classes on the held-out frames."""
    predicted = np.nan_to_num(probabilities).argmax(axis=1)
    return macro_f1_of(target, predicted, np.ones(probabilities.shape[1], dtype=bool))


def prior(target: np.ndarray, train_target: np.ndarray) -> float:
    """Return the macro-F1 of guessing at random with the training frames' shares."""
    classes = int(train_target.max()) + 1
    shares = np.bincount(train_target[train_target >= 0], minlength=classes) / np.sum(
        train_target >= 0
    )
    rng = np.random.default_rng(0)
    return float(np.mean([
        macro_f1_of(target, rng.choice(classes, len(target), p=shares),
                    np.ones(classes, dtype=bool)) for _ in range(50)
    ]))


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--output_dir', type=Path, required=True)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--epochs', type=int, default=40, help='of pretraining')
    parser.add_argument('--anchors', type=int, default=400, help='for pretraining')
    parser.add_argument('--backbones', nargs='*', default=[*LOSSES, 'random'])
    options = parser.parse_args()
    directory: Path = options.output_dir.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    video = DATA / 'fly_courtship' / 'crops' / 'male.mp4'
    labels = DATA / 'fly_courtship' / 'labels' / 'male.csv'
    rows = []
    for name in options.backbones:
        results = []
        for seed in range(options.seeds):
            file = directory / 'results' / f'{name}_{seed}.npz'
            if not file.exists():
                backbone = pretrained(name, directory, video, options.epochs, options.anchors)
                probabilities, target = held_out_probabilities(
                    backbone, directory / 'features' / name, video, labels, seed,
                    directory / 'heads' / f'{name}_{seed}.ckpt',
                )
                file.parent.mkdir(exist_ok=True)
                np.savez(file, probabilities=probabilities, target=target)
            saved = np.load(file)
            results.append((saved['probabilities'], saved['target']))
        target = results[0][1]
        single = [score(probabilities, target) for probabilities, _ in results]
        rows.append({
            'backbone': name, 'seeds': options.seeds, 'mean': np.mean(single),
            'standard deviation': np.std(single, ddof=1) if len(single) > 1 else np.nan,
            'ensemble': score(np.mean([p for p, _ in results], axis=0), target),
            'values': json.dumps([round(value, 3) for value in single]),
        })
        table = pd.DataFrame(rows)
        table.to_csv(directory / 'table.csv', index=False)
        print(table.round(3).to_string(index=False), flush=True)


if __name__ == '__main__':
    main()
