"""What a run tells while it runs."""

import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch import Callback, LightningModule

from beast_lp.config import BeastConfig, parse_config
from beast_lp.pretraining.callbacks import (
    LEAST_STEPS,
    EpochLines,
    MetricsTable,
    ProgressBar,
    ShortRunWarning,
    Throughput,
)
from beast_lp.pretraining.checkpoints import LastCheckpoint, StopSignals
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.pretraining.trainer import build_trainer


def test_the_bar_and_the_table_tell_speed_and_time_left(
    tiny_config: Callable[..., BeastConfig],
    videos: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # wide enough for all of it
    monkeypatch.setenv('COLUMNS', '200')
    monkeypatch.setattr('beast_lp.pretraining.trainer.is_terminal', lambda: True)
    with caplog.at_level('INFO', 'lightning_pose'):
        run_pretraining(tiny_config(), videos, tmp_path / 'out')
    said = re.findall(
        r'a step of \d+ images takes [\d.]+ s; (\d+) are left, about \d+ s: done at about ',
        caplog.text,
    )
    assert said == ['6']
    # before that, what is to be done
    order = [
        '2 videos, 120 frames',
        'at most 24 anchors',
        'anchors for training, ',
        'epochs of',
        'parameters; checkpoints take about',
    ]
    places = [caplog.text.index(words) for words in order]
    assert places == sorted(places) and places[-1] < caplog.text.index('a step of')
    bar = capsys.readouterr().out
    assert re.search(r'loss=[\d.]+, .*images/s=[\d.e+]+, wait=\d+%, left=\d+ s', bar)
    table = pd.read_csv(tmp_path / 'out' / 'metrics.csv')
    assert (table.images_per_second > 0).all()
    assert table.data_wait_share.between(0, 1).all()
    left = table.seconds_left.to_numpy()
    assert (left[:-1] > 0).all() and left[-1] == 0
    # nothing of an epoch is left out of its mean
    assert np.isfinite(table.train_loss).all()


@pytest.mark.parametrize(('steps', 'warned'), [(LEAST_STEPS - 1, True), (LEAST_STEPS, False)])
def test_a_run_too_short_to_help_is_warned_of(
    steps: int,
    warned: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trainer: Any = SimpleNamespace(estimated_stepping_batches=float(steps))
    with caplog.at_level('WARNING', 'lightning_pose'):
        ShortRunWarning().on_train_start(trainer, LightningModule())
    assert (f'beast: {steps} steps from random weights' in caplog.text) == warned


def test_without_a_terminal_there_is_a_line_a_minute_and_one_at_the_end(
    tiny_config: Callable[..., BeastConfig],
    videos: list[Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level('INFO', 'lightning_pose'):
        run_pretraining(tiny_config(), videos, tmp_path / 'out')
    lines = [text for text in caplog.messages if text.startswith('beast: epoch ')]
    (line,) = lines
    assert re.match(r'beast: epoch (\d+) of \1, step \d+: loss [\d.]+, .* images/s$', line)
    assert '\r' not in ''.join(capfd.readouterr())
    assert line in (tmp_path / 'out' / 'train.log').read_text(encoding='utf-8')


def test_an_epoch_within_the_minute_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    seconds = iter([0.0, 30.0, 61.0, 100.0, 122.0])
    lines = EpochLines(Throughput(), lambda: {'probe_px': 12.345}, lambda: next(seconds))
    assert _epochs(lines, 4, 10, caplog) == [2, 4]
    assert 'loss 0.5, probe (px) 12.3, ' in caplog.text


def test_a_long_run_has_a_log_to_read(caplog: pytest.LogCaptureFixture) -> None:
    seconds = itertools.count(0, 3600)
    lines = EpochLines(Throughput(), dict, lambda: float(next(seconds)))
    said = _epochs(lines, 800, 800, caplog)
    assert len(said) == 20 and said[0] == 40 and said[-1] == 800


def _epochs(
    lines: EpochLines,
    count: int,
    of: int,
    caplog: pytest.LogCaptureFixture,
) -> list[int]:
    """Return the epochs after which a line was logged."""
    trainer: Any = SimpleNamespace(
        max_epochs=of, global_step=7, callback_metrics={'train_loss': 0.5}
    )
    with caplog.at_level('INFO', 'lightning_pose'):
        for epoch in range(count):
            trainer.current_epoch = epoch
            lines.on_train_epoch_end(trainer, LightningModule())
    pattern = rf'beast: epoch (\d+) of {of}, step 7: '
    found = [re.match(pattern, text) for text in caplog.messages]
    return [int(match[1]) for match in found if match]


def test_what_others_do_after_a_step_is_no_waiting_for_data(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('beast_lp.pretraining.trainer.is_terminal', lambda: True)
    trainer = build_trainer(
        parse_config({}), RunFiles(tmp_path), 1, StopSignals(), None, [Callback()]
    )
    callbacks = cast(list[Callback], trainer.callbacks)  # type: ignore[attr-defined]
    kinds = [type(callback) for callback in callbacks]
    before = [ProgressBar, MetricsTable, LastCheckpoint, Callback]
    assert all(kinds.index(kind) < kinds.index(Throughput) for kind in before)


def test_what_was_measured_of_an_epoch_survives() -> None:
    a, b = Throughput(), Throughput()
    a.frames, a.seconds, a.waited = 100, 4.0, 1.0
    b.load_state_dict(a.state_dict())
    assert b.images_per_second == 25.0
    assert b.data_wait_share == 0.25


def test_the_time_left_follows_the_pace() -> None:
    speed = Throughput()
    assert speed.seconds_left == 0
    speed._started = time.perf_counter() - 10.0
    speed._steps_done, speed._steps_left = 5, 20
    assert speed.seconds_left == pytest.approx(40.0, rel=0.05)
