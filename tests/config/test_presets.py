"""Sets of values under one name."""

import pytest

from beast_lp.config import PRESETS, parse_config
from beast_lp.config.presets import PRESET_HELP


@pytest.mark.parametrize('preset', PRESETS)
def test_every_preset_is_valid(preset: str) -> None:
    assert parse_config({'preset': preset}).preset == preset


def test_every_preset_has_its_line_of_help() -> None:
    assert PRESET_HELP.keys() == PRESETS.keys()
