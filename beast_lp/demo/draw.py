"""Draw the animal and its arena, with soft edges that follow sub-pixel movement.

Every part is a distance field: the signed distance to the part's edge decides how much of a pixel
the part covers, so an edge moves by fractions of a pixel. Colours are RGB in 0 to 1, lengths are
pixels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from beast_lp.demo.skeleton import FLOOR, SIDES, TAIL_POINTS, Skeleton

Picture = Float[np.ndarray, 'height width 3']
Plane = Float[np.ndarray, 'height width']
Point = Float[np.ndarray, ' 2']
Color = tuple[float, float, float]

SKIN: Color = (0.93, 0.66, 0.62)
NOSE: Color = (0.95, 0.42, 0.46)
TAIL: Color = (0.80, 0.57, 0.52)
EYE: Color = (0.05, 0.04, 0.05)
NOSE_RADIUS = 0.036
# where the light comes from, in image coordinates
LIGHT = np.array([-0.6, -0.8], np.float32)
# standard deviation of the camera's noise, in grey levels of 255
PIXEL_NOISE = 2.0


@dataclass(frozen=True)
class Look:
    """Appearance of one animal in one recording.

    Attributes:
        fur: colour of the fur.
        fur_texture: fine structure of the fur, a square texture around 0.
        light_phase: phases of the light's slow drift.
        pixel_noise: standard deviation of the camera's noise, in grey levels of 255.
    """

    fur: Color
    fur_texture: Plane
    light_phase: tuple[float, float]
    pixel_noise: float = PIXEL_NOISE


def make_look(rng: np.random.Generator) -> Look:
    """Draw an animal's fur and a recording's light at random."""
    tone = rng.uniform(0.85, 1.2)
    warmth = rng.uniform(-0.02, 0.03)
    return Look(
        fur=(0.40 * tone + warmth, 0.30 * tone, 0.22 * tone - warmth),
        fur_texture=_smooth_noise(128, 1.2, rng) + 0.8 * _smooth_noise(128, 5, rng),
        light_phase=(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0, 2 * np.pi))),
    )


def render(
    skeleton: Skeleton, arena: Picture, look: Look, rng: np.random.Generator
) -> Iterator[UInt8[np.ndarray, 'height width 3']]:
    """Draw a video frame by frame.

    Args:
        skeleton: positions of the animal's parts.
        arena: the empty scene of `make_arena`.
        look: appearance of the animal, the light and the camera.
        rng: source of the pixel noise.

    Yields:
        The frames, RGB.
    """
    side = arena.shape[0]
    ramp = np.linspace(-1, 1, side, dtype=np.float32)[None, :, None]
    for frame in range(len(skeleton.groom)):
        image = arena.copy()
        draw_animal(image, skeleton.at(frame), skeleton.size, float(skeleton.groom[frame]), look)
        level = 1 + 0.05 * np.sin(frame / 70 + look.light_phase[0])
        slope = 0.05 * np.sin(frame / 110 + look.light_phase[1])
        image *= np.float32(level) + np.float32(slope) * ramp
        image *= 255
        if look.pixel_noise:
            # the same in all three colours: 4:2:0 video keeps no finer noise of colour
            image += look.pixel_noise * rng.standard_normal((side, side, 1), dtype=np.float32)
        yield np.clip(image + 0.5, 0, 255).astype(np.uint8)


def draw_animal(
    image: Picture, points: Mapping[str, Point], size: float, groom: float, look: Look
) -> None:
    """Draw an animal into an image, in place.

    Args:
        image: scene to draw on.
        points: the skeleton's points of one frame, in pixels (x, y).
        size: distance from the nose to the base of the tail, in pixels.
        groom: 0 to 1; a grooming animal sits and looks rounder.
        look: appearance of the animal.
    """
    trunk = _trunk(points, size, groom)
    dark = _shade(look.fur, 0.72)
    _cast_shadow(image, trunk, size)
    for side in SIDES:
        _limb(image, points[f'thigh_{side}'], points[f'hind_heel_{side}'], 0.075, 0.04, size, dark)
        _limb(
            image,
            points[f'hind_heel_{side}'],
            points[f'hind_paw_{side}'],
            0.034,
            0.044,
            size,
            SKIN,
        )
        front = points[f'front_paw_{side}']
        _limb(image, points[f'shoulder_{side}'], front, 0.055, 0.032, size, dark)
        _disc(image, front, 0.05 * size, SKIN)
    _draw_tail(image, [points[f'tail_{joint}'] for joint in range(TAIL_POINTS)], size)
    _draw_fur(image, trunk, points, size, look)
    _draw_face(image, points, size, look)


@dataclass(frozen=True)
class _Window:
    """A rectangle of the image and the coordinates of its pixels."""

    rows: slice
    columns: slice
    x: Float[np.ndarray, '1 width']
    y: Float[np.ndarray, 'height 1']

    @staticmethod
    def around(image: Picture, points: list[Point], margin: float) -> '_Window':
        low = np.floor(np.min(points, axis=0) - margin).astype(int)
        high = np.ceil(np.max(points, axis=0) + margin).astype(int) + 1
        left, top = np.clip(low, 0, [image.shape[1], image.shape[0]])
        right, bottom = np.clip(high, 0, [image.shape[1], image.shape[0]])
        return _Window(
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
class _Cone:
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


def _limb(
    image: Picture,
    start: Point,
    end: Point,
    start_radius: float,
    end_radius: float,
    size: float,
    color: Color,
) -> None:
    """Draw one bar; radii are in units of the animal's size."""
    # never thinner than a pixel: thinner parts would flicker as they move
    bar = _Cone(start, end, max(start_radius * size, 0.5), max(end_radius * size, 0.5))
    window = _Window.around(image, [start, end], max(bar.start_radius, bar.end_radius) + 1)
    distance = bar.distance(window.x, window.y)
    lit = 0.86 + 0.2 * np.clip(-distance / bar.start_radius, 0, 1)
    lit_color = np.asarray(color, np.float32) * lit[..., None]
    window.blend(image, lit_color, np.clip(0.5 - distance, 0, 1))


