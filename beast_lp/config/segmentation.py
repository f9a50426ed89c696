"""Schema of the action segmentation stage, one class per group of settings.

Defaults come from Wang, Yu et al., ICLR 2026 (arXiv 2507.09513), or else from the authors'
package, where either gives one.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Optional

from beast_lp.config.setting import Section, group, setting
from beast_lp.errors import BeastError

# omegaconf's structured configs read these annotations, and it knows `Optional`, not `X | None`
# on every Python that the host supports.
# ruff: noqa: UP045

# each with its help, in the order in which they stand side by side
_FEATURES = {
    'patches': 'pooled by learned attention (paper)',
    'cls': 'one vector per frame',
    'keypoints': 'positions and velocities from prediction files',
}


@dataclass
class SegmentationSplitConfig(Section):
    """Settings that choose the held-out frames, on which models are scored."""

    path: ClassVar[str] = 'beast.segmentation.split'

    by: str = setting(
        'video',
        'what is held out, to be scored on',
        choices={
            'video': 'whole videos',
            'block': 'in each video, one in `folds` blocks of 150 frames',
            'folds': 'each video once, in as many trainings as `folds`',
            'none': 'nothing',
        },
    )
    test_videos: Any = setting(
        None,
        'by: video, the held-out ones: a folder, a file or a list of them; null: a share, drawn '
        'by the seed',
    )
    test_fraction: float = setting(
        0.25, 'share of the videos that is held out', positive=True, low=0, high=0.9
    )
    folds: int = setting(
        4,
        'groups of videos (by: folds), or blocks of which one is held out (by: block)',
        low=2,
        high=1000,
    )

    def __post_init__(self) -> None:
        """Check that the split holds out the test videos.

        Raises:
            BeastError: if it would train on them.
        """
        super().__post_init__()
        if self.test_videos and self.by != 'video':
            raise BeastError(
                f'{self.path}.test_videos is for {self.path}.by=video, found '
                f'{self.path}.by={self.by}, which would train on these videos; set '
                f'{self.path}.by=video to hold them out, or {self.path}.test_videos=null'
            )


@dataclass
class HeadConfig(Section):
    """Settings of the network between features and classes."""

    path: ClassVar[str] = 'beast.segmentation.head'

    hidden_size: int = setting(
        64, 'channels of the temporal network (paper: 32 to 64)', low=1, high=8192
    )
    blocks: int = setting(
        4,
        'blocks of two convolutions, each dilated twice as much as the one before '
        '(paper: 4 blocks x 2 lags or 2 x 4)',
        low=1,
        high=64,
    )
    lags: int = setting(
        2,
        'a kernel spans 2 * lags + 1 frames; 4 blocks x 2 lags see 60 frames either way, 2 x 4 '
        'see 24',
        low=1,
        high=1000,
    )
    linear: bool = setting(
        True,
        'average each network with logistic regression on seven frames of the same features, '
        'where that raises macro-F1 on the held-out fifth of the training frames (paper: false)',
    )


@dataclass
class FittingConfig(Section):
    """Settings of the optimiser and the length of training."""

    path: ClassVar[str] = 'beast.segmentation.fitting'

    epochs: Optional[int] = setting(
        None,
        'passes over the scored frames (authors: 200); null: as many as make 400 steps, at least '
        '10, and fewer where the loss on a fifth of the training frames, which a first model is '
        'trained without, was least earlier',
        low=1,
        high=1_000_000,
    )
    batch_size: int = setting(8, 'sequences per step (authors: 8)', low=1, high=100_000)
    sequence_frames: Optional[int] = setting(
        None,
        'frames of a sequence (authors: 1000); null: 200 to 1000, so that a pass over the scored '
        'frames has 10 steps where it can',
        low=1,
        high=10_000_000,
    )
    learning_rate: float = setting(
        1e-3, 'peak of AdamW, with a cosine to 0 (authors: 1e-4)', positive=True, high=10
    )
    ensemble: int = setting(
        3,
        'models from different seeds, whose probabilities are averaged, and whose scores are '
        'given with mean and standard deviation',
        low=1,
        high=1000,
    )
    checkpoint_minutes: float = setting(
        2.0, 'minutes between two checkpoints, from which a killed run resumes', positive=True
    )


@dataclass
class DecodingConfig(Section):
    """Settings of the decoder, which turns probabilities into labels."""

    path: ClassVar[str] = 'beast.segmentation.decoding'

    method: str = setting(
        'none',
        'how a class is chosen for each frame',
        choices={
            'none': 'the most probable class of each frame (multi_label: all above 0.5)',
            'viterbi': 'the most probable path, on which changes are rare: smoother '
            '(multi_label: of each behaviour)',
        },
    )
    min_bout_frames: int = setting(
        1,
        'frames; shorter bouts become part of a neighbour (multi_label: shorter bouts and gaps of '
        'each behaviour go)',
        low=1,
    )


@dataclass
class SegmentationConfig(Section):
    """The `beast.segmentation` section."""

    path: ClassVar[str] = 'beast.segmentation'

    labels: str = setting(
        'behavior',
        'a folder of <video_stem>.csv (or .tsv) files with a row per frame (DeepEthogram, daart, '
        'lightning-action), or one BORIS table of the videos that it names (tabular or aggregated '
        'events)',
    )
    classes: Optional[list[str]] = setting(
        None, 'the behaviours to tell apart; null: all that the label files name'
    )
    ignore: list[str] = setting([], 'behaviours whose frames count as not scored')
    background: str = setting(
        'unscored',
        'meaning of frames labelled background',
        choices={
            'unscored': 'nobody looked',
            'class': 'none of the behaviours; it is learned, and macro-F1 leaves it out',
        },
    )
    multi_label: bool = setting(
        False,
        'whether a frame may show several behaviours at once (groom while walking), or none; each '
        'is then told from its absence, and frames labelled background show none, whatever '
        '`background` says',
    )
    subject: Optional[str] = setting(
        None, 'the animal of a BORIS table whose events count; null: all'
    )
    videos: Any = setting(
        None, "a folder, a file or a list of them; null: the config's data.video_dir"
    )
    fps: Optional[float] = setting(
        None,
        'frames per second of the camera, where the video file names another rate (a recording at '
        '1000 Hz that plays at 25); null: the times in the file',
        positive=True,
        high=1_000_000,
    )
    camera_times: Optional[str] = setting(
        None,
        'seconds of every frame on the clock of the recording, which bouts and NWB then use: a '
        '.npy or .csv file, or for several videos a folder of <video_stem>.npy or .csv',
    )
    source: Optional[str] = setting(
        None,
        'where the features come from: all that `litpose embed` takes (a pretraining output, a '
        'weight file, a pose model, a backbone of the host such as resnet50, a frame_pca.npz that '
        'it wrote); null: model.backbone_checkpoint',
    )
    features: Any = setting(
        'patches',
        'features of a frame; a list of several, such as [patches, keypoints], puts them side by '
        'side',
        choices=_FEATURES,
        filled=True,
    )
    features_dir: Optional[str] = setting(
        None,
        'output directory of `litpose embed` (with --patches, for features: patches), whose '
        'stores are used in place of source and as they are: patch_grid does not change them',
    )
    bbox_dir: Optional[str] = setting(
        None,
        'folder of boxes, as `litpose motion_bbox` writes them, to which frames are cropped for '
        'source; null: whole frames',
    )
    keypoints_dir: Optional[str] = setting(
        None,
        'folder of <video_stem>.csv files as `litpose predict` writes them, for features: '
        'keypoints, alone or beside others. A frame that lacks one has no features; beside '
        'others, its place is taken from the frames before and after',
    )
    patch_grid: Optional[int] = setting(
        7,
        'patches along the longer side, averaged from more; null: all are stored',
        low=1,
        high=512,
    )
    split: SegmentationSplitConfig = group(
        SegmentationSplitConfig, 'what is held out, to be scored on'
    )
    head: HeadConfig = group(HeadConfig, 'the network between features and classes')
    fitting: FittingConfig = group(FittingConfig, 'the optimiser and the run')
    decoding: DecodingConfig = group(
        DecodingConfig,
        'from probabilities to labels; `predict` and `evaluate` take it from their own config, if '
        'it is there',
    )

    def __post_init__(self) -> None:
        """Check the features, that keypoints have a folder, and that there is one clock.

        Raises:
            BeastError: if features are named twice or not as a list, keypoints have no folder,
                boxes are given for features that are there, or there are two clocks.
        """
        super().__post_init__()
        self._put_features_in_order()
        if self.fps is not None and self.camera_times is not None:
            raise BeastError(
                f'{self.path}.fps and {self.path}.camera_times both say when a frame was taken; '
                'leave one of them out'
            )
        if self.features_dir is not None and self.bbox_dir is not None:
            raise BeastError(
                f'{self.path}.features_dir holds features that are there already, of crops or of '
                f'whole frames; leave out {self.path}.bbox_dir'
            )
        if 'keypoints' in self.kinds and self.keypoints_dir is None:
            raise BeastError(
                f'{self.path}.features={_spelt(self.kinds)} needs {self.path}.keypoints_dir, the '
                'folder of prediction files <video_stem>.csv'
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """Features of a frame, one or several side by side."""
        return tuple(self.features) if isinstance(self.features, list) else (self.features,)

    @property
    def stored_kinds(self) -> tuple[str, ...]:
        """Those of them that a feature store holds."""
        return tuple(kind for kind in self.kinds if kind != 'keypoints')

    def _put_features_in_order(self) -> None:
        """Write what means the same in the same way: one name by itself, several in one order."""
        if not all(isinstance(kind, str) for kind in self.kinds):
            raise BeastError(
                f'{self.path}.features must be one of {", ".join(_FEATURES)} or a list of them, '
                f'found {self.features!r}'
            )
        if len(set(self.kinds)) < len(self.kinds):
            raise BeastError(f'{self.path}.features names one twice, found {_spelt(self.kinds)}')
        kinds = sorted(self.kinds, key=list(_FEATURES).index)
        self.features = kinds if len(kinds) > 1 else kinds[0]


def _spelt(kinds: tuple[str, ...]) -> str:
    return kinds[0] if len(kinds) == 1 else f'[{", ".join(kinds)}]'
