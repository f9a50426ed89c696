"""Paths of everything that a segmentation run reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inputs:
    """Absolute paths of everything that a run reads.

    Attributes:
        videos: all videos that are trained on, scored or predicted.
        held_out: those of them that the config names as test videos.
        labels: folder of label files, or one BORIS table.
        source: source of the features as the user names it, where a backbone computes them.
        features_dir: folder of the stores that `litpose embed` wrote, where features are read.
        keypoints_dir: folder of prediction files, where features are keypoints.
        camera_times: file, or folder of files, with the seconds of every frame.
        bbox_dir: folder of the boxes that frames are cropped to; None for whole frames.
    """

    videos: Sequence[Path]
    held_out: Sequence[Path]
    labels: Path
    source: str | None
    features_dir: Path | None
    keypoints_dir: Path | None
    camera_times: Path | None = None
    bbox_dir: Path | None = None
