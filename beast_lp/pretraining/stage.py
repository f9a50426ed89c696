"""The pretraining stage: videos in, a backbone out, resumable at any point."""

import logging
import math
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from beast_lp.config import BeastConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.pretraining.callbacks import (
    MetricsTable,
    ProgressBar,
    ShortRunWarning,
    Throughput,
)
from beast_lp.pretraining.checkpoints import AtomicCheckpoints, LastCheckpoint, StopSignals
from beast_lp.pretraining.distributed import check_launch, first_process_first, launched_rank
from beast_lp.pretraining.loaders import loader_workers, training_loader, worker_options
from beast_lp.pretraining.module import BeastModule
from beast_lp.pretraining.pairs import (
    PairLoader,
    PairSampler,
    WindowPairs,
    validation_pairs,
)
from beast_lp.pretraining.pictures import Snapshots
from beast_lp.pretraining.probe import Probe
from beast_lp.pretraining.split import split_windows
from beast_lp.pretraining.training_frames import check_same_windows, keep_identity
from beast_lp.pretraining.tune import TUNE_TABLE, chosen_weight, short_run, tune, with_weight
from beast_lp.runs.directory import RunDirectory
from beast_lp.runs.files import full_disk_sentence
from beast_lp.runs.settings import read_settings
from beast_lp.video.labelled import LabelledFrames
from beast_lp.video.source_video import SourceVideo, source_videos
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import WindowStore
from beast_lp.vit.load import load_encoder
from beast_lp.vit.precision import choose_precision, matmul_precision
from beast_lp.vit.save import encoder_to_transformers, save_backbone
from beast_lp.vit.weights import read_encoder

logger = logging.getLogger(f'lightning_pose.{__name__}')

# These change speed, not results, so a resumed run may change them. (The loaders differ by a few
# grey levels; a user whose loader fails must be able to switch.)
_WITHOUT_EFFECT = (
    'beast.windows.processes',
    'beast.training.num_workers',
    'beast.training.checkpoint_minutes',
    'beast.training.loader',
    'beast.probe.every_epochs',
    'beast.training.gradient_checkpointing',
)
# settings of the stages after pretraining
_OTHER_STAGES = ('beast.segmentation', 'beast.encoding')
# where the config looks for videos; the videos themselves are compared
_PLACES = ('beast.videos', 'beast.projects', 'beast.output_dir')
_LAUNCHER_VARIABLES = ('MASTER_ADDR', 'MASTER_PORT', 'NODE_RANK', 'LOCAL_RANK', 'WORLD_SIZE')


@dataclass(frozen=True)
class RunFiles(RunDirectory):
    """The directory of a pretraining run."""

    kind: ClassVar[str] = 'pretraining'
    use: ClassVar[str] = 'use it as model.backbone_checkpoint'
    result_name: ClassVar[str] = 'backbone'
    may_differ: ClassVar[tuple[str, ...]] = (*_WITHOUT_EFFECT, *_OTHER_STAGES, *_PLACES)

    @property
    def windows(self) -> Path:
        """The window store."""
        return self.directory / 'windows'

    @property
    def last(self) -> Path:
        """State that a killed run resumes from."""
        return self.directory / 'checkpoints' / 'last.ckpt'

    @property
    def tune(self) -> Path:
        """The short runs that chose the contrastive weight, where some were made."""
        return self.directory / 'tune'

    @property
    def snapshots(self) -> Path:
        """Reconstructions of the same frames over the epochs."""
        return self.directory / 'snapshots'

    @property
    def metrics(self) -> Path:
        """One row per epoch."""
        return self.directory / 'metrics.csv'

    @property
    def backbone(self) -> Path:
        """The result, in transformers' format; exists only once the run has finished."""
        return self.result


