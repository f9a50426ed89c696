"""Where the animal is in a video of a fixed camera: boxes around what the background lacks.

Grey frames are compared with their median, which holds whatever stands still, and with how much
each pixel flickers. All functions are
pure; frames may be a memory map of any length, which is read in chunks.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8
from scipy.ndimage import gaussian_filter1d, label, maximum_filter, median_filter

from beast_lp.errors import BeastError
from beast_lp.video.shares import spread_over
from beast_lp.video.thumbnails import chunks, rows_of

# frames that the median is taken of
_BACKGROUND_FRAMES = 201
# grey levels, and spreads of the noise, by which a pixel of the animal differs from the
# background; what spreads by more grey levels is no noise
_LEAST_LEVELS, _NOISE_SPREADS, _MOST_NOISE = 12, 6, 6
# a median absolute deviation of noise in standard deviations
_MAD = 1.4826
# share of a frame's difference that lies between the edges of its animal, on either axis
_EDGES = 0.02, 0.98
# share of the frames that the box holds whole, and how much larger it is than the animal
_FRAMES_HELD, _MARGIN = 0.95, 1.25
# s over which the centre of the box is smoothed, first by a median against outliers
_MEDIAN_SECONDS, _SMOOTH_SECONDS = 0.4, 0.2
# share of the pixels with more than noise where the camera moves or the light changes
_MOST_OF_FRAME = 0.4
# share of frames in which something must be seen, and below which the animal sits still
_LEAST_SEEN = 0.05
# share of the frame's shorter side above which a crop gains nothing
_LARGEST_BOX = 0.75
# px of small frames between parts of one animal; share of the difference in its heaviest part;
# share of the heaviest part below which another is a speck, such as an edge that flickers
_GAP, _ONE_ANIMAL, _SPECK = 5, 0.75, 0.1
# frames measured at a time
_CHUNK = 512


class NoAnimalError(BeastError):
    """No single place where the animal is; the message is a clause that tells why."""


@dataclass(frozen=True)
class Track:
    """Place of the animal in every frame, as shares of the frame's width and height.

    Attributes:
        centre: (frames, 2) of x and y, smoothed over time.
        size: width and height of the box that holds the animal, one for the whole video.
        seen: share of the frames in which something differs from the background.
    """

    centre: Float[np.ndarray, 'frames 2']
    size: Float[np.ndarray, ' 2']
    seen: float


class Background(NamedTuple):
    """What a video shows where the animal is not, in grey levels.

    Attributes:
        median: (H, W) median of its frames.
        noise: (H, W) spread of each pixel about it, large at edges that flicker or vibrate. An
            animal that is over a pixel in less than half of the frames leaves it small.
    """

    median: UInt8[np.ndarray, 'h w']
    noise: Float[np.ndarray, 'h w']


def background_of(frames: UInt8[np.ndarray, 'n h w']) -> Background:
    """Return the background, from frames that are spread evenly over a video.

    Args:
        frames: (frames, H, W) grey frames.
    """
    picks = rows_of(frames, spread_over(len(frames), _BACKGROUND_FRAMES))
    median = np.median(picks, axis=0).astype(np.uint8)
    noise = _MAD * np.median(np.abs(_same_light(picks, median)), axis=0)
    return Background(median, noise.astype(np.float32))


def difference(
    frames: UInt8[np.ndarray, 'n h w'],
    background: Background,
) -> Float[np.ndarray, 'n h w']:
    """Return by how much each pixel differs from the background beyond the noise, in grey levels.

    Noise is that of the frame or of the pixel, whichever is larger. Light that changes everywhere
    alike is taken away first.

    Args:
        frames: (frames, H, W) grey frames.
        background: background of their video.
    """
    size = np.abs(_same_light(frames, background.median))
    noise = np.minimum(_MAD * np.median(size, axis=(1, 2), keepdims=True), _MOST_NOISE)
    least = _NOISE_SPREADS * np.maximum(noise, background.noise)
    return np.where(size > np.maximum(_LEAST_LEVELS, least), size, 0).astype(np.float32)


def _same_light(
    frames: UInt8[np.ndarray, 'n h w'],
    median: UInt8[np.ndarray, 'h w'],
) -> Float[np.ndarray, 'n h w']:
    """Return the signed differences, without what changes everywhere alike."""
    signed = frames.astype(np.float32) - median
    return signed - np.median(signed, axis=(1, 2), keepdims=True)


def find_animal(
    frames: UInt8[np.ndarray, 'n h w'],
    background: Background,
) -> Float[np.ndarray, 'n 2']:
    """Return the place of the animal in single frames, NaN where nothing is seen.

    Args:
        frames: (frames, H, W) grey frames.
        background: background of their camera.

    Returns:
        x and y of the middle of what is seen, as shares of the frame's width and height.
    """
    edges, _ = _measure(difference(frames, background))
    return edges.mean(axis=1)


def track_animal(
    frames: UInt8[np.ndarray, 'n h w'],
    background: Background,
    fps: float,
) -> Track:
    """Find the box around what moves in every frame of a video of a fixed camera.

    Args:
        frames: (frames, H, W) grey frames of the whole video, small ones (100 px) are enough.
        background: their background.
        fps: frames per second.

    Returns:
        the track; frames in which nothing is seen keep the place of their neighbours.

    Raises:
        NoAnimalError: if nothing moves, nearly everything does (a moving camera), things move far
            apart, or the box would be hardly smaller than the frame.

    Examples:
        >>> frames = np.full((50, 40, 60), 200, np.uint8)
        >>> for t in range(50):
        ...     frames[t, 10:16, t : t + 8] = 20
        >>> track = track_animal(frames, background_of(frames), fps=25)
        >>> track.centre[25].round(1).tolist(), track.size.round(1).tolist()
        ([0.5, 0.3], [0.2, 0.2])
    """
    restless = np.mean(background.noise > _MOST_NOISE)
    if restless > _MOST_OF_FRAME:
        raise NoAnimalError(
            f'{restless:.0%} of the pixels change from frame to frame, as where the camera moves '
            'or the light changes'
        )
    parts = [
        _measure(difference(rows_of(frames, slice(start, stop)), background))
        for start, stop in chunks(len(frames), _CHUNK)
    ]
    edges, united = (np.concatenate(part) for part in zip(*parts, strict=True))
    seen = np.asarray(np.isfinite(edges).all(axis=(1, 2)))
    if seen.mean() < _LEAST_SEEN:
        raise NoAnimalError(
            f'nothing stands out from the background in {1 - seen.mean():.0%} of the frames, as '
            'where the animal sits still or the contrast is low'
        )
    extent = edges[:, 1] - edges[:, 0]
    size = np.quantile(extent[seen], _FRAMES_HELD, axis=0) * _MARGIN
    if (size > _LARGEST_BOX).any():
        apart = np.mean(united[seen] < _ONE_ANIMAL)
        why = (
            f'in {apart:.0%} of the frames several things move apart, as where there are two '
            'animals'
            if apart > 1 - _FRAMES_HELD
            else 'the animal fills the frame, or something else moves too'
        )
        raise NoAnimalError(f'a box around all that moves would be as large as the frame: {why}')
    return Track(_smooth(edges.mean(axis=1), seen, fps), size, float(seen.mean()))


def _measure(
    found: Float[np.ndarray, 'n h w'],
) -> tuple[Float[np.ndarray, 'n 2 2'], Float[np.ndarray, ' n']]:
    """Measure the differences of some frames.

    Returns:
        left and right, then upper and lower edge as (frames, first or last, x or y) in shares of
        the frame, NaN where nothing is seen; the share of the difference that lies in its heaviest
        part. Specks count for the edges of no frame.
    """
    height, width = found.shape[1:]
    edges = np.full((len(found), 2, 2), np.nan)
    united = np.ones(len(found))
    for index, picture in enumerate(found):
        if not picture.any():
            continue
        parts, masses = _parts(picture)
        united[index] = masses.max() / masses.sum()
        animal = np.where((masses >= _SPECK * masses.max())[parts], picture, 0)
        for axis, length in ((0, width), (1, height)):
            edges[index, :, axis] = _quantiles(animal.sum(axis=axis), length)
    return edges, united


def _quantiles(mass: Float[np.ndarray, ' length'], length: int) -> Float[np.ndarray, ' 2']:
    """Return where the first and last share of a mass lie, as shares of the length."""
    total = np.concatenate([[0.0], mass.cumsum()])
    return np.interp(_EDGES, total / total[-1], np.arange(length + 1)) / length


def _parts(
    picture: Float[np.ndarray, 'h w'],
) -> tuple[Int32[np.ndarray, 'h w'], Float[np.ndarray, ' parts']]:
    """Return the connected part of every pixel, small gaps closed, and the mass of each part."""
    parts = np.empty(picture.shape, np.int32)
    label(maximum_filter(picture > 0, _GAP), output=parts)
    return parts, np.bincount(parts.ravel(), weights=picture.ravel())


def _smooth(
    centre: Float[np.ndarray, 'frames 2'],
    seen: Bool[np.ndarray, ' frames'],
    fps: float,
) -> Float[np.ndarray, 'frames 2']:
    """Fill the gaps between the frames in which something is seen, and smooth over time."""
    places = np.arange(len(centre))
    filled = np.stack([np.interp(places, places[seen], axis[seen]) for axis in centre.T], axis=1)
    steady = median_filter(filled, (2 * round(_MEDIAN_SECONDS * fps / 2) + 1, 1), mode='nearest')
    return gaussian_filter1d(steady, max(_SMOOTH_SECONDS * fps, 0.5), axis=0, mode='nearest')
