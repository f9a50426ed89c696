"""Encoding and behaviour on recordings whose reachable score is known.

The numbers in `beast_lp/guides/results.md` are printed by
`pytest -s integration_tests/test_real_recordings.py`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from encoding import every_fifth_block
from omegaconf import OmegaConf
from warm_litpose import Litpose

from beast_lp.config import parse_config
from beast_lp.encoding.stage import run_encoding
from beast_lp.features.info import FeatureInfo

# what encoding is measured in: bits per spike, the mean over neurons, against the rates of the
# training part (as in the recordings' SOURCE.txt; the standard definition is printed beside it)
SCORE = 'bps_train_null_mean'
# share of what the true movement reaches that video must reach, after a sixth of the preset
SHARE = 0.5
# macro-F1 of pixels, a window of 7 frames and logistic regression on the same held-out blocks
PIXELS_F1 = 0.41


@dataclass(frozen=True)
class Recording:
    """Videos of one session, its spikes, and the movement that they follow.

    Attributes:
        videos: the views.
        counts: spikes.
        bin_width: seconds; there is one frame per bin.
        movement: what was measured of, or drives, the animal.
        block: number of bins of a block; every 5th block is held out.
        encoder: that suits the recording.
    """

    videos: tuple[Path, ...]
    counts: np.ndarray
    bin_width: float
    movement: np.ndarray
    block: int
    encoder: str


def fly(data: Path) -> Recording:
    """Return a real fly with simulated neurons, which read its movement two bins ahead."""
    folder = data / 'fly_courtship'
    with np.load(folder / 'spikes_simulated.npz') as file:
        return Recording(
            (folder / 'videos' / 'fly_pair.mp4', folder / 'crops' / 'male.mp4'),
            file['spike_counts'],
            0.04,
            file['covariates'],
            150,
            'poisson_rrr',
        )


def monkey(data: Path) -> Recording:
    """Return real neurons of M1 with a drawn arm that follows the real hand."""
    folder = data / 'm1_reach'
    with np.load(folder / 'm1_reach.npz') as file:
        velocity = file['hand_vel']
        movement = np.column_stack([file['hand_pos'], velocity, np.hypot(*velocity.T)])
        return Recording(
            (folder / 'hand.mp4',),
            file['spike_counts'],
            0.05,
            movement,
            400,
            'rrr',
        )


def settings(recording: Recording, data: Path) -> dict[str, Any]:
    """Return the config: nothing but a `beast:` section."""
    return {
        'preset': 'laptop',
        'videos': [str(video) for video in recording.videos],
        # a sixth of the preset, since this runs with all tests
        'training': {'steps': 1500},
        'encoding': {
            'encoders': [recording.encoder],
            'tokens': 'patches',
            'components': 128,
            'min_rate_hz': 0.5,
            'lags': 8,
            'split': {'block_s': recording.block * recording.bin_width},
            'controls': {'shifts': 19, 'permutations': 1},
        },
        'segmentation': {
            'videos': [str(recording.videos[-1])],
            'patch_grid': 4,
            'labels': str(data / 'fly_courtship' / 'labels'),
            'split': {'by': 'block'},
            'head': {'hidden_size': 32, 'blocks': 2, 'lags': 4},
            'fitting': {
                'epochs': 60,
                'batch_size': 4,
                'sequence_frames': 200,
                'learning_rate': 2e-3,
                'ensemble': 2,
            },
        },
    }


def pretrain(litpose: Litpose, recording: Recording, data: Path, directory: Path) -> Path:
    """Pretrain on a recording's videos; return its config, with the backbone beside it."""
    config = directory / 'config.yaml'
    OmegaConf.save({'beast': settings(recording, data)}, config)
    litpose('pretrain', config, '--output_dir', directory / 'backbone')
    return config


def encode(litpose: Litpose, recording: Recording, config: Path) -> pd.DataFrame:
    """Embed a recording's videos and encode; return a row per source."""
    directory = config.parent
    litpose(
        'embed',
        directory / 'backbone',
        *recording.videos,
        '--output_dir',
        directory / 'beast',
        '--patches',
    )
    times = (np.arange(len(recording.counts)) + 0.5) * recording.bin_width
    np.savez(
        directory / 'session.npz',
        spike_counts=recording.counts,
        bin_width=recording.bin_width,
        bin_times=times,
        frame_times=times,
    )
    truth = _store(directory / 'truth', recording.movement, times)
    views = ','.join(str(directory / 'beast' / video.stem) for video in recording.videos)
    # every 5th block is a fold, as in SOURCE.txt; `litpose encode` draws the blocks
    run_encoding(
        parse_config(OmegaConf.load(config).beast),
        [('session', directory / 'session.npz')],
        [('video', Path(views)), ('movement', truth)],
        directory / 'encoding',
        every_fifth_block,
    )
    table = pd.read_csv(directory / 'encoding' / 'comparison.csv')
    print(f'\n{table.drop(columns="verdict").round(3).to_string(index=False)}')
    return table.set_index('source')


