"""Settings that older versions had."""

import pytest

from beast_lp.config import parse_config, parse_recorded
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


def test_a_recorded_setting_that_is_retired_may_have_had_any_value() -> None:
    """Nearly every run of an older version recorded a vertical flip of 0.5."""
    section = {'seed': 3, 'augmentation': {'flip_vertical': 0.5}, 'tune_epochs': 7}
    with pytest.raises(BeastError, match='flip_vertical is no longer a setting'):
        parse_config(section)
    assert parse_recorded(section) == parse_config({'seed': 3})
    # by default ViT-B, whose heads are 12
    assert parse_recorded({'model': {'num_heads': 12}}) == parse_config({})
    with pytest.raises(BeastError, match='num_heads .* uses 12, found 6'):
        parse_recorded({'model': {'num_heads': 6}})
    with pytest.raises(BeastError, match='unknown key beast.augmentation.flip_diagonal'):
        parse_recorded({'augmentation': {'flip_diagonal': 0.5}})


def test_a_group_has_the_retired_settings_that_had_one_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RETIRED, 'beast.example.size', 3)
    monkeypatch.setitem(RETIRED, 'beast.example.other', lambda config: config.seed)
    monkeypatch.setitem(RETIRED, 'beast.examples.size', 4)
    assert retired_group('beast.example') == {'size': 3}
