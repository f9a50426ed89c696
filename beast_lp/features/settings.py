"""Options of an extraction, checked when they are given."""

from dataclasses import dataclass
from pathlib import Path

from beast_lp.errors import BeastError

# of frames or channels at once; more fits no memory
MOST = 1_000_000


def check_option(name: str, value: int, most: int) -> None:
    """Refuse a number of the command line that is below 1, or that no machine can hold.

    Args:
        name: option without its dashes.
        value: value of the option.
        most: greatest allowed value.

    Raises:
        BeastError: if it is out of range.
    """
    if not 1 <= value <= most:
        limit = 'at least 1' if value < 1 else f'at most {most}'
        raise BeastError(f'--{name} must be {limit}, found {value}')


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
            BeastError: if a number is out of range, or patches are shaped but not stored.
        """
        for name in ('batch_size', 'stride', 'patch_grid', 'patch_dim'):
            value = getattr(self, name)
            if value is not None:
                check_option(name, value, MOST)
        if not self.patches and (self.patch_grid or self.patch_dim):
            raise BeastError(
                '--patch_grid and --patch_dim shape the patch features, which are stored with '
                '--patches only; add it'
            )
