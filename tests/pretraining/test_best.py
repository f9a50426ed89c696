"""Which weights `best.ckpt` holds."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from beast_lp.pretraining.best import BestCheckpoint


class _Run:
    """A trainer and a probe whose scores are given, and the epochs that were saved."""

    def __init__(self, path: Path, probed: bool = False, rank: int = 0) -> None:
        self.row: dict[str, float] = {}
        self.saved: list[int] = []
        self.probe: Any = SimpleNamespace(active=probed and rank == 0, row=lambda: self.row)
        self.best = BestCheckpoint(path, self.probe if probed else None)
        self.others = False
        self.trainer: Any = SimpleNamespace(
            is_global_zero=rank == 0,
            callback_metrics={},
            max_epochs=9,
            current_epoch=-1,
            strategy=SimpleNamespace(reduce_boolean_decision=lambda own, all: own or self.others),
            save_checkpoint=self._save,
        )

    def _save(self, path: Path, weights_only: bool) -> None:
        assert path == self.best.path and weights_only
        self.saved.append(self.trainer.current_epoch + 1)

    def epoch(self, loss: float, probe: float | None = None) -> None:
        self.trainer.current_epoch += 1
        self.trainer.callback_metrics = {'val_loss': loss}
        self.row = {} if probe is None else {'probe_px': probe}
        self.best.on_train_epoch_end(self.trainer, self.trainer)


def test_without_a_probe_the_lowest_validation_loss_is_kept(tmp_path: Path) -> None:
    run = _Run(tmp_path)
    for loss in (3.0, 2.0, 2.5, float('nan'), 1.9):
        run.epoch(loss)
    assert run.saved == [1, 2, 5]


def test_no_validation_and_no_probe_keep_nothing(tmp_path: Path) -> None:
    run = _Run(tmp_path)
    run.trainer.current_epoch = 0
    run.best.on_train_epoch_end(run.trainer, run.trainer)
    assert run.saved == []


def test_the_probe_alone_decides_where_it_is_measured(tmp_path: Path) -> None:
    run = _Run(tmp_path, probed=True)
    for loss, probe in ((5, None), (4, 9.0), (3, None), (2, 8.0), (1, 8.5)):
        run.epoch(loss, probe)
    assert run.saved == [2, 4]


def test_a_resumed_run_knows_its_best_and_compares_like_with_like(tmp_path: Path) -> None:
    first = _Run(tmp_path, probed=True)
    first.epoch(1, 9.0)
    same, unprobed = _Run(tmp_path, probed=True), _Run(tmp_path)
    for run in (same, unprobed):
        run.best.load_state_dict(first.best.state_dict())
        run.epoch(20, 9.5)
        run.epoch(30, 8.5)
    assert (same.saved, unprobed.saved) == ([2], [1])
    # labels that turned out damaged leave the choice to the loss
    same.probe.active = False
    same.epoch(40)
    same.epoch(50)
    assert same.saved == [2, 3]


def test_all_processes_save_when_the_first_one_does(tmp_path: Path) -> None:
    run = _Run(tmp_path, probed=True, rank=1)
    run.epoch(1.0)
    run.others = True
    run.epoch(2.0)
    assert run.saved == [2]


@pytest.mark.parametrize(('last', 'said'), [(10.6, True), (10.4, False)])
def test_last_weights_that_read_out_worse_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, last: float, said: bool
) -> None:
    run = _Run(tmp_path / 'best.ckpt', probed=True)
    run.trainer.max_epochs = 2
    run.epoch(2.0, 10.0)
    run.epoch(1.0, last)
    assert ('lowest after epoch 1 (10.0 px) and is 10.6 px at the end' in caplog.text) == said
    assert (f'litpose embed {tmp_path / "best.ckpt"}' in caplog.text) == said
