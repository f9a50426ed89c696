"""Positions of all parts of the animal, from which both the drawing and the labels follow.

Lengths are in pixels; (0, 0) is the centre of the top left pixel. Within the animal they are given
in units of its size, which is the distance from the nose to the base of the tail.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from beast_lp.demo.movement import Movement

# keypoint -> skeleton point; the left and right names are spelt so that the host can swap them
KEYPOINTS = {
    'nose': 'nose',
    'ear_left': 'ear_left',
    'ear_right': 'ear_right',
    'paw_left': 'front_paw_left',
    'paw_right': 'front_paw_right',
    'body': 'body',
    'tail_base': 'tail_0',
    'tail_mid': 'tail_3',
    'tail_tip': 'tail_6',
}
SIDES = {'left': 1.0, 'right': -1.0}
TAIL_POINTS = 7
TAIL_SEGMENT = 0.12
# half the side of the floor, as a share of the image side: the tail does not cross the walls
FLOOR = 0.455
# largest bend of the tail's joint with the body, and of its other joints, radians
TAIL_BEND = np.deg2rad((50.0, 35.0))
# swing of a paw; a stride is 2 pi times as long, so that a paw on the floor does not slide
SWING = 0.10

Points = Float[np.ndarray, 'frames 2']


@dataclass(frozen=True)
class Skeleton:
    """All points of one animal, each (frames, 2) in pixels (x, y), and its size in pixels."""

    points: dict[str, Points]
    size: float
    groom: Float[np.ndarray, ' frames']

    def keypoints(self) -> Float[np.ndarray, 'frames keypoints 2']:
        """Return the labelled points in the order of `KEYPOINTS`."""
        return np.stack([self.points[name] for name in KEYPOINTS.values()], axis=1)

    def at(self, frame: int) -> dict[str, Float[np.ndarray, ' 2']]:
        """Return the points of one frame."""
        return {name: values[frame] for name, values in self.points.items()}


def build_skeleton(movement: Movement, image_side: int, size: float) -> Skeleton:
    """Place all parts of an animal.

    Args:
        movement: movement of the animal.
        image_side: height and width of the image in pixels.
        size: distance from the nose to the base of the tail, as a share of the image side.

    Returns:
        The points of every frame.
    """
    scale = size * image_side
    center = movement.center * image_side - 0.5
    effort = np.clip(movement.speed / 0.012 + np.abs(movement.angular_velocity) / 0.12, 0, 1)
    # one stride per 2 pi SWING of the way; turning on the spot takes small steps too
    way = movement.speed / size + 0.35 * np.abs(movement.angular_velocity)
    gait = np.cumsum(way) / SWING
    # the spine bends into a turn, the head most of all
    bend = np.clip(2.2 * movement.angular_velocity, -0.45, 0.45)
    trunk = _Pose(movement.heading, movement.groom, effort, gait, movement.groom_phase)
    points = trunk.place(bend, movement.head_yaw)
    points = {name: center + scale * offset for name, offset in points.items()}
    floor = (image_side - 1) / 2 + np.array([-1, 1]) * FLOOR * image_side
    rear = movement.heading - bend + np.pi
    tail = _drag_tail(points['tail_0'], rear, TAIL_SEGMENT * scale, floor)
    points |= {f'tail_{joint}': tail[:, joint] for joint in range(TAIL_POINTS)}
    return Skeleton(points=points, size=scale, groom=movement.groom)


@dataclass(frozen=True)
class _Pose:
    """The posture, which determines the offsets of all parts from the body's centre."""

    heading: Float[np.ndarray, ' frames']
    groom: Float[np.ndarray, ' frames']
    effort: Float[np.ndarray, ' frames']
    gait: Float[np.ndarray, ' frames']
    groom_phase: Float[np.ndarray, ' frames']

    def place(
        self, bend: Float[np.ndarray, ' frames'], head_yaw: Float[np.ndarray, ' frames']
    ) -> dict[str, Points]:
        """Return the offsets of all parts but the tail, in units of the animal's size."""
        rear, front = self.heading - bend, self.heading + bend
        head = front + bend + head_yaw
        stroke = self.groom * np.sin(self.groom_phase)
        points: dict[str, Points] = {'body': np.zeros((len(self.heading), 2))}
        # a grooming animal sits: it is shorter, and its nose is down between the paws
        points['hip'] = _move(points['body'], rear, -0.25 + 0.05 * self.groom)
        points['tail_0'] = _move(points['hip'], rear, -0.19)
        points['chest'] = _move(points['body'], front, 0.16 - 0.03 * self.groom)
        points['head'] = _move(points['chest'], head, 0.18 - 0.04 * self.groom + 0.012 * stroke)
        points['nose'] = _move(points['head'], head, 0.20 - 0.03 * self.groom)
        for side, sign in SIDES.items():
            points[f'ear_{side}'] = _move(points['head'], head, -0.05, sign * 0.115)
            points[f'eye_{side}'] = _move(points['head'], head, 0.075, sign * 0.062)
            points[f'shoulder_{side}'] = _move(points['chest'], front, 0.0, sign * 0.08)
            points[f'thigh_{side}'] = _move(points['hip'], rear, 0.0, sign * 0.11)
            # trot: a front paw moves with the hind paw of the other side
            swing = SWING * self.effort * np.sin(self.gait + (0 if sign > 0 else np.pi))
            points[f'hind_paw_{side}'] = _move(points['hip'], rear, 0.06 - swing, sign * 0.225)
            points[f'hind_heel_{side}'] = _move(
                points[f'hind_paw_{side}'], rear, -0.09, -sign * 0.015
            )
            walking = _move(points['chest'], front, -0.015 + swing, sign * 0.205)
            washing = _move(
                points['nose'],
                head,
                0.02 + 0.075 * stroke,
                sign * (0.065 + 0.025 * np.cos(self.groom_phase)),
            )
            share = (self.groom**2 * (3 - 2 * self.groom))[:, None]
            points[f'front_paw_{side}'] = walking + share * (washing - walking)
        return points


