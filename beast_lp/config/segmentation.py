"""Schema of the action segmentation stage, one class per group of settings.

Defaults are those of Wang, Yu et al., ICLR 2026 (arXiv 2507.09513) and of the authors' package
where they say anything.
"""

from dataclasses import dataclass, field
from typing import Any, Optional

from beast_lp.config.checks import check_choice, check_positive, check_range, check_seed
from beast_lp.errors import BeastError

# omegaconf's structured configs read these annotations, and it knows `Optional`, not `X | None`
# on every Python that the host supports.
# ruff: noqa: UP045

_SECTION = 'beast.segmentation'


@dataclass
class SegmentationSplitConfig:
    """What is held out, to be scored on."""

    by: str = 'video'
    # a folder, a file or a list of them; null: a share of the videos, drawn by the seed
    test_videos: Any = None
    test_fraction: float = 0.25
    block_frames: int = 150
    test_every: int = 4
    gap_frames: int = 15
    folds: int = 4

    def __post_init__(self) -> None:
        path = f'{_SECTION}.split'
        check_choice(f'{path}.by', self.by, ('video', 'block', 'folds', 'none'))
        check_positive(f'{path}.test_fraction', self.test_fraction)
        check_range(f'{path}.test_fraction', self.test_fraction, 0, 0.9)
        check_range(f'{path}.block_frames', self.block_frames, 1)
        check_range(f'{path}.test_every', self.test_every, 2)
        check_range(f'{path}.gap_frames', self.gap_frames, 0)
        check_range(f'{path}.folds', self.folds, 2)
        if self.test_videos and self.by != 'video':
            raise BeastError(
                f'{path}.test_videos is for {path}.by=video, found {path}.by={self.by}, which '
                f'would train on these videos; set {path}.by=video to hold them out, or '
                f'{path}.test_videos=null'
            )


@dataclass
class HeadConfig:
    """The network between features and classes."""

    pooled_size: int = 64
    heads: int = 8
    hidden_size: int = 64
    blocks: int = 4
    lags: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        path = f'{_SECTION}.head'
        for name in ('heads', 'hidden_size', 'blocks', 'lags'):
            check_range(f'{path}.{name}', getattr(self, name), 1)
        check_range(f'{path}.dropout', self.dropout, 0, 0.9)
        if self.pooled_size < 1 or self.pooled_size % self.heads:
            raise BeastError(
                f'{path}.pooled_size ({self.pooled_size}) must be a multiple of {path}.heads '
                f'({self.heads})'
            )


@dataclass
class FittingConfig:
    """How the network is trained."""

    epochs: int = 200
    batch_size: int = 8
    sequence_frames: int = 1000
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    loss: str = 'cross_entropy'
    focal_gamma: float = 2.0
    class_weights: str = 'balanced'
    sampling: str = 'sequential'
    time_stretch: float = 0.0
    unfreeze_layers: int = 0
    unfrozen_rate: float = 0.1
    ensemble: int = 1
    checkpoint_minutes: float = 2.0

    def __post_init__(self) -> None:
        path = f'{_SECTION}.fitting'
        for name in ('epochs', 'batch_size', 'sequence_frames', 'ensemble'):
            check_range(f'{path}.{name}', getattr(self, name), 1)
        for name in ('learning_rate', 'focal_gamma', 'unfrozen_rate', 'checkpoint_minutes'):
            check_positive(f'{path}.{name}', getattr(self, name))
        check_range(f'{path}.weight_decay', self.weight_decay, 0)
        check_range(f'{path}.unfreeze_layers', self.unfreeze_layers, 0)
        check_range(f'{path}.time_stretch', self.time_stretch, 0, 0.9)
        check_choice(f'{path}.loss', self.loss, ('cross_entropy', 'focal'))
        check_choice(f'{path}.class_weights', self.class_weights, ('balanced', 'none'))
        check_choice(f'{path}.sampling', self.sampling, ('sequential', 'balanced'))


@dataclass
class DecodingConfig:
    """From probabilities to labels."""

    method: str = 'none'
    stay: float = 0.95
    min_bout_frames: int = 1

    def __post_init__(self) -> None:
        path = f'{_SECTION}.decoding'
        check_choice(f'{path}.method', self.method, ('none', 'viterbi'))
        check_range(f'{path}.stay', self.stay, 0.01, 0.9999)
        check_range(f'{path}.min_bout_frames', self.min_bout_frames, 1)


@dataclass
class SegmentationConfig:
    """The `beast.segmentation` section."""

    # a folder of <video_stem>.csv files (or .tsv), or one BORIS table, of the videos that it names
    labels: str = 'behavior'
    label_format: str = 'auto'
    classes: Optional[list[str]] = None
    ignore: list[str] = field(default_factory=list)
    background: str = 'unscored'
    subject: Optional[str] = None
    # a folder, a file or a list of them; null: the config's data.video_dir
    videos: Any = None
    # any source that `litpose embed` takes; null: model.backbone_checkpoint
    source: Optional[str] = None
    features: str = 'patches'
    # output directory of `litpose embed`, in place of source
    features_dir: Optional[str] = None
    # folder of <video_stem>.csv predictions, for features: keypoints
    keypoints_dir: Optional[str] = None
    # patches along the longer side that are stored per frame; null: all
    patch_grid: Optional[int] = 7
    # leading principal components of a patch that are stored; null: all channels
    patch_dim: Optional[int] = None
    split: SegmentationSplitConfig = field(default_factory=SegmentationSplitConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    fitting: FittingConfig = field(default_factory=FittingConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice(f'{_SECTION}.label_format', self.label_format, ('auto', 'one_hot', 'boris'))
        check_choice(f'{_SECTION}.background', self.background, ('unscored', 'class'))
        check_choice(f'{_SECTION}.features', self.features, ('patches', 'cls', 'keypoints'))
        check_seed(f'{_SECTION}.seed', self.seed)
        for name in ('patch_grid', 'patch_dim'):
            if getattr(self, name) is not None:
                check_range(f'{_SECTION}.{name}', getattr(self, name), 1)
        if self.features == 'keypoints' and self.keypoints_dir is None:
            raise BeastError(
                f'{_SECTION}.features=keypoints needs {_SECTION}.keypoints_dir, the folder of '
                'prediction files <video_stem>.csv'
            )
        if self.fitting.unfreeze_layers and (
            self.features != 'patches' or self.features_dir or self.patch_dim
        ):
            raise BeastError(
                f'{_SECTION}.fitting.unfreeze_layers trains layers of a ViT, so it needs '
                f'{_SECTION}.features=patches and neither {_SECTION}.features_dir nor '
                f'{_SECTION}.patch_dim'
            )
