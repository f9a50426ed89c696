"""What is computed in."""

import re

import pytest

from beast_lp.vit.precision import choose_precision


@pytest.mark.parametrize(
    ('setting', 'choices'),
    [
        ('fp32', {'32-true'}),
        ('medium', {'32-true'}),
        ('bf16', {'bf16-mixed'}),
        ('auto', {'32-true', 'bf16-mixed'}),
    ],
)
def test_the_precision_is_chosen_and_said(
    setting: str,
    choices: set[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level('INFO', 'lightning_pose'):
        assert choose_precision(setting) in choices
    assert re.search('computing in (bf16|fp32)', caplog.text)
