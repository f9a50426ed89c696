"""Schema of the pretraining stage, one class per group of settings.

Every default is the paper's or the authors' value (Wang, Yu et al., ICLR 2026, arXiv 2507.09513)
unless its comment says otherwise.
"""

import math
from dataclasses import dataclass, field
from typing import Optional

from beast_lp.config.checks import check_choice, check_positive, check_range
from beast_lp.errors import BeastError

# omegaconf's structured configs read these annotations, and it knows `Optional`, not `X | None`
# on every Python that the host supports.
# ruff: noqa: UP045


@dataclass
class AnchorConfig:
    """Which frames become anchors."""

    strategy: str = 'distinct'
    # frames asked for per video; fewer come back where the video has fewer distinct ones. A round
    # number near the paper's, which is about 533
    per_video: int = 500
    # frames asked for over all videos, shared in proportion to their lengths, at least one each;
    # goes before per_video
    total: Optional[int] = None
    # keep frames whose motion energy is above this percentile; null is the authors' rule: 50, and
    # 75 from 100,000 frames on
    motion_percentile: Optional[float] = None
    # least distance of two anchors of a video, counted in steps of the windows' k; from 2 on no
    # anchor is another anchor's positive, and 3 keeps the windows (t-k, t, t+k) apart
    min_spacing: int = 3

    def __post_init__(self) -> None:
        check_choice(
            'beast.anchors.strategy', self.strategy, ('distinct', 'farthest', 'random', 'uniform')
        )
        check_range('beast.anchors.per_video', self.per_video, 1)
        if self.total is not None:
            check_range('beast.anchors.total', self.total, 1)
        check_range('beast.anchors.min_spacing', self.min_spacing, 1)
        if self.motion_percentile is not None:
            check_range('beast.anchors.motion_percentile', self.motion_percentile, 0, 99)


@dataclass
class WindowConfig:
    """How the windows (t-k, t, t+k) are cut out and stored."""

    codec: str = 'h264'
    # constant rate factor: 8 is visually lossless, 12 kB a frame on mirror_mouse
    crf: int = 8
    # px; a little above the 224 px that are used. Larger clips cost more to read and to keep than
    # the tightest crops (70 % of the image) gain from them.
    longest_side: int = 256
    # videos that are prepared at once, each in a process of its own; null: one per core of this
    # process, at most 8, fewer where the videos are small
    processes: Optional[int] = None
    # a folder of <video_stem>_bbox.csv files, as for `litpose predict --bbox_dir`
    bbox_dir: Optional[str] = None

    def __post_init__(self) -> None:
        check_choice('beast.windows.codec', self.codec, ('h264', 'vp9'))
        check_range('beast.windows.crf', self.crf, 0, 51)
        check_range('beast.windows.longest_side', self.longest_side, 16)
        if self.processes is not None:
            check_range('beast.windows.processes', self.processes, 1)


@dataclass
class PairConfig:
    """Which frame is an anchor's positive."""

    # adjacent: t-k or t+k (BEAST); anywhere: any other anchor of the video (the VIC-MAE rule)
    positive: str = 'adjacent'
    # k, in frames
    offset_frames: int = 1
    # k in milliseconds, by each video's own frame rate; goes before offset_frames
    offset_ms: Optional[float] = None
    # frames of one video this close are not each other's negatives; 0: all are
    exclude_within: int = 0

    def __post_init__(self) -> None:
        check_choice('beast.pairs.positive', self.positive, ('adjacent', 'anywhere'))
        check_range('beast.pairs.offset_frames', self.offset_frames, 1)
        if self.offset_ms is not None:
            check_positive('beast.pairs.offset_ms', self.offset_ms)
        check_range('beast.pairs.exclude_within', self.exclude_within, 0)