def _draw_tail(image: Picture, joints: list[Point], size: float) -> None:
    radii = np.maximum(np.linspace(0.042, 0.014, TAIL_POINTS) * size, 0.5)
    window = _Window.around(image, joints, radii[0] + 1)
    distance = np.min(
        [
            _Cone(joints[i], joints[i + 1], radii[i], radii[i + 1]).distance(window.x, window.y)
            for i in range(TAIL_POINTS - 1)
        ],
        axis=0,
    )
    lit = 0.82 + 0.25 * np.clip(-distance / radii[0], 0, 1)
    lit_color = np.asarray(TAIL, np.float32) * lit[..., None]
    window.blend(image, lit_color, np.clip(0.5 - distance, 0, 1))


def _disc(image: Picture, center: Point, radius: float, color: Color, cover: float = 1.0) -> None:
    window = _Window.around(image, [center], radius + 1)
    x, y = center.astype(np.float32)
    distance = np.hypot(window.x - x, window.y - y) - radius
    window.blend(image, color, cover * np.clip(0.5 - distance, 0, 1))


def _trunk(points: Mapping[str, Point], size: float, groom: float) -> list[_Cone]:
    """Build the furry parts, rump to snout."""
    plump = 1 + 0.12 * groom
    joints = ['hip', 'body', 'chest', 'head', 'nose']
    radii = [0.165 * plump, 0.175 * plump, 0.135, 0.105, 0.03]
    bars = [
        _Cone(points[start], points[end], size * start_radius, size * end_radius)
        for start, end, start_radius, end_radius in zip(
            joints[:-1], joints[1:], radii[:-1], radii[1:], strict=True
        )
    ]
    root = _Cone(points['hip'], points['tail_0'], 0.15 * size, 0.045 * size)
    return [root, *bars]


def _trunk_distance(trunk: list[_Cone], x: np.ndarray, y: np.ndarray, size: float) -> Plane:
    """Join the bars with a fillet that hides their joints."""
    fillet = np.float32(0.05 * size)
    distance = trunk[0].distance(x, y)
    for bar in trunk[1:]:
        other = bar.distance(x, y)
        overlap = np.clip(fillet - np.abs(distance - other), 0, None)
        distance = np.minimum(distance, other) - overlap * overlap / (4 * fillet)
    return distance


def _trunk_window(image: Picture, trunk: list[_Cone], margin: float) -> _Window:
    return _Window.around(image, [bar.start for bar in trunk] + [trunk[-1].end], margin)


def _cast_shadow(image: Picture, trunk: list[_Cone], size: float) -> None:
    """Darken the floor beside the body, away from the light."""
    window = _trunk_window(image, trunk, 0.4 * size)
    shift = 0.10 * size * LIGHT
    distance = _trunk_distance(trunk, window.x + shift[0], window.y + shift[1], size)
    cover = np.clip(0.5 - distance / (0.14 * size), 0, 1)
    window.blend(image, (0.12, 0.10, 0.09), 0.6 * cover)


def _draw_fur(
    image: Picture, trunk: list[_Cone], points: Mapping[str, Point], size: float, look: Look
) -> None:
    """Draw the trunk as a lit, rounded body with fur that moves with it."""
    window = _trunk_window(image, trunk, 0.26 * size)
    distance = _trunk_distance(trunk, window.x, window.y, size)
    depth = np.clip(-distance / (0.15 * size), 0, 1)
    height = np.sqrt(1 - (1 - depth) ** 2)
    slope_y, slope_x = np.gradient(height * (0.12 * size))
    # slopes that rise away from the light face it
    light = 0.72 + 0.35 * height - 0.22 * (slope_x * LIGHT[0] + slope_y * LIGHT[1])
    axis = (points['chest'] - points['hip']).astype(np.float32)
    axis /= np.linalg.norm(axis) + 1e-6
    dx, dy = window.x - np.float32(points['body'][0]), window.y - np.float32(points['body'][1])
    ahead, aside = dx * axis[0] + dy * axis[1], dy * axis[0] - dx * axis[1]
    strands = _look_up(look.fur_texture, ahead / size * 60, aside / size * 140)
    stripe = np.exp(-((aside / (0.05 * size)) ** 2))
    light = light * (1 + 0.09 * strands - 0.16 * stripe * (ahead < 0.28 * size))
    color = np.asarray(look.fur, np.float32) * light[..., None]
    window.blend(image, color, np.clip(0.5 - distance, 0, 1))


