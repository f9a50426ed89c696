"""Principal components of whole frames, as a baseline, and of patches, to store fewer channels."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from beast_lp.errors import BeastError
from beast_lp.features.frame_sample import sample_frames
from beast_lp.features.source import Encoded, FeatureSource
from beast_lp.pca import Batches, principal_components
from beast_lp.runs.files import finished_file
from beast_lp.runs.foreign import foreign_file, reason_of
from beast_lp.runs.keys import digest
from beast_lp.runs.readable import read_arrays

logger = logging.getLogger(f'lightning_pose.{__name__}')

FRAME_PCA_NAME = 'frame_pca.npz'
# number of frames that the components are fitted to, over all videos
SAMPLE_FRAMES = 4_000
# px, (height, width)
PCA_IMAGE_SIZE = (64, 64)


@dataclass(frozen=True)
class Basis:
    """Principal components of frames or patches.

    Attributes:
        mean: mean of the data.
        components: orthonormal rows, by descending variance.
        explained: share of the variance along each component.
        settings: settings of the fit; a basis is used with the same ones only.

    Examples:
        >>> basis = Basis(np.zeros(2), np.array([[0.0, 1.0]]), np.ones(1))
        >>> basis.project(np.array([[3.0, 4.0]])).tolist()
        [[4.0]]
    """

    mean: Float[np.ndarray, ' channels']
    components: Float[np.ndarray, 'kept channels']
    explained: Float[np.ndarray, ' kept']
    settings: str = ''

    @property
    def hash(self) -> str:
        """Hash of mean and components."""
        content = digest(b'')
        for array in (self.mean, self.components):
            content.update(np.ascontiguousarray(array, np.float32).data)
        return content.hexdigest()

    def project(
        self,
        values: Float[np.ndarray, 'rows channels'],
    ) -> Float[np.ndarray, 'rows kept']:
        """Return coordinates along the components."""
        return (values - self.mean) @ self.components.T

    def save(self, path: Path, **further: Any) -> None:
        """Write a `.npz` file, which appears once it is complete.

        Args:
            path: file to write.
            **further: more arrays to store.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with finished_file(path) as part, part.open('wb') as file:
            np.savez(
                file,
                mean=self.mean,
                components=self.components,
                explained=self.explained,
                settings=self.settings,
                **further,
            )

    @staticmethod
    def load(path: Path) -> 'Basis':
        """Read a file that `save` wrote.

        Raises:
            BeastError: if it is no such file.
        """
        try:
            arrays = read_arrays(path)
            return Basis(
                arrays['mean'], arrays['components'], arrays['explained'], str(arrays['settings'])
            )
        except BeastError:
            raise
        except Exception as error:  # numpy raises errors of many kinds for damaged files
            raise BeastError(
                f'{path} holds no principal components ({reason_of(error)}); delete it and '
                'run the command that wrote it again'
            ) from error


def fit_basis(batches: Batches, components: int, settings: str = '') -> Basis:
    """Fit principal components.

    Args:
        batches: function that returns the batches of data, as `principal_components` takes it.
        components: number of components to keep.
        settings: settings of the fit, kept with it.

    Raises:
        BeastError: if there are fewer rows, or channels, than components.
    """
    shapes = [batch.shape for batch in batches()]
    seen = sum(rows for rows, _ in shapes)
    if shapes and components > shapes[0][1]:
        raise BeastError(
            f'{components} components were asked for of data with {shapes[0][1]} channels; ask '
            'for fewer'
        )
    if seen < components or not seen:
        raise BeastError(
            f'{components} components were asked for, but the videos give only {seen} samples; '
            'ask for fewer components or give longer videos'
        )
    found = principal_components(batches, components)
    mean, axes, explained = (
        np.ascontiguousarray(array, np.float32)
        for array in (found.mean, found.axes.T, found.variances / max(found.total, 1e-12))
    )
    return Basis(mean, axes, explained, settings)


