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
    """The labelled frames of a project."""

    images: Sequence[Path]
    keypoints: Sequence[str]
    # px of the original images, x and y; NaN where a keypoint is not labelled
    positions: Float[np.ndarray, 'frames keypoints 2']

    @property
    def videos(self) -> list[str]:
        """The folder of each image, which the host names after the video."""
        return [str(image.parent) for image in self.images]


def read_labels(files: Sequence[Path], data_dir: Path) -> LabelledFrames:
    """Read label files as Lightning Pose and DeepLabCut write them.

    Args:
        files: tables with three header rows (scorer, bodyparts, coords) and the path of an image
            first in every row; several, one for each view.
        data_dir: what the image paths are relative to.

    Raises:
        BeastError: if a file or an image is missing, or a file is no such table.
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
            # pandas takes a first row without any label for the name of the index
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
            f'{missing[0]}; they are needed where the table of labels says they are'
        )
    return LabelledFrames(images, names, positions.reshape(len(images), len(names), 2))


def read_images(
    paths: Sequence[Path],
    size: tuple[int, int],
) -> UInt8[Tensor, 'frames height width 3']:
    """Read images at a size, (height, width) in px, as the window store's frames are.

    Raises:
        BeastError: if one is damaged.
    """
    pictures = np.empty((len(paths), *size, 3), np.uint8)
    for index, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                scaled = image.convert('RGB').resize((size[1], size[0]), Image.Resampling.BOX)
                pictures[index] = np.asarray(scaled)
        # what Pillow raises for damaged files
        except (OSError, SyntaxError, ValueError) as error:
            raise BeastError(
                f'the labelled image {path} cannot be read ({error}); replace it, or leave its '
                'row out of the table of labels'
            ) from error
    return torch.from_numpy(pictures)
