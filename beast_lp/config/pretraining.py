"""Schema of the pretraining stage, one class per group of settings.

Every default is the paper's or the authors' value (Wang, Yu et al., ICLR 2026, arXiv 2507.09513)
unless its help says otherwise.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Optional

from beast_lp.config.checks import check_range
from beast_lp.config.setting import Section, setting
from beast_lp.errors import BeastError

# omegaconf's structured configs read these annotations, and it knows `Optional`, not `X | None`
# on every Python that the host supports.
# ruff: noqa: UP045

# channels of an attention head, and width of the MLPs relative to the blocks, in ViT-S, B and L
# (Dosovitskiy et al. 2021) and in the decoder of ViT-MAE (He et al. 2022)
_HEAD_WIDTH, _DECODER_HEAD_WIDTH, _MLP_RATIO = 64, 32, 4


# parts in which a run of so many steps is validated, reported and saved
_MOST_PARTS = 50

# folds of the labelled frames that the probe reads from one another; fewer frames make them too
# small to measure anything
PROBE_FOLDS = 5
LEAST_FRAMES = 2 * PROBE_FOLDS

# px; larger images fit no memory
MOST_SIDE = 8192


@dataclass
class AnchorConfig(Section):
    """Settings that choose the anchor frames."""

    path: ClassVar[str] = 'beast.anchors'

    strategy: str = setting(
        'distinct',
        'how anchors are chosen',
        choices={
            'distinct': 'one frame of each visual cluster (authors)',
            'farthest': 'each frame as unlike those before it as can be (the words of the paper)',
            'random': 'at random',
            'uniform': 'evenly spaced',
        },
    )
    per_video: int = setting(
        500,
        'anchors per video, at most (paper: about 533); a video with fewer distinct frames gives '
        'fewer',
        low=1,
        high=1_000_000,
    )


@dataclass
class WindowConfig(Section):
    """Settings of the window store, which holds the frames t-k, t and t+k of each anchor t."""

    path: ClassVar[str] = 'beast.windows'

    longest_side: int = setting(
        256,
        'px; frames are stored no larger than this. Where it is left out, it is at least the '
        'longer side of model.image_size',
        low=16,
        high=8192,
    )
    processes: Optional[int] = setting(
        None,
        'videos prepared at once, one process each; null: one per CPU core, at most 8, fewer '
        'where the videos are small',
        low=1,
        high=1024,
    )
    bbox_dir: Optional[str] = setting(
        None,
        'a folder of <video_stem>_bbox.csv files, as `litpose motion_bbox` and `litpose '
        'create_bbox` write them and `litpose predict --bbox_dir` takes them: every frame is '
        'cropped to its box; `auto`: boxes as of motion_bbox, written to boxes/ in the output '
        'directory; null: whole frames. A relative path starts as that of init',
    )


@dataclass
class PairConfig(Section):
    """Settings that choose the positive of an anchor."""

    path: ClassVar[str] = 'beast.pairs'

    positive: str = setting(
        'adjacent',
        'the positive of an anchor t',
        choices={
            'adjacent': 't-k or t+k (paper)',
            'anywhere': 'another anchor of the same video (the VIC-MAE rule)',
        },
    )
    offset_frames: int = setting(1, 'k in frames (paper: 1)', low=1, high=1_000_000)
    offset_ms: Optional[float] = setting(
        None,
        "k in milliseconds, by each video's own frame rate; takes precedence over offset_frames. "
        'At 1000 Hz nothing moves in one frame',
        positive=True,
        high=1e7,
    )


@dataclass
class AugmentationConfig(Section):
    """Settings of the random geometry of training images, drawn on the device that trains."""

    path: ClassVar[str] = 'beast.augmentation'

    flip_horizontal: float = setting(
        0.5,
        'probability of mirroring left and right (authors: 0.5); 0 where left and right must '
        'differ',
        low=0,
        high=1,
    )
    crop_pad_probability: float = setting(
        0.4,
        'probability of moving each side of the image in or out by up to 15 % of its length '
        '(authors: 0.4)',
        low=0,
        high=1,
    )
    rotation: float = setting(
        0.0,
        "rotation by up to so many degrees either way (authors' `top-down` pipeline: 180)",
        low=0,
        high=180,
    )
    shared_geometry: bool = setting(
        False, 'true: an anchor and its positive get the same geometry (paper: drawn separately)'
    )


@dataclass
class ModelConfig(Section):
    """Sizes of the masked autoencoder. Defaults are ViT-B/16 with the decoder of ViT-MAE."""

    path: ClassVar[str] = 'beast.model'

    image_size: list[int] = setting(
        [224, 224],
        'px, [height, width] or one number; multiples of patch_size (paper: 224). Where neither '
        "you nor the preset give it (laptop does), it is the pose config's data.image_resize_dims",
    )
    patch_size: int = setting(
        16,
        'px; a pose model needs 16, or a size that divides 16, which it takes as patches of 16 px '
        'of an image that is larger by as much',
        low=1,
        high=256,
    )
    hidden_size: int = setting(
        768,
        'width of the encoder (paper: ViT-B): one attention head per 64 channels, and MLPs four '
        'times as wide, as in ViT-S, B and L',
        low=1,
        high=8192,
    )
    num_layers: int = setting(12, 'layers of the encoder', low=1, high=128)
    decoder_hidden_size: int = setting(
        512,
        'width of the decoder, which is thrown away after pretraining (paper: 512): one attention '
        'head per 32 channels, and MLPs four times as wide',
        low=1,
        high=8192,
    )
    decoder_num_layers: int = setting(8, 'layers of the decoder (paper: 8)', low=1, high=128)
    mask_ratio: float = setting(
        0.75, 'share of the patches that the encoder does not see (paper: 0.75)', low=0, high=0.95
    )

    def __post_init__(self) -> None:
        """Check how the sizes fit together.

        Raises:
            BeastError: if they do not.
        """
        super().__post_init__()
        if len(self.image_size) != 2:
            raise BeastError(
                'beast.model.image_size must be one number or [height, width], '
                f'found {list(self.image_size)}'
            )
        for side in self.image_size:
            if side <= 0 or side % self.patch_size:
                raise BeastError(
                    f'beast.model.image_size {list(self.image_size)} must be multiples of '
                    f'beast.model.patch_size ({self.patch_size})'
                )
            check_range('beast.model.image_size', side, low=1, high=MOST_SIDE)
        for name, head in (
            ('hidden_size', _HEAD_WIDTH),
            ('decoder_hidden_size', _DECODER_HEAD_WIDTH),
        ):
            width = getattr(self, name)
            if width % 4 or (width > head and width % head):
                raise BeastError(
                    f'beast.model.{name} must be a multiple of {head}, the width of an attention '
                    f'head (or, for a single head, a smaller multiple of 4), found {width}'
                )
        if self.num_visible == self.num_patches:
            raise BeastError(
                f'beast.model.mask_ratio {self.mask_ratio:g} hides none of the '
                f'{self.num_patches} patches; choose a larger ratio or image'
            )

    @property
    def num_heads(self) -> int:
        """Attention heads of the encoder."""
        return max(1, self.hidden_size // _HEAD_WIDTH)

    @property
    def mlp_size(self) -> int:
        """Width of the MLPs of the encoder."""
        return _MLP_RATIO * self.hidden_size

    @property
    def decoder_num_heads(self) -> int:
        """Attention heads of the decoder."""
        return max(1, self.decoder_hidden_size // _DECODER_HEAD_WIDTH)

    @property
    def decoder_mlp_size(self) -> int:
        """Width of the MLPs of the decoder."""
        return _MLP_RATIO * self.decoder_hidden_size

    @property
    def num_patches(self) -> int:
        """Number of patches of one image."""
        return math.prod(side // self.patch_size for side in self.image_size)

    @property
    def num_visible(self) -> int:
        """Number of patches of one image that the encoder sees in training, at least one."""
        return max(1, int(self.num_patches * (1 - self.mask_ratio)))


@dataclass
class LossConfig(Section):
    """Settings of L = reconstruction_weight * L_MSE + contrastive_weight * L_InfoNCE."""

    path: ClassVar[str] = 'beast.loss'

    reconstruction_weight: float = setting(
        1.0, "0 leaves the reconstruction out (the paper's ViT-C)", low=0, high=1e6
    )
    norm_pix_loss: bool = setting(
        False, 'compare with pixels normalised per patch (He et al. 2022; authors: off)'
    )
    contrastive_weight: float = setting(
        0.03,
        "lambda (authors: 0.03); 0 leaves the contrastive term out (the paper's ViT-M). It is "
        'tied to the temperature: at temperature 1 the contrastive term moves by about 1 nat only',
        low=0,
        high=1e6,
    )
    contrastive_form: str = setting(
        'symmetric',
        'queries of the contrastive term',
        choices={
            'symmetric': "every frame (NT-Xent, the authors' package)",
            'anchors': "the anchors alone (the paper's sum)",
        },
    )
    temperature: float = setting(
        1.0, 'divides the cosine similarities (authors: 1)', positive=True, high=1e6
    )
    learn_temperature: bool = setting(
        False, "train the temperature too, from the value above (the authors' `temp_scale`)"
    )
    gather_negatives: bool = setting(
        False, 'in several processes: contrast with the frames of all, not of the own rank alone'
    )
    projection_layers: int = setting(
        3,
        'linear layers of the projection on the CLS token, BatchNorm and ReLU between them '
        '(authors: 3)',
        low=1,
        high=64,
    )

    def __post_init__(self) -> None:
        """Check that something is learned.

        Raises:
            BeastError: if both terms are left out.
        """
        super().__post_init__()
        if self.reconstruction_weight == 0 and self.contrastive_weight == 0:
            raise BeastError(
                'beast.loss.reconstruction_weight and beast.loss.contrastive_weight are both 0, '
                'so nothing would be learned; set at least one above 0'
            )


@dataclass
class TrainingConfig(Section):
    """Settings of the optimiser, its schedule and the run."""

    path: ClassVar[str] = 'beast.training'

    epochs: int = setting(800, 'passes over all anchors (paper: 800)', low=1, high=1_000_000)
    steps: Optional[int] = setting(
        None,
        'steps of the optimiser, whatever the number of anchors; takes precedence over epochs. '
        'The run is then reported in up to 50 equal parts, which are called epochs too, and '
        'within which the anchors take turns. null: epochs counts',
        low=1,
        high=1_000_000_000,
    )
    batch_size: int = setting(
        128,
        'frames per device and step, half anchors and half positives (authors: 128)',
        low=4,
        high=1_000_000,
    )
    accumulate: int = setting(
        1,
        'batches whose gradients add up to one step; negatives come from one batch',
        low=1,
        high=1_000_000,
    )
    optimizer: str = setting(
        'adamw',
        'how steps follow from gradients',
        choices={
            'adamw': 'AdamW (authors)',
            'muon': 'Muon for the matrices of the blocks, AdamW for the rest: learns faster from '
            'random weights; torch 2.9',
        },
    )
    peak_learning_rate: float = setting(
        2.5e-5,
        'reached after 15 % of the steps, while a cosine ends at a tenth of it; for a step of '
        'batch_size frames, multiplied by the devices and accumulated batches (authors: 5e-5 for '
        '256 frames)',
        positive=True,
        high=1.0,
    )
    beta2: float = setting(
        0.999,
        "decay of AdamW's second moment (authors: 0.999; runs of few steps from random weights "
        'learn faster with 0.95, as in He et al. 2022)',
        low=0,
        high=0.9999,
    )
    weight_decay: float = setting(
        0.05,
        'decay of the weight matrices; biases, norms and tokens do not decay (authors: 0.05)',
        low=0,
        high=100,
    )
    precision: str = setting(
        'auto',
        'number format of the products',
        choices={
            'auto': 'bf16 where the hardware computes in it, else fp32',
            'fp32': 'exact',
            'bf16': 'fp32 weights, products in bf16',
            'medium': 'fp32 whose products may round their factors to bf16 '
            '(torch.set_float32_matmul_precision)',
        },
    )
    loader: str = setting(
        'auto',
        'decoder of the windows',
        choices={
            'auto': 'DALI on a GPU where a trial finds it right and no slower, else PyAV',
            'pyav': 'on the CPU',
            'dali': 'on the GPU',
        },
    )
    gradient_checkpointing: bool = setting(
        False,
        'recompute activations in the backward pass: a third more work, much less memory',
    )
    num_workers: Optional[int] = setting(
        None,
        'processes that read frames; null: one per two CPU cores, at most 8',
        low=0,
        high=1024,
    )
    validation_fraction: float = setting(
        0.1,
        'share of the anchors that is held out: whole videos where there are five or more, else '
        'one block in time of every video, with a gap to the training frames',
        low=0,
        high=0.5,
    )
    checkpoint_minutes: float = setting(
        5.0, 'minutes between two checkpoints, from which a killed run resumes', positive=True
    )

    def __post_init__(self) -> None:
        """Check that a batch holds pairs.

        Raises:
            BeastError: if its size is odd.
        """
        super().__post_init__()
        if self.batch_size % 2:
            raise BeastError(
                'beast.training.batch_size counts anchors and positives together, so it must be '
                f'even, found {self.batch_size}'
            )

    @property
    def steps_per_epoch(self) -> Optional[int]:
        """Steps of each part of a run whose length is given in steps; None where it is not."""
        return None if self.steps is None else math.ceil(self.steps / _MOST_PARTS)

    @property
    def num_epochs(self) -> int:
        """Epochs of the run: as set, or the parts of a run whose length is given in steps."""
        if self.steps is None or self.steps_per_epoch is None:
            return self.epochs
        return math.ceil(self.steps / self.steps_per_epoch)


@dataclass
class ProbeConfig(Section):
    """Settings of the linear read-out of labelled keypoints during pretraining."""

    path: ClassVar[str] = 'beast.probe'

    every_epochs: Optional[int] = setting(
        None,
        'epochs between two measurements, also before the first and after the last; null: about '
        'ten measurements where the project has 10 labelled frames or more; 0: none',
        low=0,
    )
