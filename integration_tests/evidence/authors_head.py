r"""The head of lightning-action on features and blocks of one of our runs.

    uv pip install --no-deps --target FOLDER lightning-action==1.1.0
    uv run python integration_tests/evidence/authors_head.py --package FOLDER \
        --run RUN --features STORE --labels LABELS.csv --output DIRECTORY

RUN is what `litpose segment train` wrote with `beast.segmentation.split.by=block` for one video,
STORE its feature store. Frames that RUN held out, and those beside them, are not scored in
training; they are predicted afterwards, and scored as ours are. Each row is macro-F1 of one seed.

Two settings are run: those of the package's own example for video features (`ibl.yaml`: 200
epochs at 1e-4 with sequences of 1,000 frames), and as many steps as our default takes, by shorter
sequences and a rate of 1e-3.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from sklearn.metrics import f1_score

from beast_lp.features.store import FeatureStore

NAME = 'video'
# frames on either side of a held-out block, as in our own training
GUARD = 15
SETTINGS = {
    'example': {'lr': 1e-4, 'sequence_length': 1000, 'num_epochs': 200},
    'as many steps': {'lr': 1e-3, 'sequence_length': 150, 'num_epochs': 300},
}


def held_out_frames(run: Path) -> Int[np.ndarray, ' frames']:
    """Return the numbers of the frames that a run held out."""
    tables = [pd.read_csv(file) for file in sorted((run / 'held_out').glob('*.csv'))]
    return pd.concat(tables)['frame'].to_numpy()


def beside(held_out: Bool[np.ndarray, ' frames'], guard: int) -> Bool[np.ndarray, ' frames']:
    """Return which frames are held out or fewer than `guard` frames away from one that is.

    Examples:
        >>> beside(np.array([0, 0, 0, 1, 0, 0], bool), 2).astype(int)
        array([0, 1, 1, 1, 1, 1])
    """
    window = np.ones(2 * guard + 1)
    return np.convolve(held_out, window, 'same') > 0


def frame_vectors(store: FeatureStore) -> Float[np.ndarray, 'frames channels']:
    """Return the patch tokens of each frame side by side, or else its one vector."""
    values = store.cls if store.patches is None else store.patches
    return np.asarray(values, dtype=np.float32).reshape(len(values), -1)


def write_project(
    directory: Path,
    features: Float[np.ndarray, 'frames channels'],
    labels: pd.DataFrame,
    hidden: Bool[np.ndarray, ' frames'],
) -> None:
    """Write features and labels as the package reads them; hidden frames become background."""
    shown = labels.copy()
    shown.loc[hidden] = np.eye(labels.shape[1], dtype=int)[0]
    for name, table in (('features', pd.DataFrame(features)), ('labels', shown)):
        (directory / name).mkdir(parents=True, exist_ok=True)
        table.to_csv(directory / name / f'{NAME}.csv')


def macro_f1(directory: Path, config: dict, truth: np.ndarray, rows: np.ndarray) -> float:
    """Train, predict, and score the frames that were held out."""
    from lightning_action.api import Model  # pyright: ignore[reportMissingImports]

    model = Model.from_config(config)
    model.train(output_dir=directory / 'run', post_inference=False)
    model.predict(directory, 'features', directory / 'predicted')
    found = pd.read_csv(directory / 'predicted' / f'{NAME}_predictions.csv', index_col=0)
    # the first class is the background, which is not scored
    scored = rows[truth[rows] > 0]
    predicted = found.to_numpy()[scored, 1:].argmax(axis=1) + 1
    return float(f1_score(truth[scored], predicted, average='macro'))


def main() -> None:
    """Print a row per setting and seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ('package', 'run', 'features', 'labels', 'output'):
        parser.add_argument(f'--{name}', type=Path, required=True)
    parser.add_argument('--seeds', type=int, default=3)
    args = parser.parse_args()
    sys.path.append(str(args.package))
    features = frame_vectors(FeatureStore.open(args.features))
    labels = pd.read_csv(args.labels, index_col=0).iloc[: len(features)]
    rows = held_out_frames(args.run)
    hidden = np.zeros(len(features), dtype=bool)
    hidden[rows] = True
    write_project(args.output, features, labels, beside(hidden, GUARD))
    truth = labels.to_numpy().argmax(axis=1)
    for name, chosen in SETTINGS.items():
        scores = []
        for seed in range(args.seeds):
            config = {
                'data': {
                    'data_path': str(args.output),
                    'input_dir': 'features',
                    'transforms': ['VelocityConcat', 'ZScore'],
                    'ignore_index': 0,
                    'weight_classes': True,
                },
                'model': {
                    'input_size': features.shape[1],
                    'output_size': labels.shape[1],
                    'head': 'dtcn',
                    'num_hid_units': 32,
                    'num_layers': 2,
                    'num_lags': 4,
                    'seed': seed,
                },
                'optimizer': {'type': 'Adam', 'lr': chosen['lr'], 'wd': 0},
                'training': {
                    'device': 'cpu',
                    'num_epochs': chosen['num_epochs'],
                    'sequence_length': chosen['sequence_length'],
                    'batch_size': 8,
                    'num_workers': 1,
                    'seed': seed,
                    'progress_bar': False,
                },
            }
            scores.append(macro_f1(args.output, config, truth, rows))
        print(f'{name}: {np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}', np.round(scores, 3))


if __name__ == '__main__':
    main()
