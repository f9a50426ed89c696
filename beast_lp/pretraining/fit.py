"""The fit: from a window store to a backbone, resumed from the last checkpoint.

`trainer` builds what is fitted. `stage` imports this module once the videos are scanned: torch and
Lightning take seconds.
"""

import logging
import math
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from lightning.pytorch import Callback

from beast_lp.config import BeastConfig
from beast_lp.errors import BeastError
from beast_lp.pretraining.backgrounds import read_backgrounds
from beast_lp.pretraining.callbacks import ShortRunWarning
from beast_lp.pretraining.checkpoints import StopSignals, resuming
from beast_lp.pretraining.launch import (
    launched_by_slurm,
    launched_by_torchrun,
    launched_processes,
)
from beast_lp.pretraining.model_card import model_card
from beast_lp.pretraining.module import BeastModule
from beast_lp.pretraining.pictures import Snapshots, anchor_pictures
from beast_lp.pretraining.probing import Probe
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.threads import suitable_threads
from beast_lp.pretraining.trainer import build_loaders, build_module, build_trainer, whole_steps
from beast_lp.pretraining.training_frames import check_same_windows, keep_identity
from beast_lp.pretraining.tune import (
    TUNE_TABLE,
    check_labels,
    short_run,
    tune,
    with_weight,
)
from beast_lp.runs.files import full_disk_sentence
from beast_lp.video.labelled import LabelledFrames
from beast_lp.video.window_store import WindowStore
from beast_lp.vit.precision import matmul_precision
from beast_lp.vit.save import encoder_to_transformers, save_backbone

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
