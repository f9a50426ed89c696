"""Videos, labels and features that a config and the command line name for `litpose segment`.

Nothing here imports torch, so that mistakes in the config are reported within a second.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from beast_lp.config import SegmentationConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.host.compose import absolute_path, data_dir, path_from, paths_from, video_sources
from beast_lp.host.start import START_DIR
from beast_lp.segmentation.inputs import Inputs
from beast_lp.video.read import find_videos

# settings that may differ from the training run, beside the decoding
_OF_USE = (
    'labels',
    'ignore',
    'subject',
    'features_dir',
    'keypoints_dir',
    'bbox_dir',
    'fps',
    'camera_times',
)


def check_inputs(
    cfg: DictConfig,
    action: str,
    videos: Sequence[Path] = (),
    model_dir: Path | None = None,
) -> None:
    """Refuse a config or paths that cannot be used, in a second.

    Args:
        cfg: pose config.
        action: `train`, `predict` or `evaluate`.
        videos: video files or folders given on the command line.
        model_dir: output directory of the training, for `predict` and `evaluate`.

    Raises:
        BeastError: if a setting cannot be used or a path does not exist.
    """
    config = parse_config(cfg.get('beast')).segmentation
    if model_dir is not None and not model_dir.is_dir():
        raise BeastError(
            f'there is no folder {model_dir}; give the output directory of `litpose segment train`'
        )
    inputs = resolve(cfg, config, videos)
    if action != 'predict' and not inputs.labels.exists():
        raise BeastError(f'there are no labels at {inputs.labels}; set beast.segmentation.labels')


def config_of_use(cfg: DictConfig, trained: SegmentationConfig) -> SegmentationConfig:
    """Return the settings by which trained models are used on the videos of a config.

    Model settings come from the training run; labels, features and decoding come from the config
    where it gives them. It may have no `beast.segmentation` at all.

    Args:
        cfg: pose config.
        trained: settings of the training run.

    Raises:
        BeastError: if the config has a setting that does not exist or has a wrong value.
    """
    config = parse_config(cfg.get('beast')).segmentation
    section: Any = OmegaConf.select(cfg, 'beast.segmentation', default=None) or {}
    given = {key: getattr(config, key) for key in _OF_USE if key in section}
    for name in ('features_dir', 'bbox_dir'):
        # the models bring the source of their features, of crops or of whole frames
        if getattr(trained, name) is None:
            given.pop(name, None)
    asked = section.get('decoding') or {}
    decoding = {
        item.name: getattr(config.decoding, item.name)
        for item in fields(config.decoding)
        if item.name in asked
    }
    return replace(
        trained,
        **given,
        decoding=replace(trained.decoding, **decoding),
        videos=config.videos,
        split=config.split,
    )


def resolve(
    cfg: DictConfig,
    config: SegmentationConfig,
    chosen: Sequence[Path] = (),
) -> Inputs:
    """Make the paths of a config absolute; as in the host, they start at `data.data_dir`.

    Args:
        cfg: pose config.
        config: settings of the run.
        chosen: video files or folders that take the place of the config's; relative ones start
            where the command was started.

    Raises:
        BeastError: if there are no videos.
    """
    base = data_dir(cfg)
    videos, held_out = (
        _config_videos(cfg, config)
        if not chosen
        else (find_videos([Path(START_DIR, video) for video in chosen]), [])
    )
    checkpoint = config.source or OmegaConf.select(cfg, 'model.backbone_checkpoint', default=None)
    return Inputs(
        videos=videos,
        held_out=held_out,
        labels=path_from(base, config.labels),
        source=absolute_path(str(checkpoint), cfg) if checkpoint else None,
        features_dir=path_from(base, config.features_dir) if config.features_dir else None,
        keypoints_dir=path_from(base, config.keypoints_dir) if config.keypoints_dir else None,
        camera_times=path_from(base, config.camera_times) if config.camera_times else None,
        bbox_dir=path_from(base, config.bbox_dir) if config.bbox_dir else None,
    )


def _config_videos(
    cfg: DictConfig,
    config: SegmentationConfig,
) -> tuple[list[Path], list[Path]]:
    """Return all videos that a config names, and the test videos among them."""
    paths = video_sources(cfg, config.videos, 'beast.segmentation.videos')
    if not config.split.test_videos:
        return find_videos(paths), []
    test_paths = paths_from(data_dir(cfg), config.split.test_videos)
    # a link and its target are one video, which must not be both trained and scored on
    test_files = {video.resolve() for video in find_videos(test_paths)}
    videos = find_videos([*paths, *test_paths])
    return videos, [video for video in videos if video.resolve() in test_files]