def _store(folder: Path, movement: np.ndarray, times: np.ndarray) -> Path:
    """Write movement as features, as `litpose embed` would leave them."""
    folder.mkdir()
    info = FeatureInfo(
        video='movement.mp4',
        source='truth',
        source_kind='pca',
        source_hash='truth',
        dim=movement.shape[1],
        frames=len(movement),
        grid=(1, 1),
        patch_dim=movement.shape[1],
    )
    np.save(folder / 'cls.npy', movement.astype(np.float32))
    np.save(folder / 'patches.npy', movement[:, None].astype(np.float16))
    np.save(folder / 'frame.npy', np.arange(len(movement)))
    np.save(folder / 'time.npy', times)
    (folder / 'info.json').write_text(info.to_json())
    return folder


def _assert_most_is_told(table: pd.DataFrame, reachable: float, ceiling: float) -> None:
    assert SHARE * reachable < table[SCORE]['video']
    assert table[SCORE].max() < ceiling
    # features that belong to other frames add little to drift
    assert table.shift_high['video'] < 0.5 * table.over_drift['video']
    assert table.permutation_high['video'] < 0.01
    assert table.verdict['video'] == 'evidence'


def test_a_fly_is_read_by_both_heads(litpose: Litpose, real_data: Path, tmp_path: Path) -> None:
    recording = fly(real_data)
    config = pretrain(litpose, recording, real_data, tmp_path)
    # each fifth block in turn: a regression on the true movement reaches 0.40, and the true rates
    # 0.41 beyond the mean of all bins (on the last of the five turns alone 0.48 and 0.53)
    _assert_most_is_told(encode(litpose, recording, config), 0.40, 0.46)

    litpose(
        'segment',
        'train',
        config,
        '--output_dir',
        tmp_path / 'segmentation',
        '--overrides',
        f'beast.segmentation.source="{tmp_path / "backbone"}"',
    )
    alone = _behaviour(tmp_path / 'segmentation')
    assert alone > PIXELS_F1

    # the same patches beside the tracks from which the labels were made
    litpose(
        'segment',
        'train',
        config,
        '--output_dir',
        tmp_path / 'both',
        '--overrides',
        f'beast.segmentation.features_dir="{tmp_path / "segmentation" / "features"}"',
        'beast.segmentation.features=[patches,keypoints]',
        f'beast.segmentation.keypoints_dir="{_tracks(real_data, tmp_path / "tracks")}"',
    )
    assert _behaviour(tmp_path / 'both') > PIXELS_F1


def _behaviour(run: Path) -> float:
    """Print the scores of a segmentation, and return macro-F1 of its ensemble."""
    scores = pd.read_csv(run / 'scores.csv').set_index('model')
    print(f'\n{scores.round(3).to_string()}')
    return float(scores.macro_f1['ensemble'])


def _tracks(data: Path, folder: Path) -> Path:
    """Write the male's keypoints in px of its crop, as a lab that tracked it has them."""
    folder.mkdir()
    with np.load(data / 'fly_courtship' / 'tracks.npz') as file:
        points, names, corners = file['xy'][:, 0], file['node_names'], _corners(data)
    columns = pd.MultiIndex.from_product(
        [['tracks'], names, ['x', 'y']], names=['scorer', 'bodyparts', 'coords']
    )
    places = (points - corners[:, None]).reshape(len(points), -1)
    pd.DataFrame(places, columns=columns).to_csv(folder / 'male.csv')
    return folder


def _corners(data: Path) -> np.ndarray:
    return np.load(data / 'fly_courtship' / 'crops' / 'origins.npy')[:, 0]


def test_movement_in_a_video_tells_what_motor_cortex_does(
    litpose: Litpose,
    real_data: Path,
    tmp_path: Path,
) -> None:
    recording = monkey(real_data)
    config = pretrain(litpose, recording, real_data, tmp_path)
    # lagged true kinematics reach 0.079; what is possible, nobody knows
    _assert_most_is_told(encode(litpose, recording, config), 0.079, np.inf)
