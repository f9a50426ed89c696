"""Movement of the animal: bouts of behaviour, and the path that follows from them.

Adding a new behaviour: append its name to `BEHAVIORS`, its number to the constants below and to
`_deal`, and give `_Walker` a method that returns its speeds.

Lengths are shares of the image side, angles are radians, times are frames. The y axis points down,
as in images, so a positive angular velocity is a turn to the animal's right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

BEHAVIORS: tuple[str, ...] = ('background', 'still', 'walk', 'turn', 'groom')
STILL, WALK, TURN, GROOM = 1, 2, 3, 4

COVARIATES: tuple[str, ...] = (
    'speed',
    'turn',
    'x',
    'y',
    'heading_cos',
    'heading_sin',
    'groom',
    'groom_stroke',
)

# half the side of the square, around the middle of the image, that the body's centre stays in:
# small enough to keep every part of the largest animal in the picture
ROAM = 0.25
WALK_SPEED = (0.010, 0.018)
TURN_SPEED = (np.deg2rad(5.0), np.deg2rad(9.0))
GROOM_FREQUENCY = 2 * np.pi / 8
# share of the gap to the target that each frame closes: a change of behaviour takes 3-5 frames
SPEED_RESPONSE, TURN_RESPONSE, GROOM_RESPONSE = 0.4, 0.4, 0.3


@dataclass(frozen=True)
class Movement:
    """Movement of one animal in one video; the first axis is the frame.

    Attributes:
        behavior: index into `BEHAVIORS`.
        center: middle of the body, x and y.
        heading: direction of the body.
        speed: length of the step from the frame before.
        angular_velocity: change of the heading since the frame before.
        head_yaw: angle of the head to the body.
        groom: 0 (paws on the floor) to 1 (paws at the face).
        groom_phase: phase of the paws' grooming stroke.
    """

    behavior: Int[np.ndarray, ' frames']
    center: Float[np.ndarray, 'frames 2']
    heading: Float[np.ndarray, ' frames']
    speed: Float[np.ndarray, ' frames']
    angular_velocity: Float[np.ndarray, ' frames']
    head_yaw: Float[np.ndarray, ' frames']
    groom: Float[np.ndarray, ' frames']
    groom_phase: Float[np.ndarray, ' frames']

    def covariates(self) -> Float[np.ndarray, 'frames covariates']:
        """Stack the variables that drive the simulated neurons, in the order of `COVARIATES`."""
        return np.stack(
            [
                self.speed,
                self.angular_velocity,
                self.center[:, 0],
                self.center[:, 1],
                np.cos(self.heading),
                np.sin(self.heading),
                self.groom,
                self.groom * np.sin(self.groom_phase),
            ],
            axis=1,
        )


def simulate_movement(frames: int, rng: np.random.Generator) -> Movement:
    """Simulate the movement of one animal.

    Behaviours follow each other as in a semi-Markov chain with uniform dwell times of 10 to 50
    frames (turns at most 25, and shorter ones in a short video). They are dealt from shuffled
    decks that hold each behaviour once, so that every video of 60 frames or more shows all.

    Args:
        frames: frames to simulate.
        rng: source of all randomness.
    """
    animal = _Walker(rng)
    longest = int(np.clip(frames // 6, 12, 50))
    while len(animal.trace) < frames:
        for behavior in _deal(animal, rng):
            dwell = int(rng.integers(10, longest + 1))
            animal.act(behavior, min(dwell, 25) if behavior == TURN else dwell)
    columns = [np.array(column) for column in zip(*animal.trace[:frames], strict=True)]
    behavior, center, heading, groom, groom_phase = columns
    # velocities follow the path that the camera sees, which the walls may cut short
    steps = np.diff(center, axis=0, prepend=center[:1])
    return Movement(
        behavior=behavior,
        center=center,
        heading=heading,
        speed=np.hypot(steps[:, 0], steps[:, 1]),
        angular_velocity=np.diff(heading, prepend=heading[:1]),
        head_yaw=_slow_noise(frames, 12, rng) * np.deg2rad(9.0),
        groom=groom,
        groom_phase=groom_phase,
    )


class _Walker:
    """The state of the animal, and the frames simulated so far."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.center = rng.uniform(0.5 - ROAM / 2, 0.5 + ROAM / 2, 2)
        self.heading = float(rng.uniform(-np.pi, np.pi))
        self.speed = 0.0
        self.omega = 0.0
        self.groom = 0.0
        self.groom_phase = float(rng.uniform(0, 2 * np.pi))
        self.trace: list[tuple[int, np.ndarray, float, float, float]] = []

    def act(self, behavior: int, dwell: int) -> None:
        """Perform one behaviour for a number of frames."""
        intend = {WALK: self._walk, TURN: self._turn}.get(behavior, self._stay)(dwell)
        for _ in range(dwell):
            speed, omega = intend()
            self._step(speed, omega, groom=float(behavior == GROOM))
            self.trace.append(
                (behavior, self.center.copy(), self.heading, self.groom, self.groom_phase)
            )

    def free_way(self, heading: float) -> float:
        """Return the distance to the wall along a heading."""
        direction = np.array([np.cos(heading), np.sin(heading)])
        wall = 0.5 + ROAM * np.sign(direction)
        return float(np.min((wall - self.center) / (direction + 1e-9 * np.sign(direction))))

    def _step(self, speed: float, omega: float, groom: float) -> None:
        self.speed += SPEED_RESPONSE * (speed - self.speed)
        self.omega += TURN_RESPONSE * (omega - self.omega)
        self.groom += GROOM_RESPONSE * (groom - self.groom)
        self.groom_phase += GROOM_FREQUENCY * self.rng.uniform(0.85, 1.15)
        self.heading += self.omega
        ahead = self.speed * np.array([np.cos(self.heading), np.sin(self.heading)])
        self.center = np.clip(self.center + ahead, 0.5 - ROAM, 0.5 + ROAM)

    def _stay(self, dwell: int) -> Callable[[], tuple[float, float]]:
        return lambda: (0.0, 0.0)

    def _turn(self, dwell: int) -> Callable[[], tuple[float, float]]:
        """Turn on the spot; of four random turns, take the one that leaves most room ahead."""
        choices = self.rng.choice([-1, 1], 4) * self.rng.uniform(*TURN_SPEED, size=4)
        omega = max(choices, key=lambda choice: self.free_way(self.heading + choice * dwell))
        return lambda: (0.0, float(omega))

    def _walk(self, dwell: int) -> Callable[[], tuple[float, float]]:
        """Walk from waypoint to waypoint in smooth curves."""
        cruise = self.rng.uniform(*WALK_SPEED)
        waypoint = self._waypoint()

        def intend() -> tuple[float, float]:
            nonlocal waypoint
            away = waypoint - self.center
            if np.hypot(*away) < 0.05:
                waypoint = self._waypoint()
            angle = _wrap(np.arctan2(away[1], away[0]) - self.heading)
            # slower in sharp curves, so that the path stays close to the waypoints
            speed = cruise * (0.6 + 0.4 * np.cos(angle))
            return speed, float(np.clip(0.15 * angle, -0.09, 0.09))

        return intend

    def _waypoint(self) -> np.ndarray:
        """Choose a distant place, preferably ahead."""
        places = self.rng.uniform(0.5 - ROAM, 0.5 + ROAM, (12, 2))
        away = places - self.center
        angle = np.arctan2(away[:, 1], away[:, 0]) - self.heading
        appeal = np.hypot(away[:, 0], away[:, 1]) * (1.2 + np.cos(angle))
        return places[int(np.argmax(appeal))]


def _deal(animal: _Walker, rng: np.random.Generator) -> list[int]:
    """Shuffle the behaviours; none comes twice in a row, and no walk leads into a wall."""
    deck = [STILL, WALK, TURN, GROOM]
    rng.shuffle(deck)
    last = animal.trace[-1][0] if animal.trace else None
    if deck[0] == last:
        deck = deck[1:] + deck[:1]
    faces_wall = animal.free_way(animal.heading) < 0.12
    walk, turn = deck.index(WALK), deck.index(TURN)
    if faces_wall and walk < turn and not (walk == 0 and last == TURN):
        deck[walk], deck[turn] = TURN, WALK
    return deck


def _slow_noise(
    frames: int, scale: float, rng: np.random.Generator
) -> Float[np.ndarray, ' frames']:
    """Draw smooth noise of unit variance with a correlation time of about `scale` frames."""
    reach = np.arange(-int(3 * scale), int(3 * scale) + 1)
    kernel = np.exp(-0.5 * (reach / scale) ** 2)
    kernel /= np.sqrt(np.sum(kernel**2))
    return np.convolve(rng.standard_normal(frames + len(reach) - 1), kernel, mode='valid')


def _wrap(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