def run_pretraining(
    config: BeastConfig,
    videos: Sequence[Path | SourceVideo],
    output_dir: Path,
    num_devices: int = 1,
    callbacks: Sequence[Callback] = (),
    labels: LabelledFrames | None = None,
    tracker: Callable[[], Callback] | None = None,
) -> Path:
    """Pretrain a backbone on videos, or resume a run that was interrupted.

    Args:
        config: all settings.
        videos: video files, with their projects where several are trained on together.
        output_dir: folder of this run alone; a run that was interrupted there is resumed.
        num_devices: GPUs of every machine, or processes where there are none.
        callbacks: further Lightning callbacks.
        labels: labelled frames of the project, for the probe.
        tracker: builds a callback that writes about the run as soon as it is built; it is called
            in the first process alone, once the directory is known to be this run's.

    Returns:
        the directory of the finished backbone.

    Raises:
        BeastError: if the directory holds a finished run, one with other settings or one that is
            at work, no video can be used, the initial weights do not fit, training diverges, or
            the disk is full.
        Stopped: if a signal asked for it, once the state is saved.
    """
    files = RunFiles(output_dir)
    check_launch(num_devices, config.num_nodes)
    settings = run_settings(config, videos)
    if files.backbone.exists():
        # nothing is left to do but the report, which is for one process
        if launched_rank() > 0:
            sys.exit(0)
        files.check(settings)
        return files.backbone
    trackers: list[Callback] = []
    with ExitStack() as until_saved:
        with first_process_first() as first:
            if first:
                files.check(settings)
                _warn_of_small_clips(config)
            module = build_module(config, resume=files.last.exists())
            if first:
                until_saved.enter_context(files.claimed(settings))
                files.last.parent.mkdir(exist_ok=True)
                trackers += [tracker()] if tracker else []
                store = prepare_windows(
                    videos,
                    output_dir,
                    config.anchors,
                    config.windows,
                    config.seed,
                    offset_frames=config.pairs.offset_frames,
                    offset_ms=config.pairs.offset_ms,
                )
            else:
                store = WindowStore.open(files.windows)

        if config.tune:
            config = _tuned(config, files, store, num_devices, labels)
            module = build_module(config, resume=files.last.exists())
        warned = [ShortRunWarning()] if config.init == 'random' else []
        _fit(module, files, store, num_devices, [*warned, *trackers, *callbacks], labels)
        with full_disk_sentence(files.directory):
            save_backbone(
                files.backbone, module.model.architecture, encoder_to_transformers(module.model)
            )
    return files.backbone


def _warn_of_small_clips(config: BeastConfig) -> None:
    longest, image_size = config.windows.longest_side, config.model.image_size
    if longest < max(image_size):
        logger.warning(
            f'beast: beast.windows.longest_side is {longest}, so that frames are stored smaller '
            f'than the images of {image_size[0]} x {image_size[1]} px and enlarged again; leave '
            'it out to store them large enough'
        )


def _fit(
    module: BeastModule,
    files: RunFiles,
    store: WindowStore,
    num_devices: int,
    callbacks: Sequence[Callback],
    labels: LabelledFrames | None,
) -> None:
    """Train a module by its settings, from the start or from `last.ckpt`."""
    config = module.config
    check_same_windows(files.last, store)
    signals = StopSignals()
    probe = (
        config.probe.every_epochs
        and labels
        and Probe(
            labels,
            config.probe.every_epochs,
            module.model.architecture.image_size,
        )
    )
    trainer = build_trainer(
        config,
        files,
        num_devices,
        signals,
        probe or None,
        [
            Snapshots(files.snapshots, config, store),
            *callbacks,
        ],
    )
    train, validation = build_loaders(config, store, trainer)
    module.total_steps = math.ceil(len(train) / config.training.accumulate)
    module.total_steps *= config.training.epochs
    with (
        _separate_from_later_trainers(),
        matmul_precision(config.training.precision),
        warnings.catch_warnings(),
        signals,
        full_disk_sentence(files.directory),
    ):
        # few steps an epoch are normal here, the number of workers is a setting of ours, a folder
        # with checkpoints is one to resume from, and the last one is about Lightning itself
        warnings.filterwarnings('ignore', '.*does not have many workers.*')
        warnings.filterwarnings('ignore', '.*smaller than the logging interval.*')
        warnings.filterwarnings('ignore', '.*exists and is not empty.*')
        warnings.filterwarnings('ignore', '.*LeafSpec.* is deprecated.*')
        resume = str(files.last) if files.last.exists() else None
        keep_identity(files.last, store)
        trainer.fit(module, train, validation, ckpt_path=resume)

    if not trainer.is_global_zero:
        # Lightning started this process for the fit alone; rank 0 does the rest
        sys.exit(0)


def _tuned(
    config: BeastConfig,
    files: RunFiles,
    store: WindowStore,
    num_devices: int,
    labels: LabelledFrames | None,
) -> BeastConfig:
    """Return the settings with the contrastive weight that short runs chose."""
    by_slurm = SLURMEnvironment.detect() and int(os.environ.get('SLURM_NTASKS', 1)) > 1
    if torch.distributed.is_torchelastic_launched() or by_slurm:
        raise BeastError(
            'beast.tune makes one run after the other, which does not work in processes that '
            'torchrun or srun started; tune in one process, then set '
            'beast.loss.contrastive_weight'
        )

    def train(weight: float) -> pd.DataFrame:
        short = RunFiles(files.tune / f'weight_{weight:g}')
        short.last.parent.mkdir(parents=True, exist_ok=True)
        module = build_module(
            short_run(config, weight, labels is not None), resume=short.last.exists()
        )
        _fit(module, short, store, num_devices, (), labels)
        shutil.rmtree(short.last.parent)
        return pd.read_csv(short.metrics)

    files.tune.mkdir(exist_ok=True)
    chosen = tune(config.tune, files.tune / TUNE_TABLE, train)
    return with_weight(config, chosen)


