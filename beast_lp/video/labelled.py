"""The labelled frames of a project: their images and the positions of their keypoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from beast_lp.errors import BeastError
from beast_lp.runs.foreign import foreign_file
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
    """

    images: Sequence[Path]
    keypoints: Sequence[str]
    positions: Float[np.ndarray, 'frames keypoints 2']

    @property
    def videos(self) -> list[str]:
        """Folder of each image, which the host names after the video."""
        return [str(image.parent) for image in self.images]


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
    images = [data_dir / str(name) for table in tables for name in table.rows]
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise BeastError(
            f'{len(missing)} of the {len(images)} labelled images are missing, such as '
            f'{missing[0]}; restore them to the places that the table of labels gives'
        )
    return LabelledFrames(images, names, positions)


def read_images(
    paths: Sequence[Path], size: tuple[int, int]
) -> UInt8[Tensor, 'frames height width 3']:
    """Read and scale images, as `WindowStore.read` does with frames.

    Args:
        paths: image files.
        size: (height, width) in px.

    Returns:
        (images, height, width, 3) RGB.

    Raises:
        BeastError: if an image is damaged.
    """
    pictures = np.empty((len(paths), *size, 3), np.uint8)
    for index, path in enumerate(paths):
        with (
            foreign_file(
                path,
                'replace it, or leave its row out of the table of labels',
                'a labelled image',
            ),
            Image.open(path) as image,
        ):
            scaled = image.convert('RGB').resize((size[1], size[0]), Image.Resampling.BOX)
            pictures[index] = np.asarray(scaled)
    return torch.from_numpy(pictures)
