"""The stage: from videos to a backbone, resumable, and never mixing two runs."""

import copy
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from transformers import ViTModel

from beast_lp.config import AnchorConfig, BeastConfig, WindowConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.pretraining import stage
from beast_lp.pretraining.run_files import RunFiles, read_run_config, run_settings
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.pretraining.trainer import build_loaders, build_module
from beast_lp.reports.pretraining_run import load_module
from beast_lp.runs.settings import settings_yaml
from beast_lp.video import dali
from beast_lp.video.boxes import Boxes
from beast_lp.video.source_video import SourceVideo
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import INDEX_NAME, WindowStore
from beast_lp.vit.save import encoder_to_transformers, save_backbone

TinyConfig = Callable[..., BeastConfig]


def _weights(output_dir: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(output_dir / 'backbone' / 'model.safetensors')


def test_a_run_writes_all_that_it_promises(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    out = tmp_path / 'out put'
    backbone = run_pretraining(tiny_config(), videos, out)
    assert backbone == out / 'backbone'
    for name in (
        'beast.yaml',
        'anchors.csv',
        'videos.csv',
        'metrics.csv',
        'windows/index.csv',
        'checkpoints/last.ckpt',
        'checkpoints/best.ckpt',
        'backbone/config.json',
    ):
        assert (out / name).is_file(), name
    assert list((out / 'tb_logs').glob('events.*'))
    assert not list(out.rglob('*.tmp')) + list(out.rglob('*.part'))
    metrics = pd.read_csv(out / 'metrics.csv')
    assert metrics.epoch.tolist() == [0, 1, 2, 3]
    for name in (
        'train_loss',
        'train_reconstruction',
        'train_contrastive',
        'val_loss',
        'val_retrieval',
        'val_pixel_retrieval',
        'val_explained',
        'val_background_explained',
        'train_contrastive_chance',
        'val_contrastive_chance',
        'learning_rate',
        'images_per_second',
        'data_wait_share',
    ):
        assert np.isfinite(metrics[name].to_numpy()).all(), name
    vit = ViTModel.from_pretrained(str(backbone), add_pooling_layer=False)
    assert vit.config.hidden_size == 32


def test_training_lowers_the_held_out_loss(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    run_pretraining(tiny_config(training={'epochs': 40}), videos, tmp_path / 'out')
    loss = pd.read_csv(tmp_path / 'out' / 'metrics.csv').val_reconstruction
    assert np.mean(loss.to_numpy()[-3:]) < 0.7 * loss.to_numpy()[0]


def test_videos_of_other_sizes_and_grey_ones_mix(
    tiny_config: TinyConfig,
    videos: list[Path],
    write_video: Callable[..., Path],
    tmp_path: Path,
) -> None:
    draw = np.random.default_rng(5)
    frames = [
        np.repeat(draw.integers(0, 256, (96, 32, 1), np.uint8), 3, axis=2) for _ in range(40)
    ]
    grey = write_video('grey.avi', frames, codec='mjpeg', pixel_format='yuvj420p')
    single = write_video('one channel.mkv', frames, pixel_format='gray')
    run_pretraining(tiny_config(training={'epochs': 1}), [*videos, grey, single], tmp_path / 'out')
    table = pd.read_csv(tmp_path / 'out' / 'videos.csv')
    assert (table.status == 'ok').all()
    assert (table.anchors > 0).all()


class _Kill(Callback):
    """Ends the run the hard way before a step."""

    def __init__(self, epoch: int, batch: int = 0) -> None:
        self.at = epoch, batch

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self.at:
            raise RuntimeError('killed')


@pytest.mark.parametrize('batch', [0, 1, 2])
@pytest.mark.parametrize('workers', [0, 2])
def test_a_killed_run_ends_with_the_same_weights(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
    batch: int,
    workers: int,
) -> None:
    config = tiny_config(training={'num_workers': workers})
    run_pretraining(config, videos, tmp_path / 'whole')
    with pytest.raises(RuntimeError, match='killed'):
        run_pretraining(config, videos, tmp_path / 'torn', callbacks=[_Kill(2, batch)])
    assert not RunFiles(tmp_path / 'torn').backbone.exists()
    run_pretraining(config, videos, tmp_path / 'torn')

    whole, torn = _weights(tmp_path / 'whole'), _weights(tmp_path / 'torn')
    assert all(torch.equal(whole[name], torn[name]) for name in whole)
    a, b = (pd.read_csv(tmp_path / name / 'metrics.csv') for name in ('whole', 'torn'))
    assert b.epoch.tolist() == [0, 1, 2, 3]
    assert b.step.tolist() == a.step.tolist() == [4, 8, 12, 16]
    np.testing.assert_array_equal(a.val_loss, b.val_loss)
    # measured since the resume, not since the machine started
    assert b.data_wait_share.between(0, 1).all()


def test_a_killed_run_of_a_length_in_steps_ends_with_the_same_weights(
    tiny_config: TinyConfig, videos: list[Path], tmp_path: Path
) -> None:
    # more parts than steps would fill, so that anchors take turns over the epochs; by Muon
    config = tiny_config(training={'steps': 101, 'optimizer': 'muon', 'beta2': 0.95})
    run_pretraining(config, videos, tmp_path / 'whole')
    with pytest.raises(RuntimeError, match='killed'):
        run_pretraining(config, videos, tmp_path / 'torn', callbacks=[_Kill(20, 1)])
    run_pretraining(config, videos, tmp_path / 'torn')

    whole, torn = _weights(tmp_path / 'whole'), _weights(tmp_path / 'torn')
    assert all(torch.equal(whole[name], torn[name]) for name in whole)
    for name in ('whole', 'torn'):
        table = pd.read_csv(tmp_path / name / 'metrics.csv')
        assert table.step.tolist() == list(range(3, 103, 3))


def test_a_run_killed_after_its_last_checkpoint_knows_the_best_weights(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    class KillAtTheEnd(Callback):
        """Ends the run between `LastCheckpoint` and what Lightning calls after it."""

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch == 2:
                raise RuntimeError('killed')

    with pytest.raises(RuntimeError, match='killed'):
        run_pretraining(tiny_config(), videos, tmp_path / 'out', callbacks=[KillAtTheEnd()])
    files = RunFiles(tmp_path / 'out')
    loss = pd.read_csv(files.metrics).val_loss
    last = torch.load(files.last, weights_only=True)
    best = torch.load(files.last.with_name('best.ckpt'), weights_only=True)
    state = last['callbacks']['BestCheckpoint']
    assert loss.idxmin() == 2 == last['epoch']
    assert state == {'score': pytest.approx(loss.min()), 'epochs': 3, 'monitor': 'val_loss'}
    assert best['epoch'] == 2
    assert all(
        torch.equal(value, last['state_dict'][name]) for name, value in best['state_dict'].items()
    )


def test_a_run_is_not_resumed_on_other_frames(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    out, whole = tmp_path / 'out', tmp_path / 'whole'
    run_pretraining(tiny_config(), videos, whole)
    with pytest.raises(RuntimeError, match='killed'):
        run_pretraining(tiny_config(), videos, out, callbacks=[_Kill(2, 1)])
    second, clip = videos[1].read_bytes(), out / 'windows' / 'video_1.mp4'

    # unreadable for now: its clip waits for it
    videos[1].write_bytes(b'')
    with pytest.raises(BeastError, match='video video_1 cannot be used any more.* restore what'):
        run_pretraining(tiny_config(), videos, out)
    assert clip.exists()
    # changed
    videos[1].write_bytes(videos[0].read_bytes())
    with pytest.raises(BeastError, match='video_1 or what is taken from it has changed; restore'):
        run_pretraining(tiny_config(), videos, out)
    # restored, it is resumed as if nothing had been
    videos[1].write_bytes(second)
    run_pretraining(tiny_config(), videos, out)
    assert all(torch.equal(value, _weights(out)[name]) for name, value in _weights(whole).items())


def test_a_checkpoint_of_an_older_version_is_resumed_on_what_there_is(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(RuntimeError, match='killed'):
        run_pretraining(tiny_config(), videos, tmp_path / 'out', callbacks=[_Kill(1)])
    (tmp_path / 'out' / 'checkpoints' / 'windows.json').unlink()
    videos[1].write_bytes(videos[0].read_bytes())
    run_pretraining(tiny_config(), videos, tmp_path / 'out')


def test_a_damaged_note_of_the_frames_is_named(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(RuntimeError, match='killed'):
        run_pretraining(tiny_config(), videos, tmp_path / 'out', callbacks=[_Kill(1)])
    note = tmp_path / 'out' / 'checkpoints' / 'windows.json'
    for content in (b'', b'{"video_0": "a', b'[]', b'\xff'):
        note.write_bytes(content)
        with pytest.raises(BeastError, match='windows.json, which says .* is damaged; delete it'):
            run_pretraining(tiny_config(), videos, tmp_path / 'out')


def test_a_video_that_can_be_used_again_is_named(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    second = videos[1].read_bytes()
    videos[1].write_bytes(b'')
    with pytest.raises(RuntimeError, match='killed'):
        run_pretraining(tiny_config(), videos, tmp_path / 'out', callbacks=[_Kill(1)])
    videos[1].write_bytes(second)
    with pytest.raises(BeastError, match='video_1 could not be used then and can be now; restore'):
        run_pretraining(tiny_config(), videos, tmp_path / 'out')
    # without a checkpoint there is nothing to mix
    RunFiles(tmp_path / 'out').last.unlink()
    run_pretraining(tiny_config(), videos, tmp_path / 'out')


def test_every_process_reads_on_its_own_gpu(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = prepare_windows(
        videos,
        tmp_path,
        AnchorConfig(per_video=12),
        WindowConfig(processes=1),
        0,
        False,
    )
    current, seen = [0], []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'current_device', lambda: current[0])
    monkeypatch.setattr(torch.cuda, 'set_device', lambda to: current.__setitem__(0, to.index))

    def loader(*_: object) -> list[int]:
        seen.append(dali._cuda_index())
        return seen

    monkeypatch.setattr('beast_lp.pretraining.trainer.training_loader', loader)
    config = tiny_config(training={'validation_fraction': 0.0})
    for device in ('cuda:1', 'cpu'):
        trainer: Any = SimpleNamespace(
            strategy=SimpleNamespace(root_device=torch.device(device)),
            global_rank=1,
            world_size=2,
        )
        build_loaders(config, store, trainer, torch.nn.Identity())
    assert seen == [1, 1]


def test_auto_boxes_follow_the_animal_and_are_kept_for_other_commands(
    write_video: Callable[..., Path],
    tiny_config: TinyConfig,
    tmp_path: Path,
) -> None:
    frames = []
    for ordinal in range(60):
        frame = np.full((120, 160, 3), 190, np.uint8)
        frame[ordinal : ordinal + 20, 2 * ordinal : 2 * ordinal + 20] = 30
        frames.append(frame)
    video = write_video('mouse.mp4', frames)
    config = tiny_config(windows={'bbox_dir': 'auto', 'longest_side': 48})
    run_pretraining(config, [video], tmp_path / 'out')
    boxes = Boxes(tmp_path / 'out' / 'boxes' / 'mouse_bbox.csv')
    assert boxes[30].h < 60
    # every stored frame shows the square, large and in its middle
    store = WindowStore.open(tmp_path / 'out' / 'windows')
    for row in range(len(store.table)):
        (picture,) = store.read(row, (0,), (48, 48))
        dark = picture.mean(axis=-1) < 100
        assert dark.mean() > 0.2
        assert dark[24, 24]


@pytest.mark.parametrize(('longest', 'warned'), [(31, True), (32, False)])
def test_clips_smaller_than_the_images_are_warned_of(
    tiny_config: TinyConfig,
    caplog: pytest.LogCaptureFixture,
    longest: int,
    warned: bool,
) -> None:
    with caplog.at_level('WARNING', 'lightning_pose'):
        stage._warn_of_small_clips(tiny_config(windows={'longest_side': longest}))
    assert ('longest_side is 31, so that frames' in caplog.text) == warned


def test_the_number_of_workers_does_not_change_the_result(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    run_pretraining(tiny_config(), videos, tmp_path / 'a')
    run_pretraining(tiny_config(training={'num_workers': 2}), videos, tmp_path / 'b')
    a, b = _weights(tmp_path / 'a'), _weights(tmp_path / 'b')
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_reads_with_dali_and_may_go_on_with_pyav(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    clips_in_vp9: None,
) -> None:
    pytest.importorskip('nvidia.dali', reason='DALI is an optional dependency')
    if torch.cuda.is_available():
        pytest.skip('a GPU decodes no VP9 as small as this')

    def config(loader: str) -> BeastConfig:
        return tiny_config(training={'loader': loader, 'num_workers': 1})

    caplog.set_level('INFO', 'lightning_pose')
    run_pretraining(config('dali'), videos, tmp_path / 'whole')
    assert 'DALI reads the windows, on the CPU' in caplog.text
    run_pretraining(config('pyav'), videos, tmp_path / 'pyav')
    # the same pairs, masks and geometry in every step, but for a few grey levels
    losses = [
        pd.read_csv(tmp_path / name / 'metrics.csv').train_reconstruction.to_numpy()
        for name in ('whole', 'pyav')
    ]
    np.testing.assert_allclose(*losses, rtol=0.05)

    for number, (before, after) in enumerate([('dali', 'dali'), ('dali', 'pyav')]):
        torn = tmp_path / f'torn {number}'
        with pytest.raises(RuntimeError, match='killed'):
            run_pretraining(config(before), videos, torn, callbacks=[_Kill(2, 1)])
        run_pretraining(config(after), videos, torn)
        assert pd.read_csv(torn / 'metrics.csv').step.tolist() == [4, 8, 12, 16]
    whole, first = _weights(tmp_path / 'whole'), _weights(tmp_path / 'torn 0')
    assert all(torch.equal(whole[name], first[name]) for name in whole)


def test_dali_needs_a_gpu(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    pytest.importorskip('nvidia.dali', reason='DALI is an optional dependency')
    if torch.cuda.is_available():
        pytest.skip('is about machines without a CUDA device')
    with pytest.raises(BeastError, match='cannot decode H.264 without a GPU.*loader=pyav'):
        run_pretraining(tiny_config(training={'loader': 'dali'}), videos, tmp_path / 'out')
    assert not (tmp_path / 'out' / 'backbone').exists()


def test_a_finished_run_is_not_overwritten(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    config, out = tiny_config(training={'epochs': 1}), tmp_path / 'out'
    backbone = run_pretraining(config, videos, out)
    written = (backbone / 'model.safetensors').stat().st_mtime_ns
    # without its report, there is nothing left to compute
    assert run_pretraining(config, videos, out) == backbone
    with pytest.raises(BeastError, match='seed was 0 and is now 1'):
        run_pretraining(replace(config, seed=1), videos, out)
    RunFiles(out).report.touch()
    with pytest.raises(BeastError, match='already holds a finished'):
        run_pretraining(config, videos, out)
    assert (backbone / 'model.safetensors').stat().st_mtime_ns == written


def test_a_second_run_in_the_same_directory_is_turned_away(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    class Second(Callback):
        turned_away = 0

        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            with pytest.raises(BeastError, match='another run is writing the pretraining run in'):
                run_pretraining(config, videos, tmp_path / 'out')
            self.turned_away += 1

    config, second = tiny_config(training={'epochs': 1}), Second()
    run_pretraining(config, videos, tmp_path / 'out', callbacks=[second])
    assert second.turned_away == 1


def test_other_settings_do_not_continue_a_run(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(RuntimeError):
        run_pretraining(tiny_config(), videos, tmp_path / 'out', callbacks=[_Kill(1)])
    with pytest.raises(BeastError, match='beast.loss.temperature was 1.0 and is now 0.5'):
        run_pretraining(tiny_config(loss={'temperature': 0.5}), videos, tmp_path / 'out')


def test_settings_of_speed_and_of_other_stages_may_change_within_a_run(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(RuntimeError):
        run_pretraining(tiny_config(), videos, tmp_path / 'out', callbacks=[_Kill(1)])
    changed = tiny_config(
        training={'num_workers': 1, 'checkpoint_minutes': 3.0},
        windows={'processes': 1},
        segmentation={'features': 'cls'},
    )
    assert run_pretraining(changed, videos, tmp_path / 'out').is_dir()


def test_projects_have_equal_shares_and_a_joint_run_can_be_killed(
    tiny_config: TinyConfig,
    five_videos: list[Path],
    tmp_path: Path,
) -> None:
    class Count(Callback):
        def __init__(self) -> None:
            self.seen: Counter[bool] = Counter()

        def on_train_batch_start(
            self,
            trainer: Trainer,
            pl_module: LightningModule,
            batch: Any,
            batch_idx: int,
        ) -> None:
            # the grey of the first video's background, in most pixels of its frames
            self.seen.update((batch[:, 0].flatten(1).median(1).values < 100).tolist())

    count = Count()
    config = tiny_config(training={'validation_fraction': 0.2})
    names = ['small', 'large', 'large', 'large', 'large']
    joint = [SourceVideo(video, name) for video, name in zip(five_videos, names, strict=True)]
    run_pretraining(config, joint, tmp_path / 'whole', callbacks=[count])
    # one video of five makes up half of the training
    assert count.seen[True] == pytest.approx(count.seen.total() / 2, abs=1)
    assert count.seen.total() > 100

    with pytest.raises(RuntimeError, match='killed'):
        run_pretraining(config, joint, tmp_path / 'torn', callbacks=[_Kill(2, 1)])
    with pytest.raises(BeastError, match='projects was .* and is now'):
        run_pretraining(config, five_videos, tmp_path / 'torn')
    run_pretraining(config, joint, tmp_path / 'torn')
    whole, torn = _weights(tmp_path / 'whole'), _weights(tmp_path / 'torn')
    assert all(torch.equal(whole[name], torn[name]) for name in whole)
    table = WindowStore.open(tmp_path / 'whole').table
    assert table.groupby('project').video_id.nunique().to_dict() == {'large': 4, 'small': 1}


def test_gradients_accumulate_over_batches(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    loss = {'contrastive_weight': 0.0}
    training = {'epochs': 2, 'batch_size': 4}
    run_pretraining(
        tiny_config(loss=loss, training={**training, 'accumulate': 2}), videos, tmp_path / 'two'
    )
    table = pd.read_csv(tmp_path / 'two' / 'metrics.csv')
    run_pretraining(tiny_config(loss=loss, training=training), videos, tmp_path / 'one')
    single = pd.read_csv(tmp_path / 'one' / 'metrics.csv')
    assert table.step.tolist() == [math.ceil(step / 2) for step in single.step.tolist()[:1]] + [
        2 * math.ceil(single.step.tolist()[0] / 2)
    ]
    # twice the frames a step: twice the learning rate, by the same schedule
    assert table.learning_rate.iloc[-1] == pytest.approx(2 * single.learning_rate.iloc[-1])


def test_a_learned_temperature_is_in_the_table(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    config = tiny_config(loss={'learn_temperature': True, 'temperature': 0.5})
    run_pretraining(config, videos, tmp_path / 'out')
    learned = pd.read_csv(tmp_path / 'out' / 'metrics.csv').train_temperature
    assert learned.iloc[-1] != learned.iloc[0]
    assert learned.between(0.3, 0.8).all()


def test_a_wider_step_reaches_the_pairs(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    config = tiny_config(pairs={'offset_ms': 120.0}, training={'epochs': 1})
    run_pretraining(config, videos, tmp_path / 'out')
    # 120 ms at 25 frames/s
    assert (pd.read_csv(tmp_path / 'out' / 'windows' / 'index.csv').step == 3).all()
    assert np.isfinite(pd.read_csv(tmp_path / 'out' / 'metrics.csv').train_loss).all()


def test_initial_weights_are_used(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run_pretraining(tiny_config(training={'epochs': 1}), videos, tmp_path / 'first')
    assert 'steps from random weights' in caplog.text
    caplog.clear()
    config = tiny_config(
        init=str(tmp_path / 'first'), training={'epochs': 1, 'peak_learning_rate': 1e-12}
    )
    run_pretraining(config, videos, tmp_path / 'second')
    assert 'steps from random weights' not in caplog.text
    first, second = _weights(tmp_path / 'first'), _weights(tmp_path / 'second')
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=1e-6)


def test_the_norms_of_the_initial_weights_stay_also_over_a_resume(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    start = build_module(tiny_config(), resume=False).model
    save_backbone(
        tmp_path / 'start',
        replace(start.architecture, layer_norm_eps=1e-3),
        encoder_to_transformers(start),
    )
    config = tiny_config(init=str(tmp_path / 'start'), training={'epochs': 2})
    with pytest.raises(RuntimeError, match='killed'):
        run_pretraining(config, videos, tmp_path / 'out', callbacks=[_Kill(1)])
    model = load_module(RunFiles(tmp_path / 'out')).model
    assert {m.eps for m in model.modules() if isinstance(m, torch.nn.LayerNorm)} == {1e-3}
    backbone = run_pretraining(config, videos, tmp_path / 'out')
    assert json.loads((backbone / 'config.json').read_text())['layer_norm_eps'] == 1e-3


def test_missing_initial_weights_leave_nothing_behind(
    videos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    with pytest.raises(BeastError, match=r'facebook/vit-mae-base.*beast\.init=random'):
        run_pretraining(parse_config({}), videos, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_divergence_stops_with_the_step_and_keeps_good_weights(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    class Poison(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch == 2:
                next(pl_module.parameters()).data.fill_(float('nan'))

    with pytest.raises(BeastError, match=r'the loss became nan at step \d+'):
        run_pretraining(tiny_config(), videos, tmp_path / 'out', callbacks=[Poison()])
    state = torch.load(RunFiles(tmp_path / 'out').last, weights_only=True)['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values())


@pytest.mark.gpu
@pytest.mark.parametrize('loader', ['pyav', 'dali'])
def test_a_run_on_a_gpu(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
    loader: str,
) -> None:
    config = tiny_config(training={'precision': 'auto', 'loader': loader})
    run_pretraining(config, videos, tmp_path / 'out')
    assert all(torch.isfinite(value).all() for value in _weights(tmp_path / 'out').values())


def test_settings_of_other_stages_do_not_make_another_run(
    tiny_config: TinyConfig,
    tmp_path: Path,
) -> None:
    files, settings = RunFiles(tmp_path), run_settings(tiny_config(), [])
    with files.claimed(settings):
        pass
    other = run_settings(tiny_config(encoding={'lags': 9}, videos='elsewhere'), [])
    assert other != settings
    assert files.changed(other) == ''
    assert 'beast.seed' in files.changed(run_settings(tiny_config(seed=1), []))
    assert 'videos was []' in files.changed(run_settings(tiny_config(), [Path('a.mp4')]))


def test_the_tracker_is_built_for_a_run_that_may_start(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    class Tracker(Callback):
        def __init__(self) -> None:
            built.append(files.settings.exists())

        def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            built.append('trained')

    built: list[object] = []
    files = RunFiles(tmp_path / 'out')
    config = tiny_config(training={'epochs': 1})
    with (
        files.claimed(run_settings(config, videos)),
        pytest.raises(BeastError, match='is writing'),
    ):
        run_pretraining(config, videos, files.directory, tracker=Tracker)
    with pytest.raises(BeastError, match='seed was 0 and is now 1.; restore that setting to res'):
        run_pretraining(replace(config, seed=1), videos, files.directory, tracker=Tracker)
    assert built == []
    run_pretraining(config, videos, files.directory, tracker=Tracker)
    assert built == [True, 'trained']
    # nothing but the report is left
    assert run_pretraining(config, videos, files.directory, tracker=Tracker) == files.backbone
    files.report.touch()
    with pytest.raises(BeastError, match='already holds a finished pretraining run; use it as'):
        run_pretraining(config, videos, files.directory, tracker=Tracker)
    assert built == [True, 'trained']


def test_retired_settings_of_other_stages_do_not_keep_a_run_closed(tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    files.settings.write_text('beast: {seed: 3, segmentation: {seed: 0, head: {dropout: 0.3}}}')
    assert read_run_config(files) == BeastConfig(seed=3)


def test_a_finished_run_with_retired_settings_is_opened_and_an_unfinished_one_is_refused(
    tmp_path: Path,
    tiny_config: TinyConfig,
) -> None:
    files, config, video = RunFiles(tmp_path), tiny_config(), tmp_path / 'a.mp4'
    settings = run_settings(config, [video])
    old = copy.deepcopy(settings)
    old['beast']['augmentation']['flip_vertical'] = 0.5
    files.settings.write_text(settings_yaml(old))
    words = (
        r'unfinished .*flip_vertical was 0.5 and is now always 0.0\); resume it with the version'
    )
    with pytest.raises(BeastError, match=words):
        run_pretraining(config, [video], tmp_path)
    # its report can be drawn all the same
    assert read_run_config(files) == config

    files.backbone.mkdir()
    files.windows.mkdir()
    (files.windows / INDEX_NAME).touch()
    assert run_pretraining(config, [video], tmp_path) == files.backbone
    assert 'flip_vertical was 0.5' in files.outdated(settings)
    with pytest.raises(BeastError, match=r'beast.seed was 0 and is now 1'):
        run_pretraining(tiny_config(seed=1), [video], tmp_path)
