"""What the report says first."""

from typing import Any

import pandas as pd
import pytest

from beast_lp.reports.pretraining_verdict import findings


def _run(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({'epoch': [0, 1], 'step': [4500, 9000], **columns})


@pytest.mark.parametrize(
    ('share', 'good', 'words'),
    [
        (
            0.08,
            True,
            'more than the background: in hidden patches of held-out frames it explains 8 %',
        ),
        (0.0, False, 'no more than the background'),
        (-0.4, False, r'median picture \(-40 % explained'),
    ],
)
def test_what_is_beyond_a_constant_picture_comes_first(
    share: float,
    good: bool,
    words: str,
) -> None:
    first, *_ = findings(_run(val_background_explained=[-2.0, share]))
    assert first.good == good
    assert pd.Series([first.text]).str.contains(words).all()


@pytest.mark.parametrize(
    ('error', 'good', 'words'),
    [
        (
            20.0,
            True,
            '20 px: better than from 16 x 16 grey pixels (25 px, 20 % less error) and better '
            'than from random weights of the same architecture (40 px, 50 % less error)',
        ),
        (
            24.0,
            None,
            'hardly better than from 16 x 16 grey pixels (25 px, 4 % less error) and better',
        ),
        (30.0, False, 'no better than from 16 x 16 grey pixels (25 px) and better than'),
        (50.0, False, 'no better than from random weights of the same architecture (40 px)'),
    ],
)
def test_frozen_features_are_compared_with_what_needs_no_training(
    error: float,
    good: bool | None,
    words: str,
) -> None:
    # the probe is measured at some epochs alone
    metrics = _run(
        probe_px=[error, None], probe_pixels_px=[25.0, None], probe_random_px=[40.0, None]
    )
    first, advice = findings(metrics)
    assert first.good == good and words in first.text
    assert ('train a pose model' in advice.text) == (good is not False)


@pytest.mark.parametrize(
    ('step', 'words'),
    [(900, 'train longer (beast.training.steps). This run had 900 steps'), (9000, 'too small')],
)
def test_what_to_do_follows_from_the_steps(step: int, words: str) -> None:
    metrics = _run(val_background_explained=[-1.0, -0.5]).assign(step=[1, step])
    assert words in findings(metrics)[-1].text


def test_without_held_out_frames_and_labels_there_is_only_advice() -> None:
    (only,) = findings(_run(train_loss=[1.0, 0.5]))
    assert (
        only.good is None
        and 'random weights as the control (model.backbone_checkpoint=random)' in only.text
    )
