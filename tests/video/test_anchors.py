"""Anchor strategies, against slow loops."""

from dataclasses import fields

import numpy as np
import pytest

from beast_lp.config import AnchorConfig
from beast_lp.config.setting import declaration
from beast_lp.video import thumbnails
from beast_lp.video.anchors import (
    STRATEGIES,
    pick_farthest,
    pick_spaced,
)

pytestmark = pytest.mark.usefixtures('one_thread')

PIXELS = 32 * 32


def test_the_strategies_are_the_choices_of_the_schema() -> None:
    (field,) = (field for field in fields(AnchorConfig) if field.name == 'strategy')
    choices = declaration(field).choices
    assert choices is not None
    assert list(STRATEGIES) == list(choices)


def test_pick_spaced_equals_a_loop() -> None:
    random = np.random.default_rng(0)
    for spacing in (1, 3, 10):
        candidates = np.sort(random.choice(400, 250, replace=False))
        labels = random.integers(0, 40, 250)
        distances = random.random(250).astype(np.float32)
        taken: list[int] = []
        sizes = {label: int((labels == label).sum()) for label in range(40)}
        for label in sorted(sizes, key=lambda label: (sizes[label], label)):
            members = sorted(
                (at for at in range(250) if labels[at] == label), key=lambda at: distances[at]
            )
            for at in members:
                if all(abs(candidates[at] - candidates[other]) >= spacing for other in taken):
                    taken.append(at)
                    break
        assert pick_spaced(candidates, labels, distances, spacing).tolist() == sorted(taken)


@pytest.mark.parametrize('spacing', [1, 4])
def test_pick_farthest_equals_a_loop(monkeypatch: pytest.MonkeyPatch, spacing: int) -> None:
    random = np.random.default_rng(0)
    monkeypatch.setattr(thumbnails, 'CHUNK', 70)
    points = random.normal(size=(300, 5)).astype(np.float32)
    candidates = np.sort(random.choice(600, len(points), replace=False))
    found = pick_farthest(points, candidates, 12, spacing, seed=7)
    for start in found:
        taken = [int(start)]
        while len(taken) < 12:
            distances = [
                min(float(np.linalg.norm(point - points[other])) for other in taken)
                if all(abs(candidates[at] - candidates[other]) >= spacing for other in taken)
                else -1.0
                for at, point in enumerate(points)
            ]
            taken.append(int(np.argmax(distances)))
        if sorted(taken) == found.tolist():
            break
    else:
        pytest.fail('no first point leads to the points found')
    assert pick_farthest(points, candidates, 12, spacing, seed=7).tolist() == found.tolist()
    assert pick_farthest(points, candidates, 12, spacing, seed=8).tolist() != found.tolist()


def test_pick_farthest_stops_at_copies_and_at_the_spacing() -> None:
    points = np.array([[0], [0], [5], [9], [9]], np.float32)
    every = pick_farthest(points, np.arange(5), 5, 1, seed=0)
    assert sorted(points[every, 0]) == [0, 5, 9]
    for seed in range(5):
        apart = pick_farthest(points, np.arange(5), 5, 4, seed)
        assert len(apart) == (2 if set(apart) <= {0, 4} else 1)
