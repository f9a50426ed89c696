"""The `beast:` section of a pose config: typed schema, defaults, presets and validation.

`configs/beast.yaml` documents the same keys for users; a test keeps the two equal. Below this
boundary nothing sees a dict.
"""

from beast_lp.config.encoding import EncodingConfig
from beast_lp.config.parse import BeastConfig, config_yaml, parse_config, parse_recorded
from beast_lp.config.presets import PRESETS
from beast_lp.config.pretraining import (
    AnchorConfig,
    AugmentationConfig,
    LossConfig,
    ModelConfig,
    PairConfig,
    ProbeConfig,
    TrainingConfig,
    WindowConfig,
)
from beast_lp.config.segmentation import SegmentationConfig

__all__ = [
    'PRESETS',
    'AnchorConfig',
    'AugmentationConfig',
    'BeastConfig',
    'EncodingConfig',
    'LossConfig',
    'ModelConfig',
    'PairConfig',
    'ProbeConfig',
    'SegmentationConfig',
    'TrainingConfig',
    'WindowConfig',
    'config_yaml',
    'parse_config',
    'parse_recorded',
]
