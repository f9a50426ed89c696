"""In what two runs differ, also where an older version wrote the settings of one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from beast_lp.config import BeastConfig, SegmentationConfig, config_yaml, parse_config
from beast_lp.errors import BeastError
from beast_lp.runs.settings import check_same_run, difference


def _pretraining(**section: Any) -> str:
    return config_yaml(parse_config(section))


def _encoding(**section: Any) -> str:
    config = parse_config(section)
    return OmegaConf.to_yaml(
        OmegaConf.create(
            {
                'beast': {'seed': 0, 'encoding': OmegaConf.structured(config.encoding)},
            }
        )
    )


def _segmentation(**section: Any) -> str:
    config = parse_config({'segmentation': section}).segmentation
    return OmegaConf.to_yaml(OmegaConf.create({'segmentation': OmegaConf.structured(config)}))


def _without(text: str, key: str) -> str:
    settings = OmegaConf.create(text)
    group, _, name = key.rpartition('.')
    del OmegaConf.select(settings, group)[name]
    return OmegaConf.to_yaml(settings)


@pytest.mark.parametrize(
    ('write', 'key', 'change'),
    [
        (_pretraining, 'beast.pairs.exclude_within', {'pairs': {'exclude_within': 3}}),
        (_pretraining, 'beast.pairs', {'pairs': {'exclude_within': 3}}),
        (_pretraining, 'beast.anchors.total', {'anchors': {'total': 3}}),
        (_encoding, 'beast.encoding.lags', {'encoding': {'lags': 99}}),
        (_segmentation, 'segmentation.fitting.ensemble', {'fitting': {'ensemble': 3}}),
    ],
)
def test_a_setting_that_an_older_version_lacks_had_its_default(
    write: Callable[..., str],
    key: str,
    change: dict[str, Any],
) -> None:
    old = _without(write(), key)
    assert old != write()
    assert difference(old, write()) == ''
    # but another value makes another run
    assert difference(old, write(**change)).startswith(key)


def test_a_setting_that_is_gone_is_a_difference() -> None:
    old = OmegaConf.to_yaml(
        OmegaConf.merge(
            OmegaConf.create(_pretraining()),
            {'beast': {'loss': {'margin': 2}}},
        )
    )
    assert difference(old, _pretraining()) == 'beast.loss.margin was 2 and is now None'
    # and what the schema does not know has no default
    assert difference(_pretraining(), old) == 'beast.loss.margin was None and is now 2'


def test_an_unfinished_run_of_an_older_version_continues(tmp_path: Path) -> None:
    file = tmp_path / 'beast.yaml'
    file.write_text(_without(_pretraining(), 'beast.training.compile'))
    check_same_run('run', file, _pretraining())
    with pytest.raises(BeastError, match='beast.training.compile was False and is now True'):
        check_same_run('run', file, _pretraining(training={'compile': True}))


def test_every_setting_of_the_schema_has_a_default() -> None:
    assert difference('{}', config_yaml(BeastConfig())) == ''
    settings = {'segmentation': OmegaConf.structured(SegmentationConfig)}
    assert difference('{}', OmegaConf.to_yaml(OmegaConf.create(settings))) == ''
