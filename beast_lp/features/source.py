"""Sources of features: one interface for networks and frame PCA.

Adding a new feature source:

1. write a subclass of `FeatureSource` in a file of its own, or wrap a module in
   `beast_lp.features.networks.NetworkSource`, with a function that opens it by its name; test it
2. add its `SourceKind` to `SOURCES` in `beast_lp/host/jobs/sources.py`, before `vit`
3. name it in the help of `source` in `beast_lp/host/commands/embed.py`
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from beast_lp.runs.keys import digest, file_key, key_of
from beast_lp.runs.readable import check_readable


class Encoded(NamedTuple):
    """Features of some frames.

    Attributes:
        cls: one vector per frame.
        patches: feature maps; None where they were not requested.
    """

    cls: Float[np.ndarray, 'frames dim']
    patches: Float[Tensor, 'frames channels rows columns'] | None


class FeatureSource(ABC):
    """Turns frames into features.

    Attributes:
        name: name that the user gives: a path, or the name of a backbone.
        kind: key of `SOURCES` in `beast_lp/host/jobs/sources.py`.
        hash: hash of the weights.
        image_size: size in px, (height, width), of the frames that it takes.
        pixel_format: format of the frames that it takes, `rgb24` or `gray`.
        dim: number of channels of a vector.
        grid: number of patches along (height, width); None if it has no patches.
        patch_dim: number of channels of a patch; None if it has no patches.
        precision: precision of its computations, `fp32` or `bf16`.
        looks_back: whether a frame's features depend on the frame before, so that an interrupted
            video begins again.
    """

    name: str
    kind: str
    hash: str
    image_size: tuple[int, int]
    pixel_format: str = 'rgb24'
    dim: int
    grid: tuple[int, int] | None = None
    patch_dim: int | None = None
    precision: str = 'fp32'
    looks_back: bool = False

    def begin(self) -> None:  # noqa: B027
        """Forget earlier frames, since those of another video follow."""

    @abstractmethod
    def encode(self, frames: UInt8[np.ndarray, 'frames h w ...'], patches: bool) -> Encoded:
        """Compute the features of some frames.

        Args:
            frames: frames of `image_size` and `pixel_format`, with a last axis of 3 for `rgb24`.
            patches: whether patch features are computed too.
        """


class SourceKind(NamedTuple):
    """How the user's name for a source becomes the source.

    Attributes:
        accepts: function that returns whether a name belongs to this kind.
        open: function from a name, an image size in px (height, width; None for the source's own)
            and a precision (`auto`, `fp32` or `bf16`) to the source.
        files: function from a name to the files that `open` reads, none for what is not the
            user's, such as the weights that a package brings.
    """

    accepts: Callable[[str], bool]
    open: Callable[[str, tuple[int, int] | None, str], FeatureSource]
    files: Callable[[str], Sequence[Path]]


def hash_files(files: Sequence[Path]) -> str | None:
    """Hash the names and the bytes of files, none of which is opened as what it is.

    Args:
        files: paths of the files; their folders do not count, so that they may move together.

    Returns:
        the hash; None without files.
    """
    for file in files:
        check_readable(file)
    return key_of(sorted((file.name, file_key(file)) for file in files)) if files else None


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Hash named tensors, whatever their order."""
    content = digest(b'')
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        content.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        # as bytes, since numpy lacks bf16
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()
