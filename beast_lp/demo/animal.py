"""Draw the animal. Colours are RGB in 0 to 1, lengths are pixels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from beast_lp.demo.shapes import (
    Color,
    Cone,
    Picture,
    Plane,
    Point,
    Window,
    draw_disc,
    shade,
    smooth_noise,
)
from beast_lp.demo.skeleton import SIDES, TAIL_POINTS, Skeleton

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
        fur_texture=smooth_noise(128, 1.2, rng) + 0.8 * smooth_noise(128, 5, rng),
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
    dark = shade(look.fur, 0.72)
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
        draw_disc(image, front, 0.05 * size, SKIN)
    _draw_tail(image, [points[f'tail_{joint}'] for joint in range(TAIL_POINTS)], size)
    _draw_fur(image, trunk, points, size, look)
    _draw_face(image, points, size, look)


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
    bar = Cone(start, end, max(start_radius * size, 0.5), max(end_radius * size, 0.5))
    window = Window.around(image, [start, end], max(bar.start_radius, bar.end_radius) + 1)
    distance = bar.distance(window.x, window.y)
    lit = 0.86 + 0.2 * np.clip(-distance / bar.start_radius, 0, 1)
    lit_color = np.asarray(color, np.float32) * lit[..., None]
    window.blend(image, lit_color, np.clip(0.5 - distance, 0, 1))


def _draw_tail(image: Picture, joints: list[Point], size: float) -> None:
    radii = np.maximum(np.linspace(0.042, 0.014, TAIL_POINTS) * size, 0.5)
    window = Window.around(image, joints, radii[0] + 1)
    distance = np.min(
        [
            Cone(joints[i], joints[i + 1], radii[i], radii[i + 1]).distance(window.x, window.y)
            for i in range(TAIL_POINTS - 1)
        ],
        axis=0,
    )
    lit = 0.82 + 0.25 * np.clip(-distance / radii[0], 0, 1)
    lit_color = np.asarray(TAIL, np.float32) * lit[..., None]
    window.blend(image, lit_color, np.clip(0.5 - distance, 0, 1))


def _trunk(points: Mapping[str, Point], size: float, groom: float) -> list[Cone]:
    """Build the furry parts, rump to snout."""
    plump = 1 + 0.12 * groom
    joints = ['hip', 'body', 'chest', 'head', 'nose']
    radii = [0.165 * plump, 0.175 * plump, 0.135, 0.105, 0.03]
    bars = [
        Cone(points[start], points[end], size * start_radius, size * end_radius)
        for start, end, start_radius, end_radius in zip(
            joints[:-1], joints[1:], radii[:-1], radii[1:], strict=True
        )
    ]
    root = Cone(points['hip'], points['tail_0'], 0.15 * size, 0.045 * size)
    return [root, *bars]


def _trunk_distance(trunk: list[Cone], x: np.ndarray, y: np.ndarray, size: float) -> Plane:
    """Join the bars with a fillet that hides their joints."""
    fillet = np.float32(0.05 * size)
    distance = trunk[0].distance(x, y)
    for bar in trunk[1:]:
        other = bar.distance(x, y)
        overlap = np.clip(fillet - np.abs(distance - other), 0, None)
        distance = np.minimum(distance, other) - overlap * overlap / (4 * fillet)
    return distance


def _trunk_window(image: Picture, trunk: list[Cone], margin: float) -> Window:
    return Window.around(image, [bar.start for bar in trunk] + [trunk[-1].end], margin)


def _cast_shadow(image: Picture, trunk: list[Cone], size: float) -> None:
    """Darken the floor beside the body, away from the light."""
    window = _trunk_window(image, trunk, 0.4 * size)
    shift = 0.10 * size * LIGHT
    distance = _trunk_distance(trunk, window.x + shift[0], window.y + shift[1], size)
    cover = np.clip(0.5 - distance / (0.14 * size), 0, 1)
    window.blend(image, (0.12, 0.10, 0.09), 0.6 * cover)


def _draw_fur(
    image: Picture, trunk: list[Cone], points: Mapping[str, Point], size: float, look: Look
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
        draw_disc(image, ear, 0.082 * size, shade(look.fur, 0.62))
        draw_disc(image, ear, 0.058 * size, shade(SKIN, 0.92))
        eye = points[f'eye_{side}']
        draw_disc(image, eye, 0.026 * size, EYE)
        draw_disc(image, eye + 0.008 * size * LIGHT, max(0.008 * size, 0.3), (0.9, 0.9, 0.9), 0.8)
    ahead = points['nose'] - points['head']
    ahead = ahead / (np.linalg.norm(ahead) + 1e-6)
    aside = np.array([ahead[1], -ahead[0]])
    root = points['nose'] - 0.045 * size * ahead
    for sign in SIDES.values():
        for lean in (-0.5, 0.05, 0.6):
            tip = root + 0.14 * size * (sign * aside + lean * ahead)
            whisker = Cone(root + 0.025 * size * sign * aside, tip, 0.35, 0.1)
            window = Window.around(image, [whisker.start, whisker.end], 1.5)
            cover = 0.45 * np.clip(0.5 - whisker.distance(window.x, window.y), 0, 1)
            window.blend(image, (0.95, 0.93, 0.9), cover)
    draw_disc(image, points['nose'], max(NOSE_RADIUS * size, 1.0), NOSE)
