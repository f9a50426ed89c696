"""The fit: from a window store to a backbone, resumed from the last checkpoint.

`stage` imports this module once the videos are scanned: torch and Lightning take seconds.
"""

import logging
import math
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from beast_lp.config import BeastConfig, TrainingConfig
from beast_lp.errors import BeastError
from beast_lp.pretraining.backgrounds import read_backgrounds
from beast_lp.pretraining.best import BestCheckpoint
from beast_lp.pretraining.callbacks import (
    EpochLines,
    MetricsTable,
    ProgressBar,
    ShortRunWarning,
    Throughput,
)
from beast_lp.pretraining.checkpoints import (
    AtomicCheckpoints,
    LastCheckpoint,
    StopSignals,
    resuming,
)
from beast_lp.pretraining.launch import (
    launched_by_slurm,
    launched_by_torchrun,
    launched_processes,
)
from beast_lp.pretraining.loaders import (
    PipedReader,
    frame_reader,
    loader_workers,
    ranks,
    training_loader,
)
from beast_lp.pretraining.model_card import model_card
from beast_lp.pretraining.module import BeastModule
from beast_lp.pretraining.pairs import (
    PairLoader,
    PairSampler,
    WindowPairs,
    validation_pairs,
)
from beast_lp.pretraining.pictures import Snapshots, anchor_pictures
from beast_lp.pretraining.plan import announce_training
from beast_lp.pretraining.probing import Probe
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.split import split_windows
from beast_lp.pretraining.threads import suitable_threads
from beast_lp.pretraining.training_frames import check_same_windows, keep_identity
from beast_lp.pretraining.tune import (
    TUNE_TABLE,
    check_labels,
    short_run,
    tune,
    with_weight,
)
from beast_lp.runs.files import full_disk_sentence
from beast_lp.runs.progress import is_terminal
from beast_lp.video.batches import batch_bounds
from beast_lp.video.labelled import LabelledFrames
from beast_lp.video.window_store import WindowStore
from beast_lp.vit.load import load_encoder
from beast_lp.vit.precision import choose_precision, matmul_precision
from beast_lp.vit.save import encoder_to_transformers, save_backbone
from beast_lp.vit.weights import read_encoder

logger = logging.getLogger(f'lightning_pose.{__name__}')

_LAUNCHER_VARIABLES = ('MASTER_ADDR', 'MASTER_PORT', 'NODE_RANK', 'LOCAL_RANK', 'WORLD_SIZE')


