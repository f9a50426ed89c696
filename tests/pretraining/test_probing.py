"""The probe within a run: when it measures, what it keeps, and what a broken label costs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from beast_lp.config import BeastConfig
from beast_lp.errors import BeastError
from beast_lp.pretraining import probing
from beast_lp.pretraining.floors import FLOORS
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.video.labelled import LabelledFrames, read_labels

TinyConfig = Callable[..., BeastConfig]
COLUMNS = ['probe_px', 'probe_z_px', 'probe_start_px', *(f'probe_{name}_px' for name in FLOORS)]


@pytest.fixture
def frames(labelled_project: tuple[Path, np.ndarray]) -> LabelledFrames:
    """Return labelled frames of a bright square."""
    path, _ = labelled_project
    return read_labels([path], path.parent)


class _Kill(Callback):
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 3:
            raise RuntimeError('killed')


def test_a_resumed_run_keeps_its_floors(
    tiny_config: TinyConfig,
    videos: list[Path],
    frames: LabelledFrames,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = tiny_config(probe={'every_epochs': 2}, training={'epochs': 5})
    with caplog.at_level('INFO', 'lightning_pose'):
        run_pretraining(config, videos, tmp_path / 'whole', labels=frames)
    assert 'probe before training: ' in caplog.text and 'the best floor has' in caplog.text
    for words in FLOORS.values():
        assert f' px by {words}' in caplog.text
    metrics = pd.read_csv(RunFiles(tmp_path / 'whole').metrics)
    for name in COLUMNS:
        assert metrics[name].notna().tolist() == [False, True, False, True, True], name
        assert metrics[name].min() > 0
    last = metrics.iloc[-1]
    # a bright square on grey: even a tiny model's patches say roughly where it is
    assert last.probe_px < 0.7 * last.probe_constant_px
    assert last.probe_constant_px == pytest.approx(16, abs=4)
    assert last.probe_pixels_px < 0.5 * last.probe_constant_px
    assert last.probe_random_px == last.probe_start_px
    best = torch.load(RunFiles(tmp_path / 'whole').best, weights_only=True)
    assert best['epoch'] == metrics.probe_px.idxmin()

    out = tmp_path / 'out'
    with pytest.raises(RuntimeError, match='killed'):
        run_pretraining(config, videos, out, labels=frames, callbacks=[_Kill()])
    monkeypatch.setattr(probing, 'floor_features', lambda *_: pytest.fail('measured again'))
    run_pretraining(config, videos, out, labels=frames)
    resumed = pd.read_csv(RunFiles(out).metrics)
    pd.testing.assert_frame_equal(resumed[COLUMNS], metrics[COLUMNS])


def test_without_a_setting_there_are_about_ten_measurements_and_zero_means_none(
    tiny_config: TinyConfig,
    videos: list[Path],
    frames: LabelledFrames,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probing, 'MEASUREMENTS', 3)
    monkeypatch.setattr(probing, 'MOST_FRAMES', 11)
    config = tiny_config(training={'epochs': 7})
    run_pretraining(config, videos, tmp_path / 'out', labels=frames)
    measured = pd.read_csv(RunFiles(tmp_path / 'out').metrics).probe_px.notna()
    assert measured.tolist() == [False, False, True, False, False, True, True]
    config = tiny_config(training={'epochs': 1}, probe={'every_epochs': 0})
    run_pretraining(config, videos, tmp_path / 'none', labels=frames)
    assert 'probe_px' not in pd.read_csv(RunFiles(tmp_path / 'none').metrics)


def test_many_labels_are_thinned_out_evenly(
    tiny_config: TinyConfig, frames: LabelledFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, 'MOST_FRAMES', 3)
    probe = probing.Probe(frames, tiny_config(), lambda: pytest.fail('read'))
    rows = [0, round((len(frames.images) - 1) / 2), len(frames.images) - 1]
    assert probe.frames.images == [frames.images[row] for row in rows]
    np.testing.assert_array_equal(probe.frames.positions, frames.positions[rows])


def test_random_weights_are_a_floor_of_a_pretrained_start(
    tiny_config: TinyConfig, frames: LabelledFrames
) -> None:
    config = tiny_config(init='facebook/vit-mae-base')
    probe = probing.Probe(frames, config, lambda: probe._images)  # type: ignore[arg-type, return-value]
    probe._images = probing.read_images(frames.images, (32, 32))
    probe.start = 1.0
    floors = probe._measure_floors()
    assert set(floors) == set(FLOORS) and floors['random'] > 1.5
    assert floors['random'] == probe._measure_floors()['random']


def test_a_damaged_image_ends_the_run_only_where_the_probe_was_asked_for(
    tiny_config: TinyConfig,
    videos: list[Path],
    frames: LabelledFrames,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    frames.images[3].write_bytes(b'no picture')
    config = tiny_config(training={'epochs': 1})
    run_pretraining(config, videos, tmp_path / 'out', labels=frames)
    assert 'pretraining goes without the probe: ' in caplog.text
    assert 'probe_px' not in pd.read_csv(RunFiles(tmp_path / 'out').metrics)
    config = tiny_config(training={'epochs': 1}, probe={'every_epochs': 1})
    with pytest.raises(BeastError, match=frames.images[3].name):
        run_pretraining(config, videos, tmp_path / 'asked', labels=frames)


def test_labelled_frames_are_cropped_like_the_videos(
    tiny_config: TinyConfig,
    square_video: Path,
    frames: LabelledFrames,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    floors = {}
    for name in ('whole', 'crops'):
        windows = {'bbox_dir': 'auto'} if name == 'crops' else {}
        config = tiny_config(
            windows=windows, probe={'every_epochs': 1}, training={'epochs': 1}, seed=0
        )
        with caplog.at_level('INFO', 'lightning_pose'):
            run_pretraining(config, [square_video], tmp_path / name, labels=frames)
        metrics = pd.read_csv(RunFiles(tmp_path / name).metrics)
        floors[name] = metrics['probe_constant_px'].iloc[-1]
    assert 'the boxes of 30 labelled frames' in caplog.text
    # the square is in the middle of its box, and anywhere in the frame
    assert floors['whole'] == pytest.approx(16, abs=4)
    assert floors['crops'] < 5


def test_too_few_labels_get_a_sentence(
    tiny_config: TinyConfig, videos: list[Path], frames: LabelledFrames, tmp_path: Path
) -> None:
    few = frames.some(range(9))
    config = tiny_config(probe={'every_epochs': 2})
    with pytest.raises(BeastError, match='needs 10 labelled frames.*has 9.*every_epochs=0'):
        run_pretraining(config, videos, tmp_path / 'out', labels=few)
