"""Boxes around the animal of labelled frames, beside those of the videos (`bbox_dir: auto`).

A pose model that is trained on crops needs its labelled frames cropped like the videos. The file
`bbox.csv` has a row for each of them, as `litpose create_bbox` writes it for a table of labels.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image

from beast_lp.runs.files import write_table
from beast_lp.runs.foreign import foreign_file
from beast_lp.video.animal import Background, NoAnimalError, background_of, find_animal
from beast_lp.video.animal_boxes import read_searched, searched_file, searched_size, squares
from beast_lp.video.boxes import COLUMNS, LABELS_FILE, Box, Boxes
from beast_lp.video.labelled import LabelledFrames, opened_image

logger = logging.getLogger(f'lightning_pose.{__name__}')

# frames of a folder from which its background is taken, where no video of its name was searched
_LEAST_FRAMES = 20
# share of the labelled keypoints below which boxes are around something else, and share of a
# keypoint below which it is named: a thin tail is seen by eye and not by its contrast
_LEAST_HELD, _WELL_HELD = 0.75, 0.95


def boxed_labels(labels: LabelledFrames, directory: Path, search: bool) -> LabelledFrames:
    """Return labelled frames with their boxes, or as they are where these are not known.

    Args:
        labels: labelled frames.
        directory: folder of the boxes of the videos; `bbox.csv` in it has those of the frames.
        search: look for the animal in frames that `bbox.csv` lacks, and write it.
    """
    file = directory / LABELS_FILE
    if not labels.images:
        return labels
    try:
        table = _known(file, labels)
        if table is None and search:
            table = labelled_boxes(labels, directory)
            shares = held_shares(labels.with_boxes(_boxes(table)))
            _check_held(shares)
            write_table(table, file, index=True)
            _report_held(shares, len(table), file)
        if table is None:
            raise NoAnimalError(
                f'{file} has none; `litpose create_bbox` writes boxes for data.csv_file'
            )
    except NoAnimalError as error:
        logger.warning(
            f'beast: labelled frames are not cropped, so that whole ones are read: {error}'
        )
        return labels
    return labels.with_boxes(_boxes(table))


def labelled_boxes(labels: LabelledFrames, directory: Path) -> pd.DataFrame:
    """Find the animal in labelled frames, and return a box for each.

    A frame is compared with the background of its video, or else of all labelled frames of its
    folder; its box has the size of that video's boxes, or else their median over all videos.

    Args:
        labels: labelled frames, in folders that are named after their videos.
        directory: folder with what `write_boxes` wrote for the videos.

    Returns:
        x, y, h, w in px, one row per frame, named for its image.

    Raises:
        NoAnimalError: if the animal is not found in every frame.
        BeastError: if an image is damaged.
    """
    sides = {
        file.name.removesuffix('_bbox.csv'): Boxes(file).size[0]
        for file in sorted(directory.glob('*_bbox.csv'))
    }
    usual = float(np.median(list(sides.values())))
    folders = np.array(labels.videos)
    tables = []
    for folder in dict.fromkeys(labels.videos):
        rows = np.flatnonzero(folders == folder)
        name = Path(folder).name
        frames, (width, height) = _small_frames([labels.images[row] for row in rows])
        centre = find_animal(frames, _background(frames, searched_file(directory, name), name))
        unseen = np.isnan(centre).any(axis=1).sum()
        if unseen:
            raise NoAnimalError(
                f'nothing stands out from the background in {unseen} of the {len(rows)} labelled '
                f'frames of {name}'
            )
        tables.append(squares(centre, sides.get(name, usual), width, height).set_index(rows))
    table = pd.concat(tables).sort_index()
    return table.set_index(pd.Index(labels.names))


def held_shares(labels: LabelledFrames) -> dict[str, float]:
    """Return the share of the labels of each keypoint that lie within the boxes of their frames.

    Args:
        labels: labelled frames with boxes.

    Returns:
        shares by keypoint, without those that are labelled nowhere, and of all under the empty
        name.
    """
    sizes = np.array([(box.w, box.h) for box in labels.boxes or ()])[:, None]
    inside = np.all((labels.within >= 0) & (labels.within <= sizes), axis=2)
    known = np.all(np.isfinite(labels.within), axis=2)
    shares = {'': float(inside[known].mean()) if known.any() else float('nan')}
    for number, name in enumerate(labels.keypoints):
        if known[:, number].any():
            shares[name] = float(inside[known[:, number], number].mean())
    return shares


def _check_held(shares: dict[str, float]) -> None:
    if not shares[''] >= _LEAST_HELD:
        raise NoAnimalError(f'boxes around what moves hold {shares[""]:.0%} of their keypoints')


def _report_held(shares: dict[str, float], frames: int, file: Path) -> None:
    """Log what the boxes of labelled frames hold, with the keypoints that often lie outside."""
    outside = ', '.join(
        f'{name} in {1 - share:.0%} of the frames'
        for name, share in sorted(shares.items(), key=lambda item: item[1])
        if name and share < _WELL_HELD
    )
    logger.info(
        f'beast: the boxes of {frames} labelled frames, in {file}, hold {shares[""]:.0%} of their '
        'keypoints' + (f'; outside are {outside}' if outside else '')
    )


def _small_frames(
    images: Sequence[Path],
) -> tuple[UInt8[np.ndarray, 'frames h w'], tuple[int, int]]:
    """Read the images of one camera in grey, small; return them with their (width, height)."""
    frames, sizes = [], set()
    for path in images:
        with opened_image(path) as image:
            sizes.add(image.size)
            height, width = searched_size(*image.size)
            small = image.convert('L').resize((width, height), Image.Resampling.BOX)
            frames.append(np.asarray(small))
    if len(sizes) > 1:
        raise NoAnimalError(f'the labelled frames of {images[0].parent.name} differ in size')
    return np.stack(frames), sizes.pop()


def _background(
    frames: UInt8[np.ndarray, 'frames h w'],
    file: Path,
    name: str,
) -> Background:
    """Return the background of the video, or else of its labelled frames where there are many."""
    if file.exists():
        background = read_searched(file).background
        if background.median.shape == frames.shape[1:]:
            return background
    if len(frames) < _LEAST_FRAMES:
        raise NoAnimalError(
            f'of the video {name}, which is not among those that are trained on, there are '
            f'{len(frames)} labelled frames and not {_LEAST_FRAMES}, from which its background '
            'could be taken'
        )
    return background_of(frames)


def _known(file: Path, labels: LabelledFrames) -> pd.DataFrame | None:
    """Return the boxes of labelled frames that a file has; None unless it has all of them."""
    if not file.exists():
        return None
    table = read_labelled_boxes(file)
    return table.loc[list(labels.names)] if set(labels.names) <= set(table.index) else None


def read_labelled_boxes(file: Path) -> pd.DataFrame:
    """Read the boxes of labelled frames, in the host's format.

    Args:
        file: CSV file with one row per frame.

    Returns:
        x, y, h, w in px by the name of the image.

    Raises:
        BeastError: if it is no such file.
    """
    with foreign_file(file, 'write it with `litpose create_bbox`, or delete it', 'boxes'):
        table = pd.read_csv(file, index_col=0)
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise ValueError(f'it lacks the column {missing[0]}')
        return pd.DataFrame(table[list(COLUMNS)]).astype(int)


def _boxes(table: pd.DataFrame) -> list[Box]:
    return [Box(*row) for row in table[list(COLUMNS)].to_numpy().tolist()]
