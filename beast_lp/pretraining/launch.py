"""The launch of a distributed run, before Lightning has started the process group.

A run of one process reads its first frame before torch and Lightning are imported, which takes
seconds; so they are imported here only where there are several processes or devices.
"""

import datetime
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from beast_lp.errors import BeastError

if TYPE_CHECKING:
    from torch.distributed import Store  # pyright: ignore

# longest time that the other processes wait for rank 0 to prepare the windows
_PREPARATION = datetime.timedelta(days=7)


def launched_rank() -> int:
    """Return this process's rank as an outside launcher (torchrun, srun) or Lightning set it."""
    # Slurm's comes last: children that Lightning starts within a Slurm job inherit its 0
    for name in ('RANK', 'LOCAL_RANK', 'SLURM_PROCID'):
        if os.environ.get(name, '').isdigit():
            return int(os.environ[name])
    return 0


def launched_processes() -> int:
    """Return the number of processes that an outside launcher started; 0 if there is none."""
    if launched_by_torchrun():
        return int(os.environ['WORLD_SIZE'])
    if launched_by_slurm():
        return int(os.environ['SLURM_NTASKS'])
    return 0


def launched_by_torchrun() -> bool:
    """Return whether torchrun started this process, by the variable that torch itself asks for."""
    return 'TORCHELASTIC_RUN_ID' in os.environ


def launched_by_slurm() -> bool:
    """Return whether Lightning will take this process for one that srun started."""
    if 'SLURM_NTASKS' not in os.environ:
        return False
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    return SLURMEnvironment.detect()


def check_launch(num_devices: int, num_nodes: int) -> None:
    """Check that the launcher started as many processes as the settings ask for.

    Args:
        num_devices: devices of each machine (`training.num_gpus`).
        num_nodes: machines (`beast.num_nodes`).

    Raises:
        BeastError: if it did not, or this machine has fewer devices.
    """
    wanted, started = num_devices * num_nodes, launched_processes()
    if started and started != wanted:
        raise BeastError(
            f'the launcher started {started} processes, but training.num_gpus ({num_devices}) '
            f'times beast.num_nodes ({num_nodes}) is {wanted}; make the two agree'
        )
    if num_nodes > 1 and not started:
        raise BeastError(
            f'beast.num_nodes is {num_nodes}, but neither torchrun nor srun started this '
            'process; start the same command with one of them on every machine'
        )
    if num_devices == 1:
        return
    import torch

    visible = torch.cuda.device_count()
    # without any, processes on the CPU take their place
    if 0 < visible < num_devices:
        raise BeastError(
            f'training.num_gpus is {num_devices}, but this process sees {visible}; lower it, or '
            'let it see more (CUDA_VISIBLE_DEVICES)'
        )


@contextmanager
def first_process_first() -> Iterator[bool]:
    """Let rank 0 of the launched processes run the block before all others.

    Lightning starts its own children later, so they wait for nothing.

    Yields:
        whether this process has rank 0.

    Raises:
        BeastError: if rank 0 ends within the block.
    """
    others, first = launched_processes() - 1, launched_rank() == 0
    if others < 1:
        yield first
        return
    store = _launch_store(first, others + 1)
    if first:
        yield True
        store.set('through', '1')
        # this process may serve the store, so it stays until all have read it
        while store.add('seen', 0) < others:
            time.sleep(0.05)
        return
    try:
        store.wait(['through'], _PREPARATION)
    except RuntimeError as error:
        raise BeastError('the first process has ended; its own message says why') from error
    yield False
    store.add('seen', 1)


def _launch_store(first: bool, processes: int) -> 'Store':
    """Return a key-value store of all launched processes, at the address that DDP will use."""
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from torch.distributed import PrefixStore, TCPStore  # pyright: ignore
    from torch.distributed.rendezvous import rendezvous

    if launched_by_torchrun():
        store = next(iter(rendezvous('env://', timeout=_PREPARATION)))[0]
        prefix = f'beast/{os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)}'
    else:
        slurm = SLURMEnvironment()
        store = TCPStore(
            slurm.main_address,
            slurm.main_port,
            processes,
            first,
            _PREPARATION,
            wait_for_workers=False,
        )
        prefix = 'beast'
    return PrefixStore(prefix, store)
