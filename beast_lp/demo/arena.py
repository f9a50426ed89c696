"""Draw the empty arena: bedding, walls and three landmarks."""

import numpy as np

from beast_lp.demo.shapes import Cone, Picture, Window, draw_disc, shade, smooth_noise
from beast_lp.demo.skeleton import FLOOR


def make_arena(side: int, rng: np.random.Generator) -> Picture:
    """Draw the empty scene: bedding, walls and three landmarks.

    Args:
        side: height and width in pixels.
        rng: source of the texture.

    Returns:
        The scene.
    """
    image = np.full((side, side, 3), (0.74, 0.68, 0.58), np.float32)
    _scatter_bedding(image, rng)
    texture = sum(
        weight * smooth_noise(side, scale * side, rng)
        for weight, scale in ((0.035, 0.16), (0.03, 0.035), (0.035, 0.006))
    )
    image *= 1 + np.asarray(texture, np.float32)[..., None]
    _place_dish(image)
    _place_nest(image, rng)
    _raise_walls(image)
    return np.clip(image, 0, 1).astype(np.float32)


def _scatter_bedding(image: Picture, rng: np.random.Generator) -> None:
    side = image.shape[0]
    for _ in range(260):
        start = rng.uniform(0, side, 2)
        angle, length = rng.uniform(0, np.pi), rng.uniform(0.008, 0.028) * side
        chip = Cone(
            start,
            start + length * np.array([np.cos(angle), np.sin(angle)]),
            0.0035 * side,
            0.0035 * side,
        )
        window = Window.around(image, [chip.start, chip.end], 3)
        cover = np.clip(0.5 - chip.distance(window.x, window.y), 0, 1)
        tone = rng.uniform(0.72, 1.18)
        window.blend(image, shade((0.76, 0.68, 0.55), tone), 0.7 * cover)


def _place_dish(image: Picture) -> None:
    """Put a steel food dish into a corner."""
    side = image.shape[0]
    center = np.array([0.80, 0.205]) * side
    draw_disc(image, center + 0.012 * side, 0.085 * side, (0.2, 0.18, 0.16), 0.35)
    draw_disc(image, center, 0.082 * side, (0.70, 0.73, 0.77))
    draw_disc(image, center, 0.066 * side, (0.47, 0.50, 0.55))
    draw_disc(image, center + 0.006 * side, 0.058 * side, (0.56, 0.59, 0.63))
    for angle in np.arange(5) * 2 * np.pi / 5:
        pellet = center + 0.03 * side * np.array([np.cos(angle), np.sin(angle)])
        draw_disc(image, pellet, 0.014 * side, (0.45, 0.33, 0.20))


def _place_nest(image: Picture, rng: np.random.Generator) -> None:
    """Put a pile of white nesting strips into the opposite corner."""
    side = image.shape[0]
    center = np.array([0.19, 0.80]) * side
    draw_disc(image, center + 0.01 * side, 0.075 * side, (0.3, 0.27, 0.24), 0.3)
    for _ in range(26):
        start, end = (center + rng.uniform(-0.07, 0.07, 2) * side for _ in range(2))
        strip = Cone(start, end, 0.009 * side, 0.009 * side)
        window = Window.around(image, [start, end], 0.02 * side + 1)
        cover = np.clip(0.5 - strip.distance(window.x, window.y), 0, 1)
        window.blend(image, shade((0.95, 0.93, 0.88), rng.uniform(0.82, 1.0)), cover)


def _raise_walls(image: Picture) -> None:
    """Draw the box around the floor, its shadow, and a striped card on the left wall."""
    side = image.shape[0]
    away = np.abs(np.arange(side, dtype=np.float32) - (side - 1) / 2)
    corner = 0.05 * side
    x, y = (
        np.clip(axis - (FLOOR * side - corner), 0, None) for axis in (away[None, :], away[:, None])
    )
    beyond = np.hypot(x, y) - corner
    image *= (1 - 0.3 * np.clip(1 + beyond / (0.05 * side), 0, 1) ** 2)[..., None]
    depth = np.clip(beyond / ((0.5 - FLOOR) * side), 0, 1)
    wall = np.array([0.30, 0.36, 0.43], np.float32) * (0.75 + 0.5 * depth[..., None])
    cover = np.clip(0.5 + beyond, 0, 1)
    image += cover[..., None] * (wall - image)
    rows = slice(int(0.40 * side), int(0.60 * side))
    columns = slice(int(0.01 * side), int(0.04 * side))
    stripes = (np.arange(rows.stop - rows.start) * 10 // (rows.stop - rows.start)) % 2
    image[rows, columns] = np.where(stripes[:, None, None], 0.92, 0.10)
