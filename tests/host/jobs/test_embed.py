"""From the name of a source and videos to feature stores."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from beast_lp.config import parse_config
from beast_lp.errors import BeastError
from beast_lp.features.pca import FRAME_PCA_NAME
from beast_lp.features.settings import ExtractionSettings
from beast_lp.host.jobs.embed import embed
from beast_lp.runs.log_file import logged_warnings
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.save import encoder_to_transformers, save_backbone


def test_auto_boxes_are_those_that_can_be_given_again(
    tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    frames = []
    for ordinal in range(40):
        frame = np.full((120, 160, 3), 190, np.uint8)
        frame[ordinal : ordinal + 20, 3 * ordinal : 3 * ordinal + 20] = 30
        frames.append(frame)
    video = write_video('mouse.mp4', frames)
    sizes = {'image_size': 32, 'patch_size': 16, 'hidden_size': 32, 'num_layers': 1}
    torch.manual_seed(0)
    model = MaskedAutoencoder(parse_config({'model': sizes}).model, decoder=False)
    backbone = tmp_path / 'backbone'
    save_backbone(backbone, model.architecture, encoder_to_transformers(model))
    features = {}
    for name, boxes in (
        ('auto', Path('auto')),
        ('given', tmp_path / 'auto' / 'boxes'),
        ('whole', None),
    ):
        embed(str(backbone), [video], tmp_path / name, ExtractionSettings(bbox_dir=boxes))
        features[name] = np.load(tmp_path / name / 'mouse' / 'cls.npy')
    assert len(features['auto']) == len(frames)
    np.testing.assert_array_equal(features['auto'], features['given'])
    assert np.abs(features['auto'] - features['whole']).max() > 0.1


def test_a_run_keeps_a_log_of_what_it_left_out(
    tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3), np.uint8)
    good, bad = write_video('good.mp4', list(frames)), tmp_path / 'bad.mp4'
    embed('pca', [good], tmp_path / 'out', ExtractionSettings(), (32, 32), pca_components=2)
    assert logged_warnings(tmp_path / 'out' / 'train.log') == []
    bad.write_bytes(b'no video')
    fitted = str(tmp_path / 'out' / FRAME_PCA_NAME)
    with pytest.raises(BeastError, match='1 of 2 videos have no features'):
        embed(fitted, [good, bad], tmp_path / 'out', ExtractionSettings())
    (warning,) = logged_warnings(tmp_path / 'out' / 'train.log')
    assert 'bad.mp4' in warning and warning.endswith('(the other videos are read)')
