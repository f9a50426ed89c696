"""The real recording mirror_mouse as a lab's project; a test and a benchmark use it."""

from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf

CONFIG = Path(__file__).parents[2] / 'configs' / 'pose_beast.yaml'


def write_config(source: Path, directory: Path) -> Path:
    """Write a config for the recording: what a lab would have, made small enough for two cores.

    Args:
        source: folder of the recording.
        directory: to write to.
    """
    labels = pd.read_csv(source / 'CollectedData.csv', header=[0, 1, 2], index_col=0)
    names = labels.columns.get_level_values(1).unique().tolist()
    cfg = OmegaConf.load(CONFIG)
    OmegaConf.update(
        cfg,
        'data',
        {
            'image_resize_dims': {'height': 128, 'width': 128},
            'data_dir': str(source),
            'video_dir': 'videos',
            'num_keypoints': len(names),
            'keypoint_names': names,
        },
    )
    OmegaConf.update(
        cfg,
        'training',
        {
            'train_batch_size': 16,
            'train_prob': 0.8,
            'val_prob': 0.1,
            'unfreezing_epoch': 2,
            'min_epochs': 60,
            'max_epochs': 60,
            'optimizer_params': {'learning_rate': 5e-4},
            'lr_scheduler_params': {'multisteplr': {'milestones': [40, 50], 'gamma': 0.5}},
        },
    )
    OmegaConf.update(
        cfg,
        'eval',
        {
            'predict_vids_after_training': False,
            'test_videos_directory': str(source / 'videos'),
        },
    )
    OmegaConf.update(cfg, 'beast', {'preset': 'laptop'})
    path = directory / 'mirror_mouse.yaml'
    OmegaConf.save(cfg, path)
    return path
