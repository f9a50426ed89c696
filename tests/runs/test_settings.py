"""Which setting changed, also where an older version wrote the settings of one run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from beast_lp.config import BeastConfig, SegmentationConfig, parse_config
from beast_lp.config.retired import RETIRED
from beast_lp.errors import BeastError
from beast_lp.runs.settings import difference, read_settings, run_difference, settings_yaml


def _pretraining(**section: Any) -> dict[str, Any]:
    return _container(beast=OmegaConf.structured(parse_config(section)))


def _encoding(**section: Any) -> dict[str, Any]:
    config = parse_config(section).encoding
    return _container(beast={'seed': 0, 'encoding': OmegaConf.structured(config)})


def _segmentation(**section: Any) -> dict[str, Any]:
    config = parse_config({'segmentation': section}).segmentation
    return _container(segmentation=OmegaConf.structured(config))


def _container(**settings: Any) -> dict[str, Any]:
    return OmegaConf.to_container(OmegaConf.create(settings))  # type: ignore[return-value]


def _without(settings: dict[str, Any], key: str) -> dict[str, Any]:
    left = OmegaConf.create(settings)
    group, _, name = key.rpartition('.')
    del OmegaConf.select(left, group)[name]
    return OmegaConf.to_container(left)  # type: ignore[return-value]


def _with(settings: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    more = OmegaConf.create(settings)
    OmegaConf.update(more, key, value, force_add=True)
    return OmegaConf.to_container(more)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ('write', 'key', 'change'),
    [
        (_pretraining, 'beast.pairs.offset_frames', {'pairs': {'offset_frames': 3}}),
        (_pretraining, 'beast.pairs', {'pairs': {'offset_frames': 3}}),
        (_pretraining, 'beast.anchors.per_video', {'anchors': {'per_video': 3}}),
        (_encoding, 'beast.encoding.lags', {'encoding': {'lags': 99}}),
        (_segmentation, 'segmentation.background', {'background': 'class'}),
    ],
)
def test_a_setting_that_an_older_version_lacks_had_its_default(
    write: Callable[..., dict[str, Any]],
    key: str,
    change: dict[str, Any],
) -> None:
    old = _without(write(), key)
    assert old != write()
    assert run_difference(old, write()) == ''
    # but another value makes another run
    assert (
        run_difference(old, write(**change))
        .removeprefix('beast.')
        .startswith(key.removeprefix('beast.'))
    )


def test_a_setting_that_nobody_knows_is_a_difference() -> None:
    old = _with(_pretraining(), 'beast.loss.margin', 2)
    assert run_difference(old, _pretraining()) == 'beast.loss.margin was 2 and is now None'
    # and what the schema does not know has no default
    assert run_difference(_pretraining(), old) == 'beast.loss.margin was None and is now 2'


@pytest.mark.parametrize(
    ('write', 'key', 'name'),
    [
        (_pretraining, 'beast.anchors.old', 'beast.anchors.old'),
        (_encoding, 'beast.encoding.old', 'beast.encoding.old'),
        (_segmentation, 'segmentation.fitting.old', 'beast.segmentation.fitting.old'),
    ],
)
def test_a_retired_setting_is_a_difference_only_with_another_value(
    write: Callable[..., dict[str, Any]],
    key: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RETIRED, name, 4)
    assert run_difference(_with(write(), key, 4), write()) == ''
    sentence = f'{name} was 5 and is now always 4'
    assert run_difference(_with(write(), key, 5), write()) == sentence
    assert run_difference(_with(write(), key, 5), write(), [name]) == ''


def test_the_value_in_place_of_a_retired_setting_may_depend_on_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RETIRED, 'beast.model.half', lambda c: c.model.hidden_size // 2)
    section = {'model': {'hidden_size': 192}}
    new = _pretraining(**section)
    assert run_difference(_with(new, 'beast.model.half', 96), new) == ''
    changed = run_difference(_with(new, 'beast.model.half', 384), new)
    assert changed == 'beast.model.half was 384 and is now always 96'


def test_groups_may_differ_but_not_what_only_begins_like_them() -> None:
    old, new = {'a': {'b': 1}, 'ab': 1}, {'a': {'b': 2}, 'ab': 2}
    assert difference(old, new, ['a']) == 'ab was 1 and is now 2'
    assert difference(old, new, ['a.b', 'ab']) == ''


def test_every_setting_of_the_schema_has_a_default() -> None:
    assert run_difference({}, _container(beast=OmegaConf.structured(BeastConfig))) == ''
    segmentation = _container(segmentation=OmegaConf.structured(SegmentationConfig))
    assert run_difference({}, segmentation) == ''


def test_settings_survive_the_file_and_damage_is_a_sentence(tmp_path: Path) -> None:
    file, settings = tmp_path / 'beast.yaml', {**_pretraining(), 'videos': ['a: b.mp4', 'é']}
    file.write_text(settings_yaml(settings), encoding='utf-8')
    assert read_settings(file) == settings
    for content, words in (
        (b'beast: [', 'is damaged'),
        (b'\xff\xfe\xff', 'is damaged'),
        (b'- 1', 'no settings'),
    ):
        file.write_bytes(content)
        with pytest.raises(BeastError, match=f'beast.yaml .*{words}.*; restore it'):
            read_settings(file)
