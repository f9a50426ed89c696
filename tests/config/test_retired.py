"""Settings that older versions had."""

import pytest

from beast_lp.config import parse_config
from beast_lp.config.retired import RETIRED, retired_group
from beast_lp.errors import BeastError


def test_a_retired_setting_is_accepted_with_the_value_in_use_and_refused_with_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RETIRED, 'beast.training.old', 3)
    monkeypatch.setitem(RETIRED, 'beast.gone.size', lambda config: 2 * config.model.patch_size)
    section = {'training': {'old': 3, 'epochs': 2}, 'gone': {'size': 32}}
    assert parse_config(section) == parse_config({'training': {'epochs': 2}})
    with pytest.raises(BeastError, match=r'beast.training.old is no longer .* 3, found 4'):
        parse_config({'training': {'old': 4}})
    with pytest.raises(BeastError, match=r'beast.gone.size .* uses 32, found 8'):
        parse_config({'gone': {'size': 8}})
    words = r'found 4; nor are beast.gone.size \(always 32, found 8\); leave them out, or use'
    with pytest.raises(BeastError, match=words):
        parse_config({'training': {'old': 4}, 'gone': {'size': 8}})
    with pytest.raises(BeastError, match=r'unknown key beast.gone'):
        parse_config({'gone': {'other': 8}})


def test_a_group_has_the_retired_settings_that_had_one_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RETIRED, 'beast.example.size', 3)
    monkeypatch.setitem(RETIRED, 'beast.example.other', lambda config: config.seed)
    monkeypatch.setitem(RETIRED, 'beast.examples.size', 4)
    assert retired_group('beast.example') == {'size': 3}
