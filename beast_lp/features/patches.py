"""Smaller patch features: an average-pooled grid, and fewer channels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from beast_lp.errors import BeastError
from beast_lp.features.frame_sample import sample_frames
from beast_lp.features.pca import Basis, fit_basis
from beast_lp.features.source import FeatureSource

BASIS_NAME = 'patch_basis.npz'
# number of frames whose patches the basis is fitted to, over all videos
BASIS_FRAMES = 500


@dataclass(frozen=True)
class PatchReduction:
    """Reduces patch features to what is stored.

    Attributes:
        grid: number of patches along (height, width), averages of the source's.
        basis: components onto which every patch is projected; None to keep its channels.
    """

    grid: tuple[int, int]
    basis: Basis | None = None

    def __call__(
        self,
        maps: Float[Tensor, 'frames channels rows columns'],
    ) -> Float[np.ndarray, 'frames patches kept']:
        """Pool feature maps, and return their patches in raster order."""
        if tuple(maps.shape[2:]) != self.grid:
            maps = functional.adaptive_avg_pool2d(maps, self.grid)
        patches = maps.flatten(2).transpose(1, 2).cpu().numpy()
        if self.basis is None:
            return patches
        count, tokens, channels = patches.shape
        return self.basis.project(patches.reshape(-1, channels)).reshape(count, tokens, -1)


def stored_grid(source: FeatureSource, patch_grid: int | None) -> tuple[int, int]:
    """Return the grid that is stored.

    Args:
        source: source of the patches.
        patch_grid: number of patches along the longer side; None for the source's own.

    Returns:
        number of patches along (height, width), in the proportions of the source's grid.

    Raises:
        BeastError: if the source has no patches, or fewer than asked for.
    """
    if source.grid is None:
        raise BeastError(f'{source.name} has no patches; leave out --patches')
    if patch_grid is None:
        return source.grid
    longest = max(source.grid)
    if not 1 <= patch_grid <= longest:
        raise BeastError(
            f'--patch_grid must be between 1 and {longest}, the patches along the longer side of '
            f'{source.name} at {source.image_size[0]} x {source.image_size[1]} px, found '
            f'{patch_grid}'
        )
    rows, columns = (max(1, round(side * patch_grid / longest)) for side in source.grid)
    return rows, columns


def patch_basis(
    path: Path,
    source: FeatureSource,
    grid: tuple[int, int],
    components: int,
    videos: Sequence[Path],
    batch_size: int,
    progress: bool = True,
    bbox_dir: Path | None = None,
) -> Basis:
    """Fit components to the pooled patches of a sample of frames, or open those of an earlier run.

    All videos of an output directory share one basis, so their patches can be compared.

    Args:
        path: `.npz` file of the basis.
        source: source of the patches.
        grid: grid of the pooled patches.
        components: number of channels to keep.
        videos: video files, absolute paths.
        batch_size: number of frames that are encoded at once.
        progress: whether to show a progress bar.
        bbox_dir: folder of the host's bounding boxes, to which frames are cropped; None for whole
            frames.

    Raises:
        BeastError: if an existing basis belongs to another source or to other settings, or boxes
            are missing.
    """
    size = source.image_size
    settings = (
        f'source {source.hash}, images of {size[0]} x {size[1]} px, grid {grid[0]} x {grid[1]}, '
        f'{components} components'
    )
    # not their paths: videos that are added later have boxes of their own, and share the basis
    if bbox_dir is not None:
        settings += ', cropped to bounding boxes'
    if path.exists():
        found = Basis.load(path)
        if found.settings != settings:
            raise BeastError(
                f'{path} was fitted with other settings ({found.settings}) than asked for '
                f'({settings}); give the same ones or another --output_dir'
            )
        return found
    pool = PatchReduction(grid)

    def tokens() -> Iterator[np.ndarray]:
        for frames in sample_frames(
            videos, BASIS_FRAMES, size, source.pixel_format, batch_size, progress, bbox_dir
        ):
            maps = source.encode(frames, patches=True).patches
            assert maps is not None
            patches = pool(maps)
            yield patches.reshape(-1, patches.shape[-1])

    # 300 MB for a ViT-B at 224 px, however long the videos are
    held = list(tokens())
    basis = fit_basis(lambda: held, components, settings)
    basis.save(path)
    return basis
