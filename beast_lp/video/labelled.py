"""The labelled frames of a project: their images and the positions of their keypoints."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from beast_lp.errors import BeastError
from beast_lp.runs.foreign import foreign_file
from beast_lp.video.boxes import Box
from beast_lp.video.keypoint_table import read_points

_ADVICE = 'give the data.csv_file of a Lightning Pose project'


@dataclass(frozen=True)
class LabelledFrames:
    """The labelled frames of a project.

    Attributes:
        images: image file of each frame.
        keypoints: name of each keypoint.
        positions: (frames, keypoints, 2) x and y in px of the original images; NaN where a
            keypoint is not labelled.
        names: path of each image as the table of labels gives it.
        boxes: box of each frame that its image is cropped to; None for whole images.
    """

    images: Sequence[Path]
    keypoints: Sequence[str]
    positions: Float[np.ndarray, 'frames keypoints 2']
    names: Sequence[str]
    boxes: Sequence[Box] | None = None

    @property
    def videos(self) -> list[str]:
        """Folder of each image, which the host names after the video."""
        return [str(image.parent) for image in self.images]

    @property
    def within(self) -> Float[np.ndarray, 'frames keypoints 2']:
        """Positions in px of the cropped images."""
        if self.boxes is None:
            return self.positions
        return self.positions - np.array([(box.x, box.y) for box in self.boxes])[:, None]

    def with_boxes(self, boxes: Sequence[Box]) -> 'LabelledFrames':
        """Return the same frames, cropped."""
        return replace(self, boxes=boxes)

    def some(self, rows: Sequence[int]) -> 'LabelledFrames':
        """Return some of the frames, by their numbers."""
        return replace(
            self,
            images=[self.images[row] for row in rows],
            positions=self.positions[list(rows)],
            names=[self.names[row] for row in rows],
            boxes=None if self.boxes is None else [self.boxes[row] for row in rows],
        )


def read_labels(files: Sequence[Path], data_dir: Path) -> LabelledFrames:
    """Read label files as Lightning Pose and DeepLabCut write them.

    Args:
        files: tables of labels, one for each view, with three header rows (scorer, bodyparts,
            coords) and the path of an image in the first column. A point whose `visible` is not
            2 is not labelled, as in the host's training.
        data_dir: folder that image paths are relative to.

    Raises:
        BeastError: if a file or an image is missing, or a file is not such a table.
    """
    tables = [read_points(path, 'a table of labels', _ADVICE) for path in files]
    names = list(dict.fromkeys(name for table in tables for name in table.keypoints))
    positions = np.full((sum(len(table.rows) for table in tables), len(names), 2), np.nan)
    start = 0
    for table in tables:
        columns = [names.index(name) for name in table.keypoints]
        positions[start : start + len(table.rows), columns] = table.positions
        start += len(table.rows)
    images_of = [str(name) for table in tables for name in table.rows]
    images = [data_dir / name for name in images_of]
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise BeastError(
            f'{len(missing)} of the {len(images)} labelled images are missing, such as '
            f'{missing[0]}; restore them to the places that the table of labels gives'
        )
    return LabelledFrames(images, names, positions, images_of)


def read_images(
    paths: Sequence[Path],
    size: tuple[int, int],
    boxes: Sequence[Box] | None = None,
) -> UInt8[Tensor, 'frames height width 3']:
    """Read and scale images, as `WindowStore.read` does with frames.

    Args:
        paths: image files.
        size: (height, width) in px.
        boxes: box that each image is cropped to; None for whole images.

    Returns:
        (images, height, width, 3) RGB.

    Raises:
        BeastError: if an image is damaged.
    """
    pictures = np.empty((len(paths), *size, 3), np.uint8)
    for index, path in enumerate(paths):
        with opened_image(path) as image:
            whole = image.convert('RGB')
            # what lies outside the image is black, as in `litpose crop`
            part = whole.crop(_corners(boxes[index])) if boxes else whole
            pictures[index] = np.asarray(part.resize((size[1], size[0]), Image.Resampling.BOX))
    return torch.from_numpy(pictures)


@contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """Open the image of a labelled frame for the block.

    Args:
        path: image file.

    Raises:
        BeastError: if it is damaged.
    """
    advice = 'replace it, or leave its row out of the table of labels'
    with foreign_file(path, advice, 'a labelled image'), Image.open(path) as image:
        yield image


def _corners(box: Box) -> tuple[int, int, int, int]:
    """Return left, upper, right and lower edge."""
    return box.x, box.y, box.x + box.w, box.y + box.h
