"""Features of behaviour, of which a config may name several."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from beast_lp.config import SegmentationConfig, parse_config
from beast_lp.errors import BeastError


def _parsed(features: Any, **more: Any) -> SegmentationConfig:
    return parse_config({'segmentation': {'features': features, **more}}).segmentation


def test_one_name_and_a_list_of_one_are_the_same() -> None:
    assert _parsed('cls') == _parsed(['cls'])
    assert _parsed('cls').kinds == ('cls',) == _parsed('cls').stored_kinds


def test_several_features_have_one_order() -> None:
    config = _parsed(['keypoints', 'patches'], keypoints_dir='kp')
    assert config == _parsed(['patches', 'keypoints'], keypoints_dir='kp')
    assert config.kinds == ('patches', 'keypoints') and config.stored_kinds == ('patches',)
    # as a run writes and reads its settings
    stored = OmegaConf.to_container(OmegaConf.structured(config))
    assert parse_config({'segmentation': stored}).segmentation == config


@pytest.mark.parametrize(
    ('features', 'words'),
    [
        ([], 'features is empty'),
        (None, 'must be one of patches, cls, keypoints or a list of them, found None'),
        ([None], r'or a list of them, found \[None\]'),
        ({'patches': True}, 'must be one of patches, cls, keypoints'),
        (3, "must be one of patches, cls, keypoints, found '3'"),
        ('patches,keypoints', 'must be one of patches, cls, keypoints'),
        (['patches', 'poses'], "found 'poses'; did you mean"),
        (['patches', ['cls']], 'must be one of patches, cls, keypoints'),
        (['cls', 'cls'], r'names one twice, found \[cls, cls\]'),
        (['patches', 'keypoints'], r'features=\[patches, keypoints\] needs .*keypoints_dir'),
        ('keypoints', r'features=keypoints needs .*keypoints_dir'),
    ],
)
def test_features_that_are_none_get_a_sentence(features: Any, words: str) -> None:
    with pytest.raises(BeastError, match=words):
        _parsed(features)


def test_features_that_are_there_cannot_be_cropped() -> None:
    with pytest.raises(BeastError, match=r'features_dir holds .*; leave out .*bbox_dir'):
        SegmentationConfig(features_dir='features', bbox_dir='boxes')