class FramePCA(FeatureSource):
    """Coordinates of small grey frames along their principal components."""

    kind = 'frame PCA'
    pixel_format = 'gray'

    def __init__(self, basis: Basis, image_size: tuple[int, int], name: str | Path) -> None:
        """Store the components.

        Args:
            basis: components of frames, with values from 0 to 1.
            image_size: size of the frames in px, (height, width).
            name: name for tables and messages.
        """
        self.name, self.image_size, self.hash = str(name), image_size, basis.hash
        self.dim = len(basis.components)
        self._basis = basis

    def encode(self, frames: UInt8[np.ndarray, 'frames h w'], patches: bool) -> Encoded:
        """Compute the coordinates of some frames.

        Raises:
            BeastError: if patches are requested.
        """
        if patches:
            raise BeastError('frame PCA has no patches; leave out --patches')
        return Encoded(self._basis.project(_flat(frames)), None)

    def save(self, path: Path) -> None:
        """Write the components, for `open_frame_pca`."""
        self._basis.save(path, image_size=np.array(self.image_size))


def open_frame_pca(path: Path) -> FramePCA:
    """Open components that `FramePCA.save` wrote.

    Args:
        path: `.npz` file.

    Raises:
        BeastError: if it holds components of something else than frames, or none.
    """
    basis = Basis.load(path)
    advice = 'delete it and run the command that wrote it again'
    with foreign_file(path, advice, 'principal components'):
        arrays = read_arrays(path)
        if 'image_size' not in arrays:
            raise BeastError(
                f'{path} holds components of patches and not of frames; give {FRAME_PCA_NAME}'
            )
        height, width = (int(side) for side in arrays['image_size'])
    return FramePCA(basis, (height, width), path)


def is_frame_pca(name: str) -> bool:
    """Return whether a name is that of a file of components."""
    path = Path(name).expanduser()
    return path.suffix == '.npz' and path.is_file()


def frame_pca_files(name: str) -> list[Path]:
    """Return the file that `frame_pca_source` reads."""
    return [Path(name).expanduser().absolute()]


def frame_pca_source(name: str, image_size: tuple[int, int] | None, precision: str) -> FramePCA:
    """Open components of frames by the name that the user gives.

    Args:
        name: `.npz` file that `FramePCA.save` wrote.
        image_size: size in px, (height, width), which the components must have; None for any.
        precision: not used.

    Raises:
        BeastError: if it is no such file, or its components are of another size.
    """
    source = open_frame_pca(Path(name).expanduser().absolute())
    if image_size not in (None, source.image_size):
        raise BeastError(
            f'{source.name} was fitted to frames of {source.image_size[0]} x '
            f'{source.image_size[1]} px; leave out --image_size'
        )
    return source


def frame_pca(
    path: Path,
    videos: Sequence[Path],
    components: int,
    image_size: tuple[int, int] | None = None,
    progress: bool = True,
) -> FramePCA:
    """Fit components to a sample of the frames of some videos, or open those of an earlier run.

    Args:
        path: `.npz` file of the components; an existing one is used, whatever the videos.
        videos: video files, absolute paths.
        components: number of channels of the features.
        image_size: size in px, (height, width); None for `PCA_IMAGE_SIZE`.
        progress: whether to show a progress bar.

    Raises:
        BeastError: if an existing file has other settings, or there are too few frames.
    """
    size = image_size or PCA_IMAGE_SIZE
    if path.exists():
        found = open_frame_pca(path)
        if (found.dim, found.image_size) != (components, size):
            raise BeastError(
                f'{path} holds {found.dim} components of frames of {found.image_size[0]} x '
                f'{found.image_size[1]} px, and {components} of {size[0]} x {size[1]} px were '
                'asked for; give the same settings or another --output_dir'
            )
        logger.info(f'beast: using the components in {path}')
        return found
    # as bytes: 16 MB at the default size
    frames = list(sample_frames(videos, SAMPLE_FRAMES, size, 'gray', 256, progress))
    basis = fit_basis(lambda: map(_flat, frames), components)
    source = FramePCA(basis, size, path)
    source.save(path)
    logger.info(
        f'beast: {components} principal components explain '
        f'{100 * float(basis.explained.sum()):.1f} % of the variance of the frames'
    )
    return source


def _flat(frames: UInt8[np.ndarray, 'frames h w']) -> Float[np.ndarray, 'frames pixels']:
    return frames.reshape(len(frames), -1).astype(np.float32) / 255
