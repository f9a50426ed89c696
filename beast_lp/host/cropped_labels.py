"""Labelled frames that are cropped to their boxes: a project that the host trains on.

The host crops labelled frames by `litpose crop`, which wants the folder of a pose model. Boxes
around what moves need none, so its function is called here.
"""

import itertools
import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from beast_lp.host.compose import data_dir, path_from
from beast_lp.runs.files import finished_folder
from beast_lp.video.boxes import LABELS_FILE

logger = logging.getLogger(f'lightning_pose.{__name__}')

FOLDER = 'cropped'
_ADVICE = 'delete its folder, and run the command again'


def crop_labels(cfg: DictConfig, boxes_dir: Path) -> Path | None:
    """Crop the labelled frames of a project to their boxes, unless that is done.

    Crops of other labelled frames, of fewer perhaps, are kept under another name.

    Args:
        cfg: pose config.
        boxes_dir: folder of the boxes, whose `bbox.csv` has those of the labelled frames.

    Returns:
        the folder of the cropped project; None where frames have no boxes, or there are several
        views, which the host crops view by view.
    """
    boxes, target = boxes_dir / LABELS_FILE, boxes_dir / FOLDER
    table = OmegaConf.select(cfg, 'data.csv_file', default=None)
    if not boxes.exists() or not isinstance(table, str):
        return None
    # imported here because they take seconds, and few runs have boxes
    from lightning_pose.utils.cropzoom import crop_labeled_frames

    from beast_lp.video.labelled_boxes import read_labelled_boxes

    names = [str(name) for name in read_labelled_boxes(boxes).index]
    if any(Path(name).is_absolute() or '..' in Path(name).parts for name in names):
        logger.warning(
            f'beast: labelled frames are not cropped, because {table} names images outside '
            f'{data_dir(cfg)}'
        )
        return None
    if target.exists() and not _put_aside(target, target / Path(table).name, names):
        return target
    # bars are for a person who watches
    silent = nullcontext() if sys.stderr.isatty() else redirect_stderr(StringIO())
    with finished_folder(target) as part, silent:
        crop_labeled_frames(
            data_dir(cfg),
            path_from(data_dir(cfg), table),
            boxes,
            part,
            part / Path(table).name,
        )
        # the host wants a folder of videos to exist, and whole frames do not belong there
        videos = Path(str(OmegaConf.select(cfg, 'data.video_dir', default=None) or ''))
        if not videos.is_absolute() and '..' not in videos.parts:
            (part / videos).mkdir(parents=True, exist_ok=True)
    return target


def _put_aside(cropped: Path, table: Path, names: Sequence[str]) -> bool:
    """Rename a folder of crops unless it has just these frames; return whether it was renamed."""
    # imported here because pandas takes a second, and few runs have boxes
    from beast_lp.video.keypoint_table import read_points

    if table.exists() and set(read_points(table, 'labels', _ADVICE).rows) == set(names):
        return False
    numbers = itertools.count(1)
    aside = next(
        path for n in numbers if not (path := cropped.with_name(f'{FOLDER}_{n}')).exists()
    )
    cropped.rename(aside)
    logger.info(f'beast: the crops of other labelled frames that were in {cropped} are in {aside}')
    return True


def existing_crops(boxes_dir: Path) -> Path | None:
    """Return the folder of the cropped project beside boxes, None where there is none.

    Args:
        boxes_dir: folder of the boxes.
    """
    cropped = boxes_dir / FOLDER
    return cropped if cropped.is_dir() else None


def cropped_config(cfg: DictConfig, cropped: Path) -> tuple[DictConfig, dict[str, Any]]:
    """Return the config of a pose model of cropped frames, and what is changed in it.

    Args:
        cfg: pose config of the project.
        cropped: folder that `crop_labels` returned.
    """
    changes: dict[str, Any] = {
        'data.data_dir': str(cropped),
        # whole frames, which a model of crops is not for
        'eval.predict_vids_after_training': False,
    }
    table = str(cfg.data.csv_file)
    if table != Path(table).name:
        changes['data.csv_file'] = Path(table).name
    changed = OmegaConf.create(OmegaConf.to_container(cfg))
    assert isinstance(changed, DictConfig)
    for key, value in changes.items():
        OmegaConf.update(changed, key, value, force_add=True)
    return changed, changes
