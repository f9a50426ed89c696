"""The pretraining stage: videos in, a backbone out, resumable at any point.

The scan of the videos comes before the imports of torch and Lightning, which take seconds: a
mistake in the settings or in a video is reported before that.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from beast_lp.config import BeastConfig
from beast_lp.pretraining.animal_share import warn_of_small_animals
from beast_lp.pretraining.launch import check_launch, first_process_first, launched_rank
from beast_lp.pretraining.plan import announce_videos
from beast_lp.pretraining.run_files import RunFiles, run_settings
from beast_lp.pretraining.tune import check_labels
from beast_lp.video.boxes import AUTO, BOXES_DIR, LABELS_FILE, boxes_folder
from beast_lp.video.source_video import SourceVideo, source_videos
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import INDEX_NAME, WindowStore
from beast_lp.vit.glance import fits_at_a_glance

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from beast_lp.pretraining.module import BeastModule
    from beast_lp.video.labelled import LabelledFrames

logger = logging.getLogger(f'lightning_pose.{__name__}')


def run_pretraining(
    config: BeastConfig,
    videos: Sequence[Path | SourceVideo],
    output_dir: Path,
    num_devices: int = 1,
    callbacks: Sequence['Callback'] = (),
    labels: 'LabelledFrames | None' = None,
    claimed: Callable[[], None] | None = None,
    tracker: Callable[[], 'Callback'] | None = None,
) -> Path:
    """Pretrain a backbone on videos, or resume a run that was interrupted.

    Args:
        config: all settings.
        videos: video files, with their projects where several are trained on together.
        output_dir: folder of this run alone; a run that was interrupted there is resumed.
        num_devices: GPUs of every machine, or processes where there are none.
        callbacks: further Lightning callbacks.
        labels: labelled frames of the project, for the probe.
        claimed: called in the first process alone, once the directory is known to be this run's.
        tracker: builds a callback that writes about the run as soon as it is built; it is called
            in the first process alone, once the videos are scanned.

    Returns:
        the directory of the finished backbone.

    Raises:
        BeastError: if the directory holds a finished run, one with other settings or one that is
            at work, no video can be used, there are too few labels to tune by, the initial
            weights do not fit, training diverges, or the disk is full.
        Stopped: if a signal asked for it, once the state is saved.
    """
    files = RunFiles(output_dir)
    check_launch(num_devices, config.num_nodes)
    settings = run_settings(config, videos)
    if files.backbone.exists():
        # nothing is left to do but the report, which is for one process
        if launched_rank() > 0:
            sys.exit(0)
        files.check(settings)
        if not (files.windows / INDEX_NAME).is_file():
            # somebody tidied up, and the report shows frames of them
            with files.claimed(settings):
                _prepare(config, videos, output_dir)
        return files.backbone
    if config.tune:
        check_labels(len(labels.images) if labels else 0)
    module = None
    with ExitStack() as until_saved:
        with first_process_first() as first:
            if first:
                files.check(settings)
                _warn_of_small_clips(config)
                module = _doubtful_start(config, files)
                until_saved.enter_context(files.claimed(settings))
                files.last.parent.mkdir(exist_ok=True)
                if claimed:
                    claimed()
                paths = [source.path for source in source_videos(videos)]
                announce_videos(config, paths, output_dir)
                store = _prepare(config, videos, output_dir)
                warn_of_small_animals(config, store)
            else:
                store = WindowStore.open(files.windows)
            labels = _cropped(labels, config, output_dir, first)

        from beast_lp.pretraining.fit import fit_backbone

        trackers = [tracker()] if tracker and first else []
        fit_backbone(config, files, store, num_devices, [*trackers, *callbacks], labels, module)
    return files.backbone


def _prepare(
    config: BeastConfig,
    videos: Sequence[Path | SourceVideo],
    output_dir: Path,
) -> WindowStore:
    windows = config.windows
    if windows.bbox_dir == AUTO:
        # imported here because scipy's filters take half a second, and few runs need them
        from beast_lp.video.animal_boxes import animal_boxes

        paths = [source.path for source in source_videos(videos)]
        windows = replace(windows, bbox_dir=str(animal_boxes(paths, output_dir / BOXES_DIR)))
    return prepare_windows(
        videos,
        output_dir,
        config.anchors,
        windows,
        config.seed,
        offset_frames=config.pairs.offset_frames,
        offset_ms=config.pairs.offset_ms,
    )


def _cropped(
    labels: 'LabelledFrames | None',
    config: BeastConfig,
    output_dir: Path,
    first: bool,
) -> 'LabelledFrames | None':
    """Return labelled frames with boxes where the videos have some, so that the probe sees both.

    The first process finds the boxes of `auto`, and the others read them.
    """
    directory = boxes_folder(config.windows.bbox_dir, output_dir)
    if labels is None or directory is None:
        return labels
    # imported here because pandas and scipy take seconds, and few runs have boxes
    from beast_lp.video.labelled_boxes import boxed_labels

    if not first and not (directory / LABELS_FILE).exists():
        return labels
    return boxed_labels(labels, directory, search=first and config.windows.bbox_dir == AUTO)


def _doubtful_start(config: BeastConfig, files: RunFiles) -> 'BeastModule | None':
    """Build the module before the scan where only torch can tell that its initial weights fit.

    Returns:
        the module; None where the weights are random, the run's own, or complete at a glance.

    Raises:
        BeastError: if the initial weights are missing, cannot be read or do not fit.
    """
    if (
        config.init == 'random'
        or files.last.exists()
        or fits_at_a_glance(config.init, config.model)
    ):
        return None
    from beast_lp.pretraining.trainer import build_module

    return build_module(config, resume=False)


def _warn_of_small_clips(config: BeastConfig) -> None:
    longest, image_size = config.windows.longest_side, config.model.image_size
    if longest < max(image_size):
        logger.warning(
            f'beast: beast.windows.longest_side is {longest}, so that frames are stored smaller '
            f'than the images of {image_size[0]} x {image_size[1]} px and enlarged again; leave '
            'it out to store them large enough'
        )
