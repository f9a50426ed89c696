"""The configs of the paper's variants."""

from pathlib import Path

import pytest

from beast_lp.config import BeastConfig, parse_config
from beast_lp.host.compose import compose_config

ROOT = Path(__file__).parents[2]

VARIANTS = {
    'beast': {},
    'vit_m': {'loss.contrastive_weight': 0.0},
    'vit_c': {'loss.reconstruction_weight': 0.0, 'loss.contrastive_weight': 1.0},
    'vic_mae': {'pairs.positive': 'anywhere'},
    'random_anchors': {'anchors.strategy': 'random'},
    'paper_loss': {'loss.contrastive_form': 'anchors'},
    'shared_geometry': {'augmentation.shared_geometry': True},
    'linear_projection': {'loss.projection_layers': 1},
    'learned_temperature': {'loss.learn_temperature': True},
    'strong_contrast': {'loss.contrastive_weight': 1.0},
    'norm_pix': {'loss.norm_pix_loss': True},
}


def test_every_variant_has_a_file() -> None:
    assert {path.stem for path in (ROOT / 'configs' / 'variants').glob('*')} == VARIANTS.keys()


@pytest.mark.parametrize('name', VARIANTS)
def test_a_variant_differs_from_the_default_in_what_it_says(name: str) -> None:
    path = ROOT / 'configs' / 'variants' / f'{name}.yaml'
    cfg = compose_config(path, ['data.video_dir=/videos'])
    assert cfg.data.video_dir == '/videos'
    wanted = BeastConfig()
    for key, value in VARIANTS[name].items():
        group, setting = key.split('.')
        assert hasattr(getattr(wanted, group), setting)
        setattr(getattr(wanted, group), setting, value)
    assert parse_config(cfg.beast) == wanted
    # and by one override each, from the default
    plain = compose_config(
        ROOT / 'configs' / 'variants' / 'beast.yaml',
        [f'beast.{key}={value}' for key, value in VARIANTS[name].items()],
    )
    assert parse_config(plain.beast) == wanted
