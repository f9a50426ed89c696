"""The main job on a real recording: pretrain, train, predict, move, all through `litpose`."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from mouse_project import write_config

# px in the original 406 x 396 image, mean over the 17 keypoints of held-out labelled frames. A
# constant prediction (each keypoint's mean over the training frames) has about 40; see results.md
# for what was measured.
BOUND = 25.0


def test_the_main_job_on_a_real_recording(
    litpose: Callable[..., subprocess.CompletedProcess[str]],
    real_data: Path,
    tmp_path: Path,
) -> None:
    config = write_config(real_data / 'mirror_mouse', tmp_path)
    video = real_data / 'mirror_mouse' / 'videos' / 'test_vid.mp4'
    pretraining, pose = tmp_path / 'pretraining', tmp_path / 'pose'

    # a third of the preset, since this runs with all tests
    litpose(
        'pretrain',
        config,
        '--output_dir',
        pretraining,
        '--overrides',
        'beast.training.steps=3000',
    )
    metrics = pd.read_csv(pretraining / 'metrics.csv')
    assert metrics.val_reconstruction.iloc[-1] < 0.5 * metrics.val_reconstruction.iloc[0]
    assert (pretraining / 'report.html').stat().st_size > 100_000

    result = litpose(
        'train',
        config,
        '--output_dir',
        pose,
        '--overrides',
        f'model.backbone_checkpoint={pretraining}',
    )
    # 4 embedding tensors, 16 in each of 4 layers, 2 in the last norm
    assert 'loaded 70 of 70 encoder tensors' in result.stdout

    errors = pd.read_csv(pose / 'predictions_pixel_error.csv', index_col=0)
    held_out = errors[errors['set'].isin(['validation', 'test'])].drop(columns='set')
    train = errors.index[errors['set'] == 'train'].tolist()
    constant = _constant_error(real_data / 'mirror_mouse' / 'CollectedData.csv', train)
    model = float(np.nanmean(held_out.to_numpy()))
    print(f'mean pixel error: model {model:.1f}, constant {constant:.1f}')
    assert model < BOUND
    assert constant > 1.3 * BOUND

    # the pose model alone must do: moved, without the backbone that it started from
    moved = tmp_path / 'elsewhere' / 'pose model'
    moved.parent.mkdir()
    shutil.move(pose, moved)
    shutil.rmtree(pretraining)
    litpose('predict', moved, video, '--skip_viz')
    predictions = pd.read_csv(
        moved / 'video_preds' / 'test_vid.csv', header=[0, 1, 2], index_col=0
    )
    assert predictions.shape == (994, 17 * 3)
    assert np.isfinite(predictions.to_numpy()).all()


def _constant_error(csv_file: Path, train_frames: list[str]) -> float:
    labels = pd.read_csv(csv_file, header=[0, 1, 2], index_col=0)
    points = labels.to_numpy().reshape(len(labels), -1, 2)
    train = labels.index.isin(train_frames)
    offset = points[~train] - np.nanmean(points[train], axis=0)
    return float(np.nanmean(np.linalg.norm(offset, axis=-1)))
