"""The labelled frames of a project: their images and the positions of their keypoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from beast_lp.errors import BeastError


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
            coords) and the path of an image in the first column.
        data_dir: folder that image paths are relative to.

    Raises:
        BeastError: if a file or an image is missing, or a file is not such a table.
    """
    tables = []
    for path in files:
        try:
            table = pd.read_csv(path, header=[0, 1, 2], index_col=0)
        except (OSError, ValueError) as error:
            raise BeastError(
                f'{path} cannot be read as a table of labels ({type(error).__name__}); give the '
                'data.csv_file of a Lightning Pose project'
            ) from error
        if table.index.name is not None:
            # pandas reads a first row without any label as the name of the index
            first = pd.Index([str(table.index.name)])
            empty = pd.DataFrame(np.nan, index=first, columns=table.columns)
            table = pd.concat([empty, table])
        table.columns = pd.MultiIndex.from_tuples(
            [(str(name), str(axis)) for _, name, axis in table.columns]
        )
        wanted = [column for column in table.columns if column[1] in ('x', 'y')]
        if not wanted:
            raise BeastError(f'{path} has no columns x and y; is it a table of labels?')
        tables.append(table[wanted])
    together = pd.concat(tables)
    names = list(dict.fromkeys(name for name, _ in together.columns))
    columns = pd.MultiIndex.from_product([names, ['x', 'y']])
    positions = together.reindex(columns=columns).to_numpy(np.float64)
    images = [data_dir / str(name) for name in together.index]
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise BeastError(
            f'{len(missing)} of the {len(images)} labelled images are missing, such as '
            f'{missing[0]}; restore them to the places that the table of labels gives'
        )
    return LabelledFrames(images, names, positions.reshape(len(images), len(names), 2))


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
        try:
            with Image.open(path) as image:
                scaled = image.convert('RGB').resize((size[1], size[0]), Image.Resampling.BOX)
                pictures[index] = np.asarray(scaled)
        # these are what Pillow raises for damaged files
        except (OSError, SyntaxError, ValueError) as error:
            raise BeastError(
                f'the labelled image {path} cannot be read ({error}); replace it, or leave its '
                'row out of the table of labels'
            ) from error
    return torch.from_numpy(pictures)
