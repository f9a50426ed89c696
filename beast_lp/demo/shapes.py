"""Shapes with soft edges that follow sub-pixel movement.

Every shape is a distance field: the signed distance to its edge decides how much of a pixel the
shape covers, so an edge moves by fractions of a pixel. Colours are RGB in 0 to 1, lengths are
pixels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Picture = Float[np.ndarray, 'height width 3']
Plane = Float[np.ndarray, 'height width']
Point = Float[np.ndarray, ' 2']
Color = tuple[float, float, float]


@dataclass(frozen=True)
class Window:
    """A rectangle of the image and the coordinates of its pixels."""

    rows: slice
    columns: slice
    x: Float[np.ndarray, '1 width']
    y: Float[np.ndarray, 'height 1']

    @staticmethod
    def around(image: Picture, points: list[Point], margin: float) -> 'Window':
        """Return the part of the image within `margin` pixels of a box around points."""
        low = np.floor(np.min(points, axis=0) - margin).astype(int)
        high = np.ceil(np.max(points, axis=0) + margin).astype(int) + 1
        left, top = np.clip(low, 0, [image.shape[1], image.shape[0]])
        right, bottom = np.clip(high, 0, [image.shape[1], image.shape[0]])
        return Window(
            slice(top, bottom),
            slice(left, right),
            np.arange(left, right, dtype=np.float32)[None, :],
            np.arange(top, bottom, dtype=np.float32)[:, None],
        )

    def blend(self, image: Picture, color: Color | Picture, cover: Plane) -> None:
        """Lay a colour over the image where `cover` is above 0."""
        target = image[self.rows, self.columns]
        target += cover[..., None] * (np.asarray(color, np.float32) - target)


@dataclass(frozen=True)
class Cone:
    """A tapered, round-ended bar: the shape that the animal is made of."""

    start: Point
    end: Point
    start_radius: float
    end_radius: float

    def distance(self, x: np.ndarray, y: np.ndarray) -> Plane:
        """Return the signed distance of points to the edge, negative inside."""
        along = (self.end - self.start).astype(np.float32)
        dx, dy = x - np.float32(self.start[0]), y - np.float32(self.start[1])
        length = float(along @ along) + 1e-6
        share = np.clip((dx * along[0] + dy * along[1]) / length, 0, 1)
        radius = self.start_radius + share * (self.end_radius - self.start_radius)
        return np.hypot(dx - share * along[0], dy - share * along[1]) - radius


def draw_disc(
    image: Picture, center: Point, radius: float, color: Color, cover: float = 1.0
) -> None:
    """Draw a filled disc; `cover` is its opacity."""
    window = Window.around(image, [center], radius + 1)
    x, y = center.astype(np.float32)
    distance = np.hypot(window.x - x, window.y - y) - radius
    window.blend(image, color, cover * np.clip(0.5 - distance, 0, 1))


def shade(color: Color, factor: float) -> Color:
    """Return a darker (factor below 1) or brighter colour."""
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def smooth_noise(side: int, scale: float, rng: np.random.Generator) -> Plane:
    """Draw noise of unit variance, with structure of about `scale` pixels, that tiles."""
    down, right = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    spectrum = np.exp(-2 * (np.pi * scale) ** 2 * (down**2 + right**2))
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * spectrum, (side, side))
    noise -= noise.mean()
    return (noise / (noise.std() + 1e-9)).astype(np.float32)
