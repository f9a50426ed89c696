"""The parts of a fit, from the settings: module, trainer and loaders."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from beast_lp.config import BeastConfig, TrainingConfig
from beast_lp.pretraining.best import BestCheckpoint
from beast_lp.pretraining.callbacks import EpochLines, MetricsTable, ProgressBar, Throughput
from beast_lp.pretraining.checkpoints import AtomicCheckpoints, LastCheckpoint, StopSignals
from beast_lp.pretraining.launch import launched_by_slurm
from beast_lp.pretraining.loaders import (
    PipedReader,
    frame_reader,
    loader_workers,
    ranks,
    training_loader,
)
from beast_lp.pretraining.module import BeastModule
from beast_lp.pretraining.pairs import PairLoader, PairSampler, WindowPairs, validation_pairs
from beast_lp.pretraining.plan import announce_training
from beast_lp.pretraining.probing import Probe
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.split import split_windows
from beast_lp.runs.progress import is_terminal
from beast_lp.video.batches import batch_bounds
from beast_lp.video.window_store import WindowStore
from beast_lp.vit.load import load_encoder
from beast_lp.vit.precision import choose_precision
from beast_lp.vit.weights import read_encoder


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


def whole_steps(config: BeastConfig, store: WindowStore, num_devices: int) -> int:
    """Return the steps of a run, as its trainer will count them."""
    training = config.training
    if training.steps is not None:
        return training.steps
    rows, _ = split_windows(store.table, training.validation_fraction, config.seed)
    pairs = len(rows) // (num_devices * config.num_nodes)
    batches = len(batch_bounds(pairs, training.batch_size // 2)) - 1
    return math.ceil(batches / training.accumulate) * training.epochs
