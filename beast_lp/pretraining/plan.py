"""What a run is about to do: how many videos, frames and steps, how long, and how much disk."""

import datetime
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from beast_lp.config import BeastConfig
from beast_lp.runs.words import duration, size_in_bytes
from beast_lp.video.containers import VideoError
from beast_lp.video.read import probe

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(f'lightning_pose.{__name__}')

# bytes on the disk for an anchor's three frames of 256 px: 36 MB for 1,000 anchors of
# mirror_mouse (integration_tests/benchmarks/video.py, 2026-11-23)
_ANCHOR_BYTES, _ANCHOR_SIDE = 36_000, 256
# bytes of a parameter in last.ckpt (weights and two moments), best.ckpt and backbone/, and in the
# new last.ckpt that is written before the old one goes
_PARAMETER_BYTES = 12 + 4 + 4 + 12


def announce_videos(config: BeastConfig, videos: Sequence[Path], directory: Path) -> None:
    """Log what is about to be scanned, and what it will take on the disk.

    Args:
        config: all settings.
        videos: video files.
        directory: folder of the run, which exists.
    """
    frames, seconds = 0, 0.0
    for video in videos:
        try:
            info = probe(video)
        except (VideoError, OSError):
            # the scan says what is wrong with it
            continue
        declared = info.frames_declared or 0
        frames += declared
        seconds += declared / info.fps if info.fps > 0 else 0.0
    anchors = min(config.anchors.per_video * len(videos), frames)
    needed = round(anchors * _ANCHOR_BYTES * (config.windows.longest_side / _ANCHOR_SIDE) ** 2)
    free = shutil.disk_usage(directory).free
    logger.info(
        f'beast: {_counted(len(videos), "video")}, {frames:,} frames, {duration(seconds)} of '
        f'film; at most {anchors:,} anchors are chosen, whose windows take about '
        f'{size_in_bytes(needed)} ({size_in_bytes(free)} are free in {directory})'
    )
    if needed > free:
        logger.warning(
            f'beast: {directory} has {size_in_bytes(free)} left, which the windows alone may '
            'fill; choose fewer anchors (beast.anchors.per_video) or another --output_dir'
        )


def announce_training(
    config: BeastConfig,
    model: 'nn.Module',
    anchors: int,
    held_out: int,
    steps_per_epoch: int,
) -> None:
    """Log what is about to be trained.

    Args:
        config: all settings.
        model: network with its decoder.
        anchors: anchors to train on.
        held_out: anchors to validate on.
        steps_per_epoch: optimiser steps of an epoch.
    """
    epochs = config.training.num_epochs
    parameters = sum(parameter.numel() for parameter in model.parameters())
    logger.info(
        f'beast: {anchors} anchors for training, {held_out} held out; {epochs} epochs of '
        f'{steps_per_epoch} steps, {epochs * steps_per_epoch:,} steps in all, of '
        f'{_counted(parameters, "parameter")}; checkpoints take about '
        f'{size_in_bytes(parameters * _PARAMETER_BYTES)}'
    )


def time_sentence(
    step_seconds: float,
    images: int,
    steps_left: int,
    seconds_left: float,
    now: datetime.datetime,
) -> str:
    """Return what a step costs on this machine, and when the run will be over.

    Args:
        step_seconds: duration of a step.
        images: images of a step, over all processes.
        steps_left: steps to come.
        seconds_left: time that they will take, validation included.
        now: the present time.

    Examples:
        >>> noon = datetime.datetime(2026, 11, 29, 12)
        >>> time_sentence(0.0612, 64, 8990, 600, noon)
        'a step of 64 images takes 0.061 s; 8,990 are left, about 10 min: done at about 12:10'
    """
    end = now + datetime.timedelta(seconds=seconds_left)
    day = '' if end.date() == now.date() else f'{end:%a %d %b} '
    return (
        f'a step of {images} images takes {step_seconds:.2g} s; {steps_left:,} are left, about '
        f'{duration(seconds_left)}: done at about {day}{end:%H:%M}'
    )


def _counted(count: int, noun: str) -> str:
    return f'{count:,} {noun}{"" if count == 1 else "s"}'
