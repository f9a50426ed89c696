"""The documented list of all settings."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from beast_lp.config import BeastConfig, config_yaml
from beast_lp.config.document import document
from beast_lp.config.setting import Declaration, declaration

FILE = Path(__file__).parents[2] / 'configs' / 'beast.yaml'


def test_the_file_is_what_the_schema_says() -> None:
    # stale: python -m beast_lp.config.document > configs/beast.yaml
    assert FILE.read_text(encoding='utf-8') == document()


def test_the_file_holds_every_key_with_its_default() -> None:
    documented = OmegaConf.to_container(OmegaConf.create(document()))
    assert documented == OmegaConf.to_container(OmegaConf.create(config_yaml(BeastConfig())))


def test_no_line_is_too_long() -> None:
    assert max(map(len, document().splitlines())) <= 99


def test_every_setting_and_choice_has_help() -> None:
    for name, declared in _declarations(BeastConfig()):
        assert declared.help, name
        assert all((declared.choices or {'': ' '}).values()), name


def _declarations(section: Any) -> Iterator[tuple[str, Declaration]]:
    for item in fields(section):
        yield f'{section.path}.{item.name}', declaration(item)
        if is_dataclass(value := getattr(section, item.name)):
            yield from _declarations(value)
