"""Refusals of single values."""

import pytest

from beast_lp.config.checks import check_choice, check_group, check_positive, check_range, nearest
from beast_lp.errors import BeastError


def test_what_was_probably_meant_is_named() -> None:
    assert nearest('epoch', ['batch_size', 'epochs']) == "; did you mean 'epochs'?"
    assert nearest('epoch', []) == ''


@pytest.mark.parametrize(
    ('low', 'high', 'limits'), [(1, float('inf'), 'at least 1'), (0.5, 2, 'between 0.5 and 2')]
)
def test_limits_belong_to_a_range(low: float, high: float, limits: str) -> None:
    check_range('beast.x', low, low, high)
    check_range('beast.x', min(high, 1e9), low, high)
    for value in (low - 0.1, float('nan')):
        with pytest.raises(BeastError, match=f'beast.x must be {limits}, found'):
            check_range('beast.x', value, low, high)


@pytest.mark.parametrize('value', [0, -1, float('nan')])
def test_what_must_be_positive_is_greater_than_zero(value: float) -> None:
    check_positive('beast.x', 1e-9)
    with pytest.raises(BeastError, match='beast.x must be greater than 0'):
        check_positive('beast.x', value)


def test_a_choice_is_one_of_those_that_there_are() -> None:
    check_choice('beast.x', 'a', ['a', 'b'])
    with pytest.raises(BeastError, match="beast.x must be one of left, right, found 'lift'; did"):
        check_choice('beast.x', 'lift', ['left', 'right'])


def test_a_group_is_a_mapping() -> None:
    check_group('beast.training', {})
    with pytest.raises(BeastError, match='found 3; write its settings below `training:`$'):
        check_group('beast.training', 3)
