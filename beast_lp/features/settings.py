"""Options of an extraction, checked when they are given."""

from dataclasses import dataclass
from pathlib import Path

from beast_lp.errors import BeastError


@dataclass(frozen=True)
class ExtractionSettings:
    """Settings of the extraction.

    Attributes:
        batch_size: number of frames that are encoded at once.
        stride: distance between frames that get features; 1 for every frame.
        patches: whether patch features are stored too.
        patch_grid: number of patches along the longer side, averages of the source's; None for
            the source's own.
        patch_dim: number of channels of a patch, by principal components; None for all.
        bbox_dir: folder of the host's bounding boxes, to which frames are cropped; None for whole
            frames.
    """

    batch_size: int = 32
    stride: int = 1
    patches: bool = False
    patch_grid: int | None = None
    patch_dim: int | None = None
    bbox_dir: Path | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BeastError: if a number is below 1, or patches are shaped but not stored.
        """
        for name in ('batch_size', 'stride', 'patch_grid', 'patch_dim'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BeastError(f'--{name} must be at least 1, found {value}')
        if not self.patches and (self.patch_grid or self.patch_dim):
            raise BeastError(
                '--patch_grid and --patch_dim shape the patch features, which are stored with '
                '--patches only; add it'
            )