def _move(
    start: Points,
    heading: Float[np.ndarray, ' frames'],
    ahead: float | Float[np.ndarray, ' frames'],
    left: float | Float[np.ndarray, ' frames'] = 0.0,
) -> Points:
    """Shift points ahead and to the animal's left; y points down, so left of +x is -y."""
    cos, sin = np.cos(heading), np.sin(heading)
    return start + np.stack([ahead * cos + left * sin, ahead * sin - left * cos], axis=1)


def _drag_tail(
    base: Points,
    rear: Float[np.ndarray, ' frames'],
    segment: float,
    floor: Float[np.ndarray, ' 2'],
) -> Float[np.ndarray, 'frames points 2']:
    """Pull a chain behind the body: each point stays at its distance from the one before it.

    Args:
        base: point that holds the chain, pixels.
        rear: direction of the body's rear end, radians.
        segment: distance between two points of the chain, pixels.
        floor: smallest and largest coordinate that a point may take, pixels.

    Returns:
        The points of the chain, the base first.
    """
    tail = []
    # before the first frame the tail lies straight behind
    points = list(base[0] + np.arange(TAIL_POINTS)[:, None] * segment * _unit(rear[0]))
    for hold, direction in zip(base, rear, strict=True):
        points[0] = hold
        before = direction
        for joint in range(1, TAIL_POINTS):
            away = points[joint] - points[joint - 1]
            limit = TAIL_BEND[0] if joint == 1 else TAIL_BEND[1]
            turn = (np.arctan2(away[1], away[0]) - before + np.pi) % (2 * np.pi) - np.pi
            before += np.clip(turn, -limit, limit)
            points[joint] = np.clip(points[joint - 1] + segment * _unit(before), *floor)
        tail.append(np.stack(points))
    return np.stack(tail)


def _unit(angle: float) -> Float[np.ndarray, ' 2']:
    return np.array([np.cos(angle), np.sin(angle)])
