"""The job of `litpose motion_bbox`: boxes around what moves, and labels cropped to them."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf

from beast_lp.host.compose import data_dir, paths_from
from beast_lp.host.cropped_labels import crop_labels
from beast_lp.host.spelling import as_override, command_line
from beast_lp.reports.box_sheet import BoxedRow, box_sheet
from beast_lp.runs.files import finished_file
from beast_lp.video.animal_boxes import animal_boxes, read_searched, searched_file
from beast_lp.video.boxes import Boxes, boxes_file
from beast_lp.video.labelled import LabelledFrames, opened_image, read_labels
from beast_lp.video.labelled_boxes import boxed_labels
from beast_lp.video.read import probe
from beast_lp.video.shares import spread_over

logger = logging.getLogger(f'lightning_pose.{__name__}')

# videos and labelled frames on the sheet
_VIDEOS, _LABELLED, _COLUMNS = 20, 12, 6
SHEET = 'boxes.png'


def motion_bbox(
    cfg: DictConfig,
    config_file: Path,
    videos: Sequence[Path],
    directory: Path,
) -> None:
    """Write boxes for videos and labelled frames of a project, and crop the latter.

    Args:
        cfg: pose config.
        config_file: file of the config, for the next command.
        videos: video files, one path each.
        directory: folder of the boxes; those that are there stay.

    Raises:
        BeastError: for anything that the user can mend; videos that have boxes keep them.
    """
    animal_boxes(videos, directory)
    labels = _labels(cfg)
    if labels is not None:
        labels = boxed_labels(labels, directory, search=True)
        crop_labels(cfg, directory)
    with finished_file(directory / SHEET) as part:
        box_sheet(_rows(videos, directory, labels)).savefig(part, format='png')
    setting = as_override('beast.windows.bbox_dir', str(directory))
    command = command_line(['litpose', 'pretrain', str(config_file)], [['--overrides', setting]])
    logger.info(
        f'beast: the boxes of {len(videos)} video{"s" * (len(videos) > 1)} are in {directory}\n'
        f'Look at {directory / SHEET}, then pretrain on crops with\n\n{command}\n'
    )


def _labels(cfg: DictConfig) -> LabelledFrames | None:
    """Return the labelled frames of a project, None where it has none yet."""
    value = OmegaConf.select(cfg, 'data.csv_file', default=None)
    files = paths_from(data_dir(cfg), value) if value else []
    if not files or not all(file.is_file() for file in files):
        return None
    return read_labels(files, data_dir(cfg))


def _rows(
    videos: Sequence[Path],
    directory: Path,
    labels: LabelledFrames | None,
) -> list[BoxedRow]:
    """Return some labelled frames that have boxes, and frames of some of the videos."""
    rows = []
    if labels is not None and labels.boxes is not None:
        shown = spread_over(len(labels.images), _LABELLED).tolist()
        for start in range(0, len(shown), _COLUMNS):
            rows.append(_labelled_row(labels.some(shown[start : start + _COLUMNS])))
    return rows + [_video_row(videos[n], directory) for n in spread_over(len(videos), _VIDEOS)]


def _labelled_row(labels: LabelledFrames) -> BoxedRow:
    pictures = []
    for path in labels.images:
        with opened_image(path) as image:
            pictures.append(np.asarray(image.convert('RGB')))
    return BoxedRow(
        'labelled frames',
        pictures,
        [path.stem for path in labels.images],
        labels.boxes or (),
        pictures[0].shape[1],
        labels.positions,
    )


def _video_row(video: Path, directory: Path) -> BoxedRow:
    searched = read_searched(searched_file(directory, video.stem))
    boxes = Boxes(boxes_file(directory, video))
    ordinals = searched.ordinals.tolist()
    return BoxedRow(
        video.name,
        list(searched.frames),
        [f'frame {ordinal:,}' for ordinal in ordinals],
        [boxes[ordinal] for ordinal in ordinals],
        probe(video).width,
    )