def _look_up(texture: Plane, row: Plane, column: Plane) -> Plane:
    """Read a repeating texture, interpolating between its pixels."""
    height, width = texture.shape
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    down, right = row - top, column - left
    upper = (1 - right) * texture[top % height, left % width]
    upper += right * texture[top % height, (left + 1) % width]
    lower = (1 - right) * texture[(top + 1) % height, left % width]
    lower += right * texture[(top + 1) % height, (left + 1) % width]
    return (1 - down) * upper + down * lower


def _draw_face(image: Picture, points: Mapping[str, Point], size: float, look: Look) -> None:
    """Draw ears, eyes, whiskers and nose."""
    for side in SIDES:
        ear = points[f'ear_{side}']
        _disc(image, ear, 0.082 * size, _shade(look.fur, 0.62))
        _disc(image, ear, 0.058 * size, _shade(SKIN, 0.92))
        eye = points[f'eye_{side}']
        _disc(image, eye, 0.026 * size, EYE)
        _disc(image, eye + 0.008 * size * LIGHT, max(0.008 * size, 0.3), (0.9, 0.9, 0.9), 0.8)
    ahead = points['nose'] - points['head']
    ahead = ahead / (np.linalg.norm(ahead) + 1e-6)
    aside = np.array([ahead[1], -ahead[0]])
    root = points['nose'] - 0.045 * size * ahead
    for sign in SIDES.values():
        for lean in (-0.5, 0.05, 0.6):
            tip = root + 0.14 * size * (sign * aside + lean * ahead)
            whisker = _Cone(root + 0.025 * size * sign * aside, tip, 0.35, 0.1)
            window = _Window.around(image, [whisker.start, whisker.end], 1.5)
            cover = 0.45 * np.clip(0.5 - whisker.distance(window.x, window.y), 0, 1)
            window.blend(image, (0.95, 0.93, 0.9), cover)
    _disc(image, points['nose'], max(NOSE_RADIUS * size, 1.0), NOSE)


def _shade(color: Color, factor: float) -> Color:
    return (color[0] * factor, color[1] * factor, color[2] * factor)


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
        weight * _smooth_noise(side, scale * side, rng)
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
        chip = _Cone(
            start,
            start + length * np.array([np.cos(angle), np.sin(angle)]),
            0.0035 * side,
            0.0035 * side,
        )
        window = _Window.around(image, [chip.start, chip.end], 3)
        cover = np.clip(0.5 - chip.distance(window.x, window.y), 0, 1)
        tone = rng.uniform(0.72, 1.18)
        window.blend(image, _shade((0.76, 0.68, 0.55), tone), 0.7 * cover)


def _place_dish(image: Picture) -> None:
    """Put a steel food dish into a corner."""
    side = image.shape[0]
    center = np.array([0.80, 0.205]) * side
    _disc(image, center + 0.012 * side, 0.085 * side, (0.2, 0.18, 0.16), 0.35)
    _disc(image, center, 0.082 * side, (0.70, 0.73, 0.77))
    _disc(image, center, 0.066 * side, (0.47, 0.50, 0.55))
    _disc(image, center + 0.006 * side, 0.058 * side, (0.56, 0.59, 0.63))
    for angle in np.arange(5) * 2 * np.pi / 5:
        pellet = center + 0.03 * side * np.array([np.cos(angle), np.sin(angle)])
        _disc(image, pellet, 0.014 * side, (0.45, 0.33, 0.20))


def _place_nest(image: Picture, rng: np.random.Generator) -> None:
    """Put a pile of white nesting strips into the opposite corner."""
    side = image.shape[0]
    center = np.array([0.19, 0.80]) * side
    _disc(image, center + 0.01 * side, 0.075 * side, (0.3, 0.27, 0.24), 0.3)
    for _ in range(26):
        start, end = (center + rng.uniform(-0.07, 0.07, 2) * side for _ in range(2))
        strip = _Cone(start, end, 0.009 * side, 0.009 * side)
        window = _Window.around(image, [start, end], 0.02 * side + 1)
        cover = np.clip(0.5 - strip.distance(window.x, window.y), 0, 1)
        window.blend(image, _shade((0.95, 0.93, 0.88), rng.uniform(0.82, 1.0)), cover)


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


def _smooth_noise(side: int, scale: float, rng: np.random.Generator) -> Plane:
    """Draw noise of unit variance, with structure of about `scale` pixels, that tiles."""
    down, right = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    spectrum = np.exp(-2 * (np.pi * scale) ** 2 * (down**2 + right**2))
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * spectrum, (side, side))
    noise -= noise.mean()
    return (noise / (noise.std() + 1e-9)).astype(np.float32)