@dataclass
class AugmentationConfig:
    """Random geometry of the training images, drawn on the device that trains."""

    flip_horizontal: float = 0.5
    flip_vertical: float = 0.5
    crop_pad_probability: float = 0.4
    # each side moves in or out by up to this share of the image
    crop_pad_fraction: float = 0.15
    # degrees either way; the authors' `top-down` pipeline is 180
    rotation: float = 0.0
    # true draws one geometry for an anchor and its positive
    shared_geometry: bool = False

    def __post_init__(self) -> None:
        for name in ('flip_horizontal', 'flip_vertical', 'crop_pad_probability'):
            check_range(f'beast.augmentation.{name}', getattr(self, name), 0, 1)
        check_range('beast.augmentation.crop_pad_fraction', self.crop_pad_fraction, 0, 0.45)
        check_range('beast.augmentation.rotation', self.rotation, 0, 180)


@dataclass
class ModelConfig:
    """The masked autoencoder. Defaults are ViT-B/16 with the decoder of ViT-MAE."""

    # px, [height, width]; one number means a square
    image_size: list[int] = field(default_factory=lambda: [224, 224])
    patch_size: int = 16
    hidden_size: int = 768
    num_layers: int = 12
    num_heads: int = 12
    mlp_size: int = 3072
    decoder_hidden_size: int = 512
    decoder_num_layers: int = 8
    decoder_num_heads: int = 16
    decoder_mlp_size: int = 2048
    # share of the patches that is hidden from the encoder
    mask_ratio: float = 0.75

    def __post_init__(self) -> None:
        if len(self.image_size) != 2:
            raise BeastError(
                'beast.model.image_size must be one number or [height, width], '
                f'found {list(self.image_size)}'
            )
        for name in ('patch_size', 'mlp_size', 'decoder_mlp_size'):
            check_range(f'beast.model.{name}', getattr(self, name), 1)
        for side in self.image_size:
            if side <= 0 or side % self.patch_size:
                raise BeastError(
                    f'beast.model.image_size {list(self.image_size)} must be multiples of '
                    f'beast.model.patch_size ({self.patch_size})'
                )
        for prefix in ('', 'decoder_'):
            width = getattr(self, f'{prefix}hidden_size')
            heads = getattr(self, f'{prefix}num_heads')
            layers = getattr(self, f'{prefix}num_layers')
            check_range(f'beast.model.{prefix}num_layers', layers, 1)
            check_range(f'beast.model.{prefix}hidden_size', width, 1)
            if heads < 1 or width % heads or width % 4:
                raise BeastError(
                    f'beast.model.{prefix}hidden_size ({width}) must be a multiple of 4 and of '
                    f'beast.model.{prefix}num_heads ({heads})'
                )
        check_range('beast.model.mask_ratio', self.mask_ratio, 0.0, 0.95)
        if self.num_visible == self.num_patches:
            raise BeastError(
                f'beast.model.mask_ratio {self.mask_ratio:g} hides none of the '
                f'{self.num_patches} patches; choose a larger ratio or image'
            )

    @property
    def num_patches(self) -> int:
        """Patches of one image."""
        return math.prod(side // self.patch_size for side in self.image_size)

    @property
    def num_visible(self) -> int:
        """Patches of one image that the encoder sees in training, at least one."""
        return max(1, int(self.num_patches * (1 - self.mask_ratio)))


@dataclass
class LossConfig:
    """L = reconstruction_weight * L_MSE + contrastive_weight * L_InfoNCE."""

    # 0 leaves the reconstruction out (ViT-C)
    reconstruction_weight: float = 1.0
    # compare with pixels that are normalised per patch (He et al. 2022, section 4)
    norm_pix_loss: bool = False
    # lambda; 0 leaves the contrastive term out (ViT-M)
    contrastive_weight: float = 0.03
    # symmetric: every frame is a query (NT-Xent, the authors' package); anchors: the paper's sum
    contrastive_form: str = 'symmetric'
    # with unit-length projections lambda and the temperature are tied: change them together
    temperature: float = 1.0
    # train the temperature too, from the value above
    learn_temperature: bool = False
    # the frames of all processes are candidates, not those of the own process alone
    gather_negatives: bool = False
    # linear layers of the projection on the CLS token, BatchNorm and ReLU between them
    projection_layers: int = 3

    def __post_init__(self) -> None:
        check_range('beast.loss.reconstruction_weight', self.reconstruction_weight, 0)
        check_range('beast.loss.contrastive_weight', self.contrastive_weight, 0)
        if self.reconstruction_weight == 0 and self.contrastive_weight == 0:
            raise BeastError(
                'beast.loss.reconstruction_weight and beast.loss.contrastive_weight are both 0, '
                'so nothing would be learned; set at least one above 0'
            )
        check_choice(
            'beast.loss.contrastive_form', self.contrastive_form, ('symmetric', 'anchors')
        )
        check_positive('beast.loss.temperature', self.temperature)
        check_range('beast.loss.projection_layers', self.projection_layers, 1)


@dataclass
class TrainingConfig:
    """The optimiser, its schedule and the run."""

    epochs: int = 800
    # frames per device and step, half of them anchors and half positives
    batch_size: int = 128
    # batches whose gradients add up to one step
    accumulate: int = 1
    # keep: the last, smaller batch of an epoch is used; drop: it is left out
    last_batch: str = 'keep'
    # per 256 frames of a step over all devices: peak = learning_rate * frames a step / 256
    learning_rate: float = 5e-5
    weight_decay: float = 0.05
    # share of all steps
    warmup_fraction: float = 0.15
    # the schedule starts and ends at this share of the peak
    floor_fraction: float = 0.1
    # auto: bf16 where the hardware computes in it, fp32 elsewhere; medium: fp32 whose products
    # may round their factors to bf16 (torch.set_float32_matmul_precision)
    precision: str = 'auto'
    # auto: DALI on a machine with a CUDA device where a trial succeeds, else PyAV | pyav | dali,
    # which without a CUDA device decodes on the CPU and needs windows.codec vp9
    loader: str = 'auto'
    # torch.compile of the masked autoencoder
    compile: bool = False
    # recompute activations in the backward pass instead of keeping them
    gradient_checkpointing: bool = False
    # processes that read the window store; null: one per two cores of this process, at most 8
    num_workers: Optional[int] = None
    # share of the anchors that is held out
    validation_fraction: float = 0.1
    # videos: whole videos are held out; blocks: a contiguous block of each; auto: videos from five
    # on, else blocks
    validation: str = 'auto'
    # last.ckpt, which a killed run resumes from, is written every so many minutes
    checkpoint_minutes: float = 5.0
    # and after every so many epochs; null: by the clock alone
    checkpoint_epochs: Optional[int] = None

    def __post_init__(self) -> None:
        check_range('beast.training.epochs', self.epochs, 1)
        check_range('beast.training.batch_size', self.batch_size, 4)
        if self.batch_size % 2:
            raise BeastError(
                'beast.training.batch_size counts anchors and positives together, so it must be '
                f'even, found {self.batch_size}'
            )
        check_choice('beast.training.last_batch', self.last_batch, ('keep', 'drop'))
        check_choice('beast.training.loader', self.loader, ('auto', 'pyav', 'dali'))
        check_range('beast.training.accumulate', self.accumulate, 1)
        check_choice(
            'beast.training.precision', self.precision, ('auto', 'fp32', 'bf16', 'medium')
        )
        for name in ('learning_rate', 'checkpoint_minutes'):
            check_positive(f'beast.training.{name}', getattr(self, name))
        check_range('beast.training.weight_decay', self.weight_decay, 0)
        for name in ('warmup_fraction', 'floor_fraction'):
            check_range(f'beast.training.{name}', getattr(self, name), 0, 1)
        check_choice('beast.training.validation', self.validation, ('auto', 'videos', 'blocks'))
        check_range('beast.training.validation_fraction', self.validation_fraction, 0, 0.5)
        if self.num_workers is not None:
            check_range('beast.training.num_workers', self.num_workers, 0)
        if self.checkpoint_epochs is not None:
            check_range('beast.training.checkpoint_epochs', self.checkpoint_epochs, 1)


@dataclass
class ProbeConfig:
    """A linear read-out of the project's labelled keypoints during pretraining."""

    # the last epoch is always measured; null: no probe
    every_epochs: Optional[int] = None
    # patches: CLS and the patch tokens averaged over a coarse grid; cls: CLS alone
    features: str = 'patches'

    def __post_init__(self) -> None:
        if self.every_epochs is not None:
            check_range('beast.probe.every_epochs', self.every_epochs, 1)
        check_choice('beast.probe.features', self.features, ('patches', 'cls'))
