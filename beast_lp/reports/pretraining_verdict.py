"""What came out of a pretraining run, in sentences, from its table of epochs.

Adding a new finding: write a function from the table to a `Finding`, or None where the run cannot
tell, and enter it in `_FINDINGS`; what to do next looks at all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from beast_lp.pretraining.floors import FLOORS, MARGIN
from beast_lp.reports.style import three_digits

# optimiser steps from random weights after which frozen features were far better than those of
# random weights, on mirror_mouse and fly_courtship
ENOUGH_STEPS = 4000


@dataclass(frozen=True)
class Finding:
    """A sentence about a run.

    Attributes:
        good: whether it speaks for the run; None where it says neither.
        text: the sentence.
    """

    good: bool | None
    text: str


def findings(metrics: pd.DataFrame) -> list[Finding]:
    """Return what a run shows, the most important first, and then what to do.

    Args:
        metrics: one row per epoch, with the columns of `metrics.csv`; any may be absent.
    """
    found = [finding for find in _FINDINGS if (finding := find(metrics)) is not None]
    return [*found, Finding(None, _advice(metrics, found))]


def last_values(metrics: pd.DataFrame, *columns: str) -> list[float] | None:
    """Return the last recorded values of columns, None where one of them was not recorded."""
    rows = metrics.reindex(columns=list(columns)).dropna()
    return None if rows.empty else [float(value) for value in rows.iloc[-1]]


def _explained(metrics: pd.DataFrame) -> Finding | None:
    """Compare the reconstruction with a constant picture."""
    last = last_values(metrics, 'val_background_explained')
    if last is None:
        return None
    share = f'{100 * last[0]:.0f} %'
    if last[0] <= 0:
        return Finding(
            False,
            'It has learned no more than the background: in hidden patches of held-out frames it '
            f"is no better than the video's median picture ({share} explained, where that "
            'picture has 0 % and a perfect reconstruction 100 %).',
        )
    return Finding(
        True,
        'It has learned more than the background: in hidden patches of held-out frames it '
        f"explains {share} of what differs from the video's median picture (which has 0 %; a "
        'perfect reconstruction has 100 %).',
    )


def _probe(metrics: pd.DataFrame) -> Finding | None:
    """Compare the frozen features with pixels and random weights."""
    last = last_values(metrics, 'probe_px')
    if last is None:
        return None
    error, names = last[0], ('pixels', 'random')
    floors = {
        name: values[0]
        for name in names
        if (values := last_values(metrics, f'probe_{name}_px')) is not None
    }
    text = f'Keypoints that are read from its frozen features miss your labels by {_px(error)}'
    if not floors:
        return Finding(None, f'{text}; there is nothing to compare it with.')
    news = {name: is_better(error, floor) for name, floor in floors.items()}
    words = {True: 'better', None: 'hardly better', False: 'no better'}
    parts = [
        f'{words[news[name]]} than from {FLOORS[name]} ({_px(floor)}{_less(error, floor)})'
        for name, floor in floors.items()
    ]
    text = f'{text}: {" and ".join(parts)}.'
    good = None if None in news.values() else True
    if None in news.values():
        text += f' Differences below {100 * MARGIN:.0f} % are within the noise of this measure.'
    return Finding(False if False in news.values() else good, text)


def is_better(error: float, floor: float) -> bool | None:
    """Return whether an error of the probe is below a floor; None where it is so by chance.

    Args:
        error: px.
        floor: px.

    Examples:
        >>> [is_better(error, 100.0) for error in (90.0, 97.0, 100.0)]
        [True, None, False]
    """
    if error < (1 - MARGIN) * floor:
        return True
    return None if error < floor else False


def _px(error: float) -> str:
    return f'{three_digits(error)} px'


def _less(error: float, floor: float) -> str:
    return f', {100 * (1 - error / floor):.0f} % less error' if error < floor else ''


def _advice(metrics: pd.DataFrame, found: list[Finding]) -> str:
    """Say what to do next."""
    if all(finding.good is not False for finding in found):
        return (
            'What to do: train a pose model with it. To see whether it helps, train two or more '
            'with different seeds, as many from random weights as the control '
            '(model.backbone_checkpoint=random), and give them to litpose compare.'
        )
    last = last_values(metrics, 'step')
    if last is not None and last[0] < ENOUGH_STEPS:
        return (
            f'What to do: train longer (beast.training.steps). This run had {last[0]:.0f} steps, '
            f'and in our measurements features were worth something after {ENOUGH_STEPS}; until '
            'then, expect no more of it than of random weights.'
        )
    return (
        'What to do: look at the pictures below. Where the animal is too small to be seen, crop '
        'the videos or take larger images (beast.model.image_size); otherwise more videos, more '
        'steps or a larger preset may help, and until then a pose model gains nothing from it.'
    )


_FINDINGS: tuple[Callable[[pd.DataFrame], Finding | None], ...] = (_explained, _probe)
