"""Numbers in words."""

import pytest

from beast_lp.runs.words import can_name_a_file, duration


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


@pytest.mark.parametrize('name', ['', ' ', '.', '..', 'a/b', 'a\\b', 'a\0', 'a\nb', 'caf\udce9'])
def test_a_name_that_no_file_or_table_can_have(name: str) -> None:
    assert not can_name_a_file(name)
    assert can_name_a_file('café 🐁 1')
