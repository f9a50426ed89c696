"""Pose with few labelled frames, through the host's own training, scored on frames never used."""

import math
import shutil
from pathlib import Path

import lightning_pose.train
import numpy as np
import pandas as pd
from budget import Budget
from omegaconf import DictConfig, OmegaConf

CONFIG = Path(__file__).parents[2] / 'configs' / 'pose_beast.yaml'
# of the labelled frames; the rest is scored. Equal seeds have equal parts.
TRAIN, VALIDATION = 0.6, 0.1


def pose_scores(
    project: Path,
    backbone: Path,
    labels: int,
    seed: int,
    budget: Budget,
    directory: Path,
) -> dict[str, float]:
    """Train a pose model and return its pixel errors.

    Args:
        project: with `CollectedData.csv`, and perhaps `CollectedData_new.csv` of another animal.
        backbone: to start from.
        labels: labelled frames to train on.
        seed: of the split and of the training.
        budget: steps and sizes.
        directory: of the pose model; what an interrupted run left there is thrown away.
    """
    shutil.rmtree(directory, ignore_errors=True)
    config = pose_config(project, backbone, labels, seed, budget)
    lightning_pose.train.train(config, model_dir=directory)
    table = pd.read_csv(directory / 'predictions_pixel_error.csv', index_col=0)
    used = table.index[table['set'] == 'train'].tolist()
    assert len(used) == labels, f'{len(used)} frames were trained on'
    test = table[table['set'] == 'test'].drop(columns='set')
    truth = read_points(project / 'CollectedData.csv')
    guess = np.nanmean(truth.loc[used].to_numpy(), axis=0)
    scores = {
        'score': float(np.nanmean(test.to_numpy())),
        'reference': constant_error(truth.loc[test.index].to_numpy(), guess),
    }
    if (project / 'CollectedData_new.csv').exists():
        new = pd.read_csv(directory / 'predictions_pixel_error_new.csv', index_col=0)
        scores['other_animal'] = float(
            np.nanmean(new.drop(columns='set', errors='ignore').to_numpy())
        )
    # the weights: tens of megabytes that nothing here needs again
    shutil.rmtree(directory / 'tb_logs')
    return scores


def read_points(file: Path) -> pd.DataFrame:
    """Return labelled keypoints, one row per frame, x and y in turn."""
    return pd.read_csv(file, header=[0, 1, 2], index_col=0)


def constant_error(truth: np.ndarray, guess: np.ndarray) -> float:
    """Return the mean distance, in px, of keypoints to positions that never change."""
    offset = (truth - guess).reshape(len(truth), -1, 2)
    return float(np.nanmean(np.linalg.norm(offset, axis=-1)))


def pose_config(
    project: Path,
    backbone: Path,
    labels: int,
    seed: int,
    budget: Budget,
) -> DictConfig:
    """Return the host's config: the same number of steps for any number of labelled frames."""
    names = read_points(project / 'CollectedData.csv').columns.get_level_values(1).unique()
    batch = min(budget.pose_batch, labels)
    epochs = math.ceil(budget.pose_steps / math.ceil(labels / batch))
    config = OmegaConf.load(CONFIG)
    assert isinstance(config, DictConfig)
    del config['beast']
    OmegaConf.update(
        config,
        'data',
        {
            'image_resize_dims': {'height': budget.image_size, 'width': budget.image_size},
            'data_dir': str(project),
            # crops of labelled frames have no videos beside them
            'video_dir': 'videos' if (project / 'videos').is_dir() else '.',
            'num_keypoints': len(names),
            'keypoint_names': names.tolist(),
        },
    )
    OmegaConf.update(
        config,
        'training',
        {
            'train_batch_size': batch,
            'train_prob': TRAIN,
            'val_prob': VALIDATION,
            'train_frames': labels,
            'num_workers': 0,
            'unfreezing_epoch': math.ceil(0.05 * epochs),
            'min_epochs': epochs,
            'max_epochs': epochs,
            'check_val_every_n_epoch': math.ceil(epochs / 5),
            'log_every_n_steps': 1,
            'rng_seed_data_pt': seed,
            'rng_seed_model_pt': seed,
            'optimizer_params': {'learning_rate': 5e-4},
            'lr_scheduler_params': {
                'multisteplr': {
                    'milestones': [math.ceil(epochs * part) for part in (0.65, 0.85)],
                    'gamma': 0.5,
                }
            },
        },
    )
    OmegaConf.update(config, 'model.backbone_checkpoint', str(backbone))
    OmegaConf.update(
        config,
        'eval',
        {
            'predict_vids_after_training': False,
            'test_videos_directory': str(project),
        },
    )
    return config
