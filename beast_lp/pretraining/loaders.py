"""Loaders of the training frames: PyAV in worker processes, or DALI on the GPU.

`auto` measures which of the two is faster: the decoders of an H100 read as many frames as three or
four of its CPU cores (2026-11-26).

Both read the same pairs of the same window store in the sampler's order, and `PairLoader` makes
either resumable, so they differ by a few grey levels of colour conversion and scaling only.
"""

import logging
import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader

from beast_lp.config import BeastConfig
from beast_lp.errors import BeastError
from beast_lp.pretraining.augmentation import frame_size
from beast_lp.pretraining.pairs import (
    BatchReader,
    Pair,
    PairLoader,
    PairSampler,
    WindowPairs,
)
from beast_lp.video.batches import EvenBatches, Order
from beast_lp.video.dali import DaliPairs, Device, dali_obstacle
from beast_lp.video.window_store import WindowStore
from beast_lp.video.workers import (
    BATCHES_AHEAD,
    SHARED_MEMORY,
    free_shared_memory,
    outlast_signals,
    shared_memory_needed,
    usable_cores,
)

logger = logging.getLogger(f'lightning_pose.{__name__}')

_MOST_WORKERS = 8
# batches that both readers read in a trial, and the largest number of pairs of a batch
_TRIAL_BATCHES, _TRIAL_PAIRS = 3, 64
# grey levels, mean over a frame, by which the two readers may differ: 2-3 were measured, and wrong
# colours or a wrong frame of a moving animal differ by more
_TRIAL_TOLERANCE = 8.0


class DaliReader:
    """Batches of pairs as DALI decodes them."""

    def __init__(self, pairs: DaliPairs) -> None:
        """Read the frames of `pairs`."""
        self._pairs = pairs

    def __len__(self) -> int:
        """Return the batches of a whole epoch."""
        return len(self._pairs)

    def __iter__(self) -> Iterator[UInt8[Tensor, 'pairs 2 height width 3']]:
        """Yield the batches, on the device that decoded them."""
        for batch in self._pairs:
            yield batch.pixels


class PipedReader:
    """Batches that worker processes send through pipes, because shared memory is too small.

    Torch puts tensors of workers into shared memory, but not arrays.
    """

    def __init__(self, loader: DataLoader) -> None:
        """Read the arrays of `loader`."""
        self._loader = loader

    def __len__(self) -> int:
        """Return the batches of a whole epoch."""
        return len(self._loader)

    def __iter__(self) -> Iterator[UInt8[Tensor, 'pairs 2 height width 3']]:
        """Yield the batches as tensors."""
        for batch in self._loader:
            yield torch.from_numpy(batch)


def training_loader(config: BeastConfig, store: WindowStore, sampler: PairSampler) -> PairLoader:
    """Build the loader of the training frames, and log the choice of the reader.

    Args:
        config: all settings.
        store: window store.
        sampler: sampler of this rank.

    Raises:
        BeastError: if nothing is left to train on, or `beast.training.loader=dali` is impossible.
    """
    training, image_size = config.training, config.model.image_size
    pairs = training.batch_size // 2
    if len(sampler) == 0:
        raise BeastError(
            f'nothing is left to train on: {len(sampler.anchors)} anchors are fewer than the '
            f'{sampler.world_size} processes that share them; use more videos, a smaller '
            'beast.training.validation_fraction, or fewer processes (training.num_gpus)'
        )
    size = frame_size(store.clip_sizes(), (image_size[0], image_size[1]), config.augmentation)
    workers = loader_workers(training.num_workers)
    device = choose_dali(training.loader, store, size, workers, len(sampler), pairs)
    reader: BatchReader
    if device is None:
        reader = frame_reader(
            WindowPairs(store, size), pairs, sampler, workers, ranks(config, sampler)
        )
        if isinstance(reader, PipedReader):
            free = (free_shared_memory() or 0) / 1e6
            logger.warning(
                f'beast: the shared memory ({SHARED_MEMORY}, {free:.0f} MB free) is too small for '
                f'the batches of {workers} worker processes, which send them through pipes '
                'instead; that is slower, so start a container with --shm-size=8g'
            )
    else:
        reader = DaliReader(DaliPairs(store, sampler, pairs, size, device, workers=workers))
    return PairLoader(reader, sampler, pairs)