@contextmanager
def _separate_from_later_trainers() -> Iterator[None]:
    """Undo the process-wide effects of a distributed fit, so that pose training can start its own.

    Lightning would take the variables that it set itself for those of an outside launcher.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name in _LAUNCHER_VARIABLES:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


def run_settings(
    config: BeastConfig,
    videos: Sequence[Path | SourceVideo],
) -> dict[str, Any]:
    """Return everything by which a run is known again."""
    sources = source_videos(videos)
    projects = [source.project for source in sources]
    return {
        'beast': OmegaConf.to_container(OmegaConf.structured(config)),
        'videos': [str(source.path) for source in sources],
        **({'projects': projects} if any(projects) else {}),
    }


def read_run_config(files: RunFiles) -> BeastConfig:
    """Return the settings of an existing run, with the contrastive weight that it chose."""
    settings = read_settings(files.settings)['beast']
    # an older version may have written settings of other stages that no longer exist
    own = {key: settings[key] for key in settings if f'beast.{key}' not in _OTHER_STAGES}
    config = parse_config(own)
    chosen = chosen_weight(files.tune / TUNE_TABLE)
    return config if chosen is None else with_weight(config, chosen)


def build_module(config: BeastConfig, resume: bool) -> BeastModule:
    """Build the module with its initial weights, from `config.init` or random by the seed.

    Args:
        config: all settings.
        resume: whether the weights will come from the run's own checkpoint.

    Raises:
        BeastError: if the initial weights cannot be read or do not fit.
    """
    seed_everything(config.seed, workers=True, verbose=False)
    module = BeastModule(config)
    if config.init != 'random' and not resume:
        load_encoder(module.model, read_encoder(config.init))
    return module


def build_trainer(
    config: BeastConfig,
    files: RunFiles,
    num_devices: int,
    signals: StopSignals,
    probe: Probe | None,
    callbacks: Sequence[Callback],
) -> Trainer:
    """Build the Lightning trainer of a run."""
    training = config.training
    has_validation = training.validation_fraction > 0
    best = ModelCheckpoint(
        files.last.parent,
        filename='best',
        monitor='val_loss',
        enable_version_counter=False,
        # the run itself resumes from the last weights
        save_weights_only=True,
        # at the end of the validation: at the end of the epoch, Lightning would save it after
        # `LastCheckpoint`, which would miss the epoch's score
        save_on_train_epoch_end=False,
    )
    throughput = Throughput()
    plugins: list[Any] = [AtomicCheckpoints()]
    if SLURMEnvironment.detect():
        # the user decides whether Slurm queues a job again, not Lightning
        plugins.append(SLURMEnvironment(auto_requeue=False))
    return Trainer(
        accelerator='gpu' if torch.cuda.is_available() else 'cpu',
        devices=num_devices,
        num_nodes=config.num_nodes,
        strategy='ddp' if num_devices * config.num_nodes > 1 else 'auto',
        precision=choose_precision(training.precision),
        max_epochs=training.epochs,
        plugins=plugins,
        # not the working directory, in which Lightning looks for Slurm's files
        default_root_dir=files.directory,
        logger=TensorBoardLogger(files.directory, name='', version='tb_logs'),
        callbacks=[
            ProgressBar(throughput),
            LearningRateMonitor('step'),
            *([probe] if probe else []),
            MetricsTable(files.metrics, throughput, probe.row if probe else dict),
            LastCheckpoint(files.last, training.checkpoint_minutes, signals),
            *([best] if has_validation else []),
            *callbacks,
            # last: the others wait for the GPU after a step, which is no waiting for data
            throughput,
        ],
        enable_checkpointing=has_validation,
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        accumulate_grad_batches=config.training.accumulate,
        enable_model_summary=False,
    )


def build_loaders(
    config: BeastConfig,
    store: WindowStore,
    trainer: Trainer,
) -> tuple[PairLoader, DataLoader | None]:
    """Build the training loader and, where anchors are held out, the validation loader."""
    training, size = config.training, (config.model.image_size[0], config.model.image_size[1])
    device = trainer.strategy.root_device
    if device.type == 'cuda':
        # Lightning does so when the fit starts, after DALI's trial on the current device
        torch.cuda.set_device(device)
    rows, held_out = split_windows(store.table, training.validation_fraction, config.seed)
    table = store.table.iloc[rows]
    sampler = PairSampler(
        rows,
        table['video_id'].to_numpy(),
        config.pairs.positive,
        config.seed,
        trainer.global_rank,
        trainer.world_size,
        table['project'].to_numpy(),
    )
    train = training_loader(config, store, sampler)
    logger.info(
        f'beast: {len(rows)} anchors for training, {len(held_out)} held out, '
        f'{len(train)} steps an epoch'
    )
    if len(held_out) == 0:
        return train, None
    # by PyAV on every machine, so that validation losses of machines can be compared
    validation = DataLoader(
        WindowPairs(store, size),
        batch_size=training.batch_size // 2,
        sampler=validation_pairs(held_out, config.seed),
        **worker_options(loader_workers(training.num_workers)),
    )
    return train, validation
