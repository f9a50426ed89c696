"""Numbers in words."""

import pytest

from beast_lp.runs.words import duration


@pytest.mark.parametrize(
    ('seconds', 'words'),
    [
        (0, '0 s'),
        (99.4, '99 s'),
        (100, '2 min'),
        (59.4 * 60, '59 min'),
        (59.6 * 60, '1 h 00 min'),
        (100 * 3600, '100 h 00 min'),
    ],
)
def test_a_duration_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words
