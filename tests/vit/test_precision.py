"""Number format of products."""

import re

import pytest
import torch

from beast_lp.vit.precision import choose_precision, matmul_precision


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


@pytest.mark.parametrize('setting', ['medium', 'fp32', 'bf16'])
def test_the_products_are_as_before_after_the_block(setting: str) -> None:
    before = torch.get_float32_matmul_precision()
    with matmul_precision(setting):
        wanted = 'medium' if setting == 'medium' else 'highest'
        assert torch.get_float32_matmul_precision() == wanted
    assert torch.get_float32_matmul_precision() == before
