"""A run that cannot be lost: killed, stopped, diverged, or out of disk."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from beast_lp.config import BeastConfig
from beast_lp.errors import BeastError
from beast_lp.pretraining.checkpoints import STOPPING, AtomicCheckpoints, StopSignals
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.vit.safe_load import first_broken

TinyConfig = Callable[..., BeastConfig]
TinySection = Callable[..., dict[str, Any]]

# a run in a process of its own, which waits for the test at one place
CHILD = """
import json, sys, time
from pathlib import Path
from lightning.pytorch import Callback
from beast_lp.config import parse_config
from beast_lp.pretraining.stage import run_pretraining

section, videos, out, place, epoch, batch = json.loads(sys.argv[1])
out = Path(out)

class Wait(Callback):
    def wait(self, trainer, batch_idx):
        if (trainer.current_epoch, batch_idx) == (epoch, batch):
            (out / 'here').touch()
            while not (out / 'go').exists():
                time.sleep(0.01)

    if place == 'training':
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.wait(trainer, batch_idx)
    else:
        def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, loader=0):
            self.wait(trainer, batch_idx)

run_pretraining(parse_config(section), [Path(v) for v in videos], out, callbacks=[Wait()])
"""


def _interrupt(
    section: dict[str, Any],
    videos: list[Path],
    out: Path,
    number: int,
    place: str,
    epoch: int,
    batch: int,
) -> tuple[int, str]:
    """Run in a process of its own, send it a signal at a place, return how it ended."""
    arguments = json.dumps([section, [str(v) for v in videos], str(out), place, epoch, batch])
    with subprocess.Popen(
        [sys.executable, '-c', CHILD, arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as child:
        while not (out / 'here').exists():
            assert child.poll() is None, child.communicate()[0]
            time.sleep(0.02)
        # as Slurm and a terminal do it: to the readers too
        os.killpg(child.pid, number)
        # so that the signal is there before the run goes on
        time.sleep(0.2)
        (out / 'go').touch()
        output, _ = child.communicate()
        return child.returncode, output


@pytest.mark.parametrize(
    ('number', 'place', 'epoch', 'batch', 'workers'),
    [
        (signal.SIGKILL, 'training', 2, 1, 0),
        (signal.SIGKILL, 'validation', 1, 1, 0),
        (signal.SIGTERM, 'training', 2, 0, 2),
        (signal.SIGTERM, 'validation', 1, 0, 0),
        # Slurm's early warning, in the last step of an epoch
        *([(signal.SIGUSR1, 'training', 1, 1, 1)] if hasattr(signal, 'SIGUSR1') else []),
    ],
)
def test_a_run_that_a_signal_ends_continues_to_the_same_weights(
    tiny_section: TinySection,
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
    number: int,
    place: str,
    epoch: int,
    batch: int,
    workers: int,
) -> None:
    changes: dict[str, Any] = {
        'training': {
            'validation_fraction': 0.4,
            'batch_size': 12,
            'num_workers': workers,
        }
    }
    run_pretraining(tiny_config(**changes), videos, tmp_path / 'whole')
    torn = tmp_path / 'torn'
    if number != signal.SIGKILL:
        # only the signal makes it save
        changes['training']['checkpoint_minutes'] = 1000.0
    code, output = _interrupt(tiny_section(**changes), videos, torn, number, place, epoch, batch)
    assert code == (-number if number == signal.SIGKILL else 128 + number), output
    assert not RunFiles(torn).backbone.exists()
    step = torch.load(RunFiles(torn).last, weights_only=True)['global_step']
    if number != signal.SIGKILL:
        assert 'Traceback' not in output
        assert f'stopped by {signal.Signals(number).name} after step {step}' in output
    # two steps an epoch; the step at hand is finished before the run gives way
    before = number == signal.SIGKILL and place == 'training'
    assert step == 2 * epoch + (batch + (not before) if place == 'training' else 2)

    run_pretraining(tiny_config(**changes), videos, torn)
    whole, again = (
        safetensors.torch.load_file(RunFiles(out).backbone / 'model.safetensors')
        for out in (tmp_path / 'whole', torn)
    )
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    a, b = (pd.read_csv(RunFiles(tmp_path / name).metrics) for name in ('whole', 'torn'))
    assert a.epoch.tolist() == b.epoch.tolist() == [0, 1, 2, 3]
    for name in a.columns:
        if name.startswith(('train_', 'val_')):
            np.testing.assert_allclose(a[name], b[name], rtol=1e-6, err_msg=name)


def test_a_run_of_seconds_is_saved_at_its_end(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    class Steps(Callback):
        saved: list[int] = []

        def on_train_batch_start(
            self,
            trainer: Trainer,
            pl_module: LightningModule,
            batch: Any,
            batch_idx: int,
        ) -> None:
            last = RunFiles(tmp_path / 'out').last
            step = torch.load(last, weights_only=True)['global_step'] if last.exists() else 0
            if step not in self.saved:
                self.saved.append(step)

    steps = Steps()
    config = tiny_config(
        training={
            'epochs': 5,
            'checkpoint_minutes': 1000.0,
        }
    )
    run_pretraining(config, videos, tmp_path / 'out', callbacks=[steps])
    assert steps.saved == [0]
    # and at the end
    assert torch.load(RunFiles(tmp_path / 'out').last, weights_only=True)['global_step'] == 20


def test_weights_that_broke_down_never_reach_a_checkpoint(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    """The loss of the step is finite, and the step itself breaks the weights."""

    class Break(Callback):
        def on_before_optimizer_step(
            self,
            trainer: Trainer,
            pl_module: LightningModule,
            optimizer: Any,
        ) -> None:
            if trainer.global_step == 4:
                gradient = next(p.grad for p in pl_module.parameters() if p.grad is not None)
                gradient.fill_(float('inf'))

    with pytest.raises(BeastError, match='became non-finite at step 5.*last good weights'):
        run_pretraining(tiny_config(), videos, tmp_path / 'out', callbacks=[Break()])
    folder = RunFiles(tmp_path / 'out').last.parent
    names = ['best.ckpt', 'last.ckpt']
    assert sorted(path.name for path in folder.iterdir()) == [*names, 'windows.json']
    for name in names:
        checkpoint = torch.load(folder / name, weights_only=True)
        assert checkpoint['global_step'] <= 4
        assert first_broken(checkpoint['state_dict']) == ''


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = RunFiles(tmp_path / 'out')

    def write_to_full_disk(checkpoint: object, file: Any) -> None:
        file.write(b'half')
        # the kernel's own full disk: every write to it fails with ENOSPC
        with Path('/dev/full').open('wb', buffering=0) as disk:
            disk.write(b'half')

    class FillDisk(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch == 2:
                monkeypatch.setattr(torch, 'save', write_to_full_disk)

    with pytest.raises(BeastError, match='the disk that holds .* is full') as error:
        run_pretraining(tiny_config(), videos, files.directory, callbacks=[FillDisk()])
    monkeypatch.undo()
    assert '\n' not in str(error.value)
    assert torch.load(files.last, weights_only=True)['global_step'] == 8
    assert not list(files.directory.rglob('*.part'))
    assert run_pretraining(tiny_config(), videos, files.directory).is_dir()


def test_a_checkpoint_that_fails_half_way_leaves_the_earlier_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / 'last.ckpt'
    first = {'state_dict': {'weight': torch.ones(3)}, 'global_step': 1}
    AtomicCheckpoints().save_checkpoint(first, path)

    def fail(checkpoint: object, file: Any) -> None:
        file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', fail)
    with pytest.raises(BeastError, match='is full'):
        AtomicCheckpoints().save_checkpoint({**first, 'global_step': 2}, path)
    assert torch.load(path, weights_only=True)['global_step'] == 1
    assert [item.name for item in tmp_path.iterdir()] == ['last.ckpt']


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_broken_tensors_are_named(value: float) -> None:
    state = {'a': torch.ones(2), 'steps': torch.tensor(3), 'b': torch.tensor([0.0, value])}
    assert first_broken(state) == 'b'
    assert first_broken({'a': torch.ones(2), 'steps': torch.tensor(3)}) == ''


def test_signals_are_heard_once_and_then_handled_as_before() -> None:
    before = [signal.getsignal(number) for number in STOPPING]
    with StopSignals() as signals:
        signals.listen()
        signal.raise_signal(signal.SIGTERM)
        assert signals.received == signal.SIGTERM
    assert [signal.getsignal(number) for number in STOPPING] == before


def test_ctrl_c_a_second_time_does_not_wait() -> None:
    with StopSignals() as signals:
        signals.listen()
        signal.raise_signal(signal.SIGINT)
        assert signals.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
