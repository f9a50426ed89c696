"""Declarations of settings, and the checks that they lead to."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Optional

import pytest

from beast_lp.config import BeastConfig, parse_config
from beast_lp.config.setting import Section, declaration, setting
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


def test_no_count_or_size_is_without_a_bound() -> None:
    """A count of 1e9 ends in a sentence, not in the machine's memory."""

    def unbounded(section: Section) -> list[str]:
        names = []
        for item in fields(section):
            value, declared = getattr(section, item.name), declaration(item)
            if isinstance(value, Section):
                names += unbounded(value)
            elif declared.low is not None and declared.high is None and 'int' in str(item.type):
                names.append(f'{section.path}.{item.name}')
        return names

    # what these count is never made: distances, and epochs between two events
    assert set(unbounded(BeastConfig())) == {
        'beast.probe.every_epochs',
        'beast.segmentation.decoding.min_bout_frames',
    }


@pytest.mark.parametrize(
    'section',
    [
        {'encoding': {'controls': {'shifts': 10**9}}},
        {'encoding': {'controls': {'permutations': 10**9}}},
        {'encoding': {'bin_ms': 1e-9}},
        {'model': {'image_size': 100_000}},
        {'model': {'image_size': [100_000, 16]}},
        {'windows': {'longest_side': 100_000}},
        {'segmentation': {'fitting': {'ensemble': 10**9}}},
    ],
)
def test_numbers_that_fit_no_machine_are_refused(section: dict[str, Any]) -> None:
    with pytest.raises(BeastError, match='must be between .* and .*, found'):
        parse_config(section)
