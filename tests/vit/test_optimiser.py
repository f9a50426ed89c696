"""The learning rate over the steps."""

import math

import pytest

from beast_lp.vit.optimiser import peak_learning_rate, schedule_factor


def test_the_learning_rate_scales_with_the_global_batch() -> None:
    assert peak_learning_rate(5e-5, 8 * 128) == pytest.approx(2e-4)


@pytest.mark.parametrize(
    ('total', 'warmup', 'floor'),
    [
        (1000, 0.15, 0.1),
        (7, 0.5, 0.0),
        (1, 0.15, 0.1),
        (10, 0.0, 0.1),
        (10, 1.0, 0.2),
    ],
)
def test_the_schedule_equals_a_slow_version(total: int, warmup: float, floor: float) -> None:
    rise = round(total * warmup)
    for step in range(total):
        if step < rise:
            wanted = floor + (1 - floor) * step / rise
        else:
            done = min(1.0, (step - rise) / max(1, total - 1 - rise))
            wanted = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
        assert schedule_factor(step, total, warmup, floor) == pytest.approx(wanted)


def test_the_schedule_starts_and_ends_at_the_floor_and_peaks_at_one() -> None:
    factors = [schedule_factor(step, 1000, 0.15, 0.1) for step in range(1000)]
    assert factors[0] == factors[-1] == pytest.approx(0.1)
    assert max(factors) == factors[150] == 1.0
