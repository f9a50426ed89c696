"""The demo's Lightning Pose config, with comments for its readers."""

import json
from pathlib import Path

from beast_lp.demo.settings import DemoSize

TEMPLATE = """\
# A complete Lightning Pose config for the synthetic lab, with BEAST as its backbone.
# `litpose pretrain`, `litpose train`, `litpose embed`, ... all take this file.

data:
  # height and width that images are resized to; multiples of 128
  image_resize_dims:
    height: 128
    width: 128
  data_dir: {data_dir}
  # unlabelled training videos, relative to data_dir; pretraining reads them too
  video_dir: videos
  csv_file: CollectedData.csv
  num_keypoints: {num_keypoints}
  keypoint_names: [{keypoint_names}]
  mirrored_column_matches: null
  columns_for_singleview_pca: null

training:
  imgaug: dlc
  train_batch_size: {pose_batch}
  val_batch_size: 32
  test_batch_size: 32
  train_prob: 0.9
  val_prob: 0.1
  train_frames: 1
  num_gpus: 1
  # the pretrained backbone is frozen until this epoch, while the new head learns
  unfreezing_epoch: {unfreezing}
  min_epochs: {pose_epochs}
  max_epochs: {pose_epochs}
  log_every_n_steps: 5
  check_val_every_n_epoch: {check_val}
  ckpt_every_n_epochs: null
  early_stopping: false
  early_stop_patience: 3
  rng_seed_data_pt: 0
  rng_seed_model_pt: 0
  # AdamW is for transformers; a small one that was pretrained in minutes takes a larger step than
  # the 5e-5 that suits ViT-B
  optimizer: AdamW
  optimizer_params:
    learning_rate: 5e-4
  lr_scheduler: multisteplr
  lr_scheduler_params:
    multisteplr:
      milestones: [{milestones}]
      gamma: 0.5
  uniform_heatmaps_for_nan_keypoints: true

model:
  losses_to_use: []
  backbone: beast
  model_type: heatmap
  heatmap_loss_type: mse
  model_name: demo
  checkpoint: null

dali:
  base:
    train:
      sequence_length: 32
    predict:
      sequence_length: 96
  context:
    train:
      batch_size: 16
    predict:
      sequence_length: 96

losses:
  pca_multiview:
    log_weight: 10.7
    components_to_keep: 3
    epsilon: null
  pca_singleview:
    log_weight: 10.7
    components_to_keep: 0.99
    epsilon: null
  temporal:
    log_weight: 10.7
    epsilon: 20.0
    prob_threshold: 0.05

eval:
  predict_vids_after_training: true
  # held-out videos; their labels are CollectedData_new.csv
  test_videos_directory: {test_dir}
  save_vids_after_training: true
  colormap: cool
  confidence_thresh_for_vid: 0.5

callbacks:
  anneal_weight:
    attr_name: total_unsupervised_importance
    init_val: 0.0
    increase_factor: 0.01
    final_val: 1.0
    freeze_until_epoch: 60

# self-supervised pretraining; configs/beast.yaml documents every key
beast:
  preset: laptop
  anchors:
    per_video: {anchors}
  training:
    steps: {pretraining_steps}
    batch_size: {pretraining_batch}
  # learns behavior/*.csv
  segmentation:
    split:
      test_videos: videos_test
    fitting:
      epochs: {segmentation_epochs}
  # predicts spikes/*.npz; a session of minutes is split by blocks of seconds
  encoding:
    encoders: [ridge, rrr]
    lags: {encoding_lags}
    min_rate_hz: 0.1
    split:
      block_s: {encoding_block}
    controls:
      shifts: {control_draws}
"""

README = """\
The synthetic lab: a small Lightning Pose project made by `litpose beast_demo`.
SIMULATED: a drawn animal, rule-made behaviour, Poisson spikes; no animal was recorded.

config_demo.yaml        Lightning Pose config with `backbone: beast` and a `beast:` section
videos/                 training videos (unlabelled), videos_test/ held-out ones
labeled-data/           labelled frames; CollectedData.csv is from videos/,
                        CollectedData_new.csv from videos_test/ (the host scores it apart)
truth/*_keypoints.csv   exact keypoints of every frame, in the layout of the host's predictions;
                        pixels, (0, 0) is the centre of the top left pixel
behavior/*.csv          behaviour of every frame, one-hot
spikes/session_01.npz   spike_counts (bins, neurons); true_rate, expected spikes per bin;
                        bin_times, centres in s; bin_width, s; frame_times, s; covariates and
                        covariate_names, which drive the rates; bits_per_spike_ceiling per neuron,
                        the score of a model that knows true_rate
"""


def config_text(directory: Path, keypoint_names: list[str], size: DemoSize) -> str:
    """Fill in the config.

    Args:
        directory: absolute path of the project.
        keypoint_names: keypoints in the order of the label file.
        size: amount of data and length of the stages.

    Returns:
        The YAML text.
    """
    milestones = [size.pose_epochs * share // 20 for share in (12, 15, 18)]
    return TEMPLATE.format(
        # a JSON string is a YAML string, whatever the path holds
        data_dir=json.dumps(str(directory), ensure_ascii=False),
        test_dir=json.dumps(str(directory / 'videos_test'), ensure_ascii=False),
        num_keypoints=len(keypoint_names),
        keypoint_names=', '.join(keypoint_names),
        pose_batch=size.pose_batch,
        pose_epochs=size.pose_epochs,
        unfreezing=size.pose_epochs // 16,
        check_val=min(5, size.pose_epochs),
        milestones=', '.join(str(milestone) for milestone in milestones),
        anchors=size.anchors_per_video,
        pretraining_steps=size.pretraining_steps,
        pretraining_batch=size.pretraining_batch,
        segmentation_epochs=json.dumps(size.segmentation_epochs),
        encoding_block=size.encoding_block,
        encoding_lags=size.encoding_lags,
        control_draws=size.control_draws,
    )
