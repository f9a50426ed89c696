"""What a process knows of its launch before Lightning has started."""

import subprocess
import sys

import pytest
import torch

from beast_lp.errors import BeastError
from beast_lp.pretraining.launch import check_launch, launched_processes, launched_rank


@pytest.mark.parametrize(
    ('variables', 'rank'),
    [
        ({}, 0),
        # torchrun
        ({'RANK': '3', 'LOCAL_RANK': '1', 'SLURM_PROCID': '0'}, 3),
        # a child that Lightning starts, in a Slurm job without srun and outside of one
        ({'LOCAL_RANK': '1', 'SLURM_PROCID': '0'}, 1),
        ({'LOCAL_RANK': '1'}, 1),
        # srun
        ({'SLURM_PROCID': '5', 'SLURM_LOCALID': '1'}, 5),
    ],
)
def test_the_number_of_a_process_is_its_launchers(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    rank: int,
) -> None:
    for name in ('RANK', 'LOCAL_RANK', 'SLURM_PROCID', 'SLURM_LOCALID'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched_rank() == rank


def test_more_gpus_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (0, 2):
        monkeypatch.setattr(torch.cuda, 'device_count', lambda there=there: there)
        check_launch(2, 1)
    with pytest.raises(BeastError, match='num_gpus is 3, but this process sees 2; lower it'):
        check_launch(3, 1)


@pytest.mark.parametrize(
    ('variables', 'processes'),
    [
        ({}, 0),
        ({'TORCHELASTIC_RUN_ID': 'none', 'WORLD_SIZE': '3', 'SLURM_NTASKS': '2'}, 3),
        ({'SLURM_NTASKS': '2', 'SLURM_JOB_NAME': 'train'}, 2),
        # an allocation in which the user types commands
        ({'SLURM_NTASKS': '2', 'SLURM_JOB_NAME': 'bash'}, 0),
        # a child that Lightning starts
        ({'WORLD_SIZE': '2', 'LOCAL_RANK': '1'}, 0),
    ],
)
def test_processes_are_counted_as_lightning_will_find_them(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    processes: int,
) -> None:
    for name in ('TORCHELASTIC_RUN_ID', 'WORLD_SIZE', 'SLURM_NTASKS', 'SLURM_JOB_NAME'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched_processes() == processes
    assert torch.distributed.is_torchelastic_launched() == ('TORCHELASTIC_RUN_ID' in variables)


def test_one_process_is_checked_without_torch() -> None:
    code = """
import sys
from beast_lp.pretraining.launch import check_launch, first_process_first
check_launch(1, 1)
with first_process_first() as first:
    assert first
print(sorted({'torch', 'lightning'} & set(sys.modules)))
"""
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout == '[]\n'