def loader_workers(setting: int | None) -> int:
    """Return the number of processes that read frames; None means one per two cores, at most 8."""
    if setting is not None:
        return setting
    return min(_MOST_WORKERS, usable_cores() // 2)


def ranks(config: BeastConfig, sampler: PairSampler) -> int:
    """Return the number of processes of the run on one machine."""
    return max(1, sampler.world_size // max(1, config.num_nodes))


def frame_reader(
    dataset: WindowPairs, pairs: int, order: Order, workers: int, processes: int
) -> 'DataLoader | PipedReader':
    """Build the loader of PyAV, which needs no more shared memory than there is.

    Args:
        dataset: pairs of frames of a window store.
        pairs: number of pairs that a batch should have.
        order: order of the pairs.
        workers: number of worker processes.
        processes: number of processes of the run on this machine.
    """
    options = worker_options(workers)
    batches = EvenBatches(order, pairs)
    batch = batches.largest * 2 * math.prod(dataset.size) * 3
    free = free_shared_memory()
    if free is None or free >= shared_memory_needed(workers, batch, processes):
        return DataLoader(dataset, batch_sampler=batches, **options)
    return PipedReader(DataLoader(dataset, batch_sampler=batches, collate_fn=np.stack, **options))


def worker_options(workers: int) -> dict[str, Any]:
    """Return the options of torch's loader for a number of worker processes."""
    return {
        'num_workers': workers,
        'prefetch_factor': BATCHES_AHEAD if workers else None,
        'pin_memory': torch.cuda.is_available(),
        'persistent_workers': workers > 0,
        'worker_init_fn': outlast_signals,
    }


def choose_dali(
    setting: str,
    store: WindowStore,
    size: tuple[int, int],
    workers: int,
    epoch: int,
    batch: int,
) -> Device | None:
    """Choose the device on which DALI reads the training frames, or PyAV, and log the choice.

    `auto` chooses DALI on a machine with a CUDA device if it reads some pairs of the store as PyAV
    does, and no slower. On a CPU, PyAV is faster.

    Args:
        setting: `auto`, `pyav` or `dali`.
        store: window store.
        size: (height, width) in px at which frames are read.
        workers: worker processes of PyAV.
        epoch: pairs of an epoch.
        batch: pairs of a batch.

    Returns:
        the device of DALI, or None for PyAV.
    """
    if setting == 'dali':
        device: Device = 'gpu' if torch.cuda.is_available() else 'cpu'
        logger.info(f'beast: DALI reads the windows, on the {device.upper()}')
        return device
    reason = 'beast.training.loader says so'
    if setting == 'auto':
        reason = dali_obstacle(store) or trial(store, size, 'gpu', workers, epoch, batch).objection
        if reason is None:
            logger.info('beast: DALI reads the windows, on the GPU')
            return 'gpu'
    logger.info(f'beast: PyAV reads the windows, on the CPU, because {reason}')
    return None


class Trial(NamedTuple):
    """Result of a comparison of DALI with PyAV.

    Attributes:
        failure: reason why DALI cannot be used, or None.
        dali: ms per pair, including a share of the time to start an epoch.
        pyav: ms per pair, with all worker processes.
    """

    failure: str | None
    dali: float = float('nan')
    pyav: float = float('nan')

    @property
    def objection(self) -> str | None:
        """Reason why `auto` does not choose DALI, or None."""
        if self.failure is None and self.dali > self.pyav:
            return f'DALI takes {self.dali:.2g} ms a pair here and PyAV {self.pyav:.2g} ms'
        return self.failure


def trial(
    store: WindowStore,
    size: tuple[int, int],
    device: Device,
    workers: int,
    epoch: int,
    batch: int,
) -> Trial:
    """Read some pairs, spread over the store, with DALI and with PyAV, and compare the two.

    Args:
        store: window store.
        size: (height, width) in px at which frames are read.
        device: device on which DALI decodes.
        workers: worker processes, by which PyAV's time is divided.
        epoch: pairs of an epoch, by which the time to build DALI's pipeline is divided.
        batch: pairs of a batch.
    """
    batch = min(batch, _TRIAL_PAIRS)
    rows = np.linspace(0, len(store) - 1, _TRIAL_BATCHES * batch).astype(int).tolist()
    pairs = [Pair(row, row, 1 - 2 * (at % 2)) for at, row in enumerate(rows)]
    try:
        # the first pipeline of a process waits for what later ones find ready
        list(DaliPairs(store, pairs[:1], 1, size, device))
        times, found = [time.perf_counter()], []
        for read in DaliPairs(store, pairs, batch, size, device):
            found.append(read.pixels.cpu().numpy())
            times.append(time.perf_counter())
    except BeastError as error:
        return Trial(f'a trial of DALI failed: {error}')
    # each epoch builds a pipeline, before its first batch
    begin, rest = times[1] - times[0], times[-1] - times[1]
    dali = begin / max(epoch, 1) + rest / (len(pairs) - len(found[0]))

    start = time.perf_counter()
    expected = np.stack(
        [store.read(anchor, (0, offset), size) for anchor, _, offset in pairs]
    ).astype(np.int16)
    pyav = (time.perf_counter() - start) / len(pairs) / max(workers, 1)
    difference = np.abs(np.concatenate(found) - expected).mean((2, 3, 4)).max()
    failure = None
    if difference > _TRIAL_TOLERANCE:
        failure = (
            f'DALI gives other frames than PyAV on this machine, by {difference:.0f} of 255 '
            'grey levels'
        )
    return Trial(failure, 1000 * dali, 1000 * pyav)
