"""Declarations of settings, and the checks that they lead to."""

from dataclasses import dataclass
from typing import ClassVar, Optional

import pytest

from beast_lp.config.setting import Section, setting
from beast_lp.errors import BeastError

# ruff: noqa: UP045


@dataclass
class _Example(Section):
    path: ClassVar[str] = 'beast.example'

    mode: str = setting('fast', 'how', choices={'fast': 'quick', 'exact': 'slow'})
    share: Optional[float] = setting(None, 'of all', low=0, high=0.5)
    rates: list[float] = setting([0.1], 'tried in turn', positive=True, filled=True)


def test_defaults_are_not_shared() -> None:
    _Example().rates.append(0.2)
    assert _Example().rates == [0.1]


def test_what_lies_within_is_accepted() -> None:
    _Example(mode='exact', share=0, rates=[3, 4])
    _Example(share=0.5)


@pytest.mark.parametrize(
    ('values', 'sentence'),
    [
        ({'mode': 'exakt'}, "beast.example.mode must be one of fast, exact, .* mean 'exact'"),
        ({'share': 0.6}, 'beast.example.share must be between 0 and 0.5, found 0.6'),
        ({'share': float('nan')}, 'beast.example.share must be between'),
        ({'rates': [1, float('inf')]}, 'beast.example.rates must be a finite number, found inf'),
        ({'rates': []}, 'beast.example.rates is empty'),
        ({'rates': [1, 0]}, 'beast.example.rates must be greater than 0, found 0'),
    ],
)
def test_what_lies_outside_gets_a_sentence(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(BeastError, match=sentence):
        _Example(**values)  # pyright: ignore[reportArgumentType]