def fit_backbone(
    config: BeastConfig,
    files: RunFiles,
    store: WindowStore,
    num_devices: int,
    callbacks: Sequence[Callback] = (),
    labels: LabelledFrames | None = None,
    module: BeastModule | None = None,
) -> None:
    """Train on the windows of a run, which this process has claimed, and save the backbone.

    Args:
        config: all settings.
        files: directory of the run; an interrupted fit in it is resumed.
        store: windows to train on.
        num_devices: GPUs of every machine, or processes where there are none.
        callbacks: further Lightning callbacks.
        labels: labelled frames of the project, for the probe.
        module: what `build_module` returned, if it was called already.

    Raises:
        BeastError: if the initial weights do not fit, training diverges, or the disk is full.
        Stopped: if a signal asked for it, once the state is saved.
    """
    if config.tune:
        config, module = _tuned(config, files, store, num_devices, labels), None
    module = module or build_module(config, resume=files.last.exists())
    warned = [ShortRunWarning()] if config.init == 'random' else []
    _fit(module, files, store, num_devices, [*warned, *callbacks], labels)
    with full_disk_sentence(files.directory):
        save_backbone(
            files.backbone,
            module.model.architecture,
            encoder_to_transformers(module.model),
            model_card(config, files),
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
    probe = None
    if labels and config.probe.every_epochs != 0:
        probe = Probe(labels, config, lambda: anchor_pictures(config, store))
    trainer = build_trainer(
        config,
        files,
        num_devices,
        signals,
        probe,
        callbacks,
        [Snapshots(files.snapshots, config, store)],
    )
    train, validation = build_loaders(config, store, trainer, module.model)
    module.backgrounds = read_backgrounds(config, store)
    module.total_steps = math.ceil(len(train) / config.training.accumulate)
    module.total_steps *= config.training.num_epochs
    with (
        _separate_from_later_trainers(),
        matmul_precision(config.training.precision),
        suitable_threads(config),
        warnings.catch_warnings(),
        signals,
        full_disk_sentence(files.directory),
    ):
        # few steps an epoch are normal here, the number of workers is a setting of ours, a folder
        # with checkpoints is one to resume from, a probe may come and go when a run is resumed,
        # and the last one is about Lightning itself
        warnings.filterwarnings('ignore', '.*does not have many workers.*')
        warnings.filterwarnings('ignore', '.*smaller than the logging interval.*')
        warnings.filterwarnings('ignore', '.*exists and is not empty.*')
        warnings.filterwarnings('ignore', '.*callbacks used to create the checkpoint.*')
        warnings.filterwarnings('ignore', '.*LeafSpec.* is deprecated.*')
        resume = str(files.last) if files.last.exists() else None
        keep_identity(files.last, store)
        with resuming(files.last, signals):
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
    if launched_by_torchrun() or (launched_by_slurm() and launched_processes() > 1):
        raise BeastError(
            'beast.tune makes one run after the other, which does not work in processes that '
            'torchrun or srun started; tune in one process, then set '
            'beast.loss.contrastive_weight'
        )

    check_labels(len(labels.images) if labels else 0)
    steps = whole_steps(config, store, num_devices)

    def train(weight: float, seed: int) -> pd.DataFrame:
        short = RunFiles(files.tune / f'weight_{weight:g}_seed_{seed}')
        short.last.parent.mkdir(parents=True, exist_ok=True)
        module = build_module(short_run(config, weight, seed, steps), resume=short.last.exists())
        _fit(module, short, store, num_devices, (), labels)
        shutil.rmtree(short.last.parent)
        return pd.read_csv(short.metrics)

    files.tune.mkdir(exist_ok=True)
    own = config.loss.contrastive_weight
    chosen = tune(config.tune, own, config.seed, files.tune / TUNE_TABLE, train)
    return with_weight(config, chosen)


def whole_steps(config: BeastConfig, store: WindowStore, num_devices: int) -> int:
    """Return the steps of a run, as its trainer will count them."""
    training = config.training
    if training.steps is not None:
        return training.steps
    rows, _ = split_windows(store.table, training.validation_fraction, config.seed)
    pairs = len(rows) // (num_devices * config.num_nodes)
    batches = len(batch_bounds(pairs, training.batch_size // 2)) - 1
    return math.ceil(batches / training.accumulate) * training.epochs


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
    before_saving: Sequence[Callback] = (),
) -> Trainer:
    """Build the Lightning trainer of a run.

    Args:
        config: all settings.
        files: directory of the run.
        num_devices: number of GPUs or processes of every machine.
        signals: what asks the run to stop.
        probe: probe of the features, if there is one.
        callbacks: further callbacks.
        before_saving: callbacks whose files of an epoch must exist once a checkpoint says that
            the epoch is over, since a run that is stopped there resumes with the next epoch.
    """
    training = config.training
    throughput, watched = Throughput(), is_terminal()
    plugins: list[Any] = [AtomicCheckpoints()]
    if launched_by_slurm():
        # the user decides whether Slurm queues a job again, not Lightning
        plugins.append(SLURMEnvironment(auto_requeue=False))
    return Trainer(
        accelerator='gpu' if torch.cuda.is_available() else 'cpu',
        devices=num_devices,
        num_nodes=config.num_nodes,
        strategy='ddp' if num_devices * config.num_nodes > 1 else 'auto',
        precision=choose_precision(training.precision),
        max_epochs=training.num_epochs,
        plugins=plugins,
        # not the working directory, in which Lightning looks for Slurm's files
        default_root_dir=files.directory,
        logger=TensorBoardLogger(files.directory, name='', version='tb_logs'),
        callbacks=[
            *([ProgressBar(throughput)] if watched else []),
            LearningRateMonitor('step'),
            *([probe] if probe else []),
            *([] if watched else [EpochLines(throughput, probe.row if probe else dict)]),
            MetricsTable(files.metrics, throughput, probe.row if probe else dict),
            *before_saving,
            BestCheckpoint(files.best, probe),
            LastCheckpoint(files.last, training.checkpoint_minutes, signals),
            *callbacks,
            # last: the others wait for the GPU after a step, which is no waiting for data
            throughput,
        ],
        enable_checkpointing=False,
        enable_progress_bar=watched,
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        accumulate_grad_batches=config.training.accumulate,
        enable_model_summary=False,
    )


def epoch_pairs(training: TrainingConfig, processes: int) -> int | None:
    """Return the pairs of an epoch over all processes; None for one pass over the anchors.

    Args:
        training: settings of the run.
        processes: number of processes that share every step.
    """
    steps = training.steps_per_epoch
    if steps is None:
        return None
    return steps * training.accumulate * processes * (training.batch_size // 2)


def build_loaders(
    config: BeastConfig,
    store: WindowStore,
    trainer: Trainer,
    model: torch.nn.Module,
) -> tuple[PairLoader, DataLoader | PipedReader | None]:
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
        epoch_pairs(training, trainer.world_size),
    )
    train = training_loader(config, store, sampler)
    steps = math.ceil(len(train) / training.accumulate)
    announce_training(config, model, len(rows), len(held_out), steps)
    if len(held_out) == 0:
        return train, None
    # by PyAV on every machine, so that validation losses of machines can be compared
    validation = frame_reader(
        WindowPairs(store, size),
        training.batch_size // 2,
        validation_pairs(
            held_out,
            store.table['video_id'].to_numpy()[held_out],
            config.pairs.positive,
            config.seed,
        ),
        loader_workers(training.num_workers),
        ranks(config, sampler),
    )
    return train, validation
