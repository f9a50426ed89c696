"""From pose configs to videos, projects and labels."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from beast_lp.config import parse_config
from beast_lp.errors import BeastError
from beast_lp.host.jobs.pretrain import gather_videos, labelled_frames, pretrain, take_sizes
from beast_lp.pretraining.run_files import RunFiles, run_settings
from beast_lp.runs.settings import settings_yaml
from beast_lp.video.source_video import SourceVideo
from beast_lp.video.window_store import INDEX_NAME
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.save import encoder_to_transformers, save_backbone


def _project(directory: Path, names: list[str], **beast: Any) -> tuple[DictConfig, Path]:
    """Write a project with empty videos and one labelled frame, and its config."""
    for name in names:
        path = directory / 'videos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    picture = directory / 'labeled-data' / 'a' / 'img0.png'
    picture.parent.mkdir(parents=True)
    Image.new('RGB', (8, 8)).save(picture)
    (directory / 'labels.csv').write_text(
        'scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\nlabeled-data/a/img0.png,1,2\n'
    )
    cfg = OmegaConf.create(
        {
            'data': {'data_dir': str(directory), 'video_dir': 'videos', 'csv_file': 'labels.csv'},
            'beast': beast,
        }
    )
    path = directory / 'config.yaml'
    OmegaConf.save(cfg, path)
    return cfg, path


def test_one_project_has_no_name(tmp_path: Path) -> None:
    cfg, _ = _project(tmp_path / 'a', ['1.mp4', '2.mp4'])
    videos = gather_videos(cfg, parse_config(cfg.beast))
    folder = tmp_path / 'a' / 'videos'
    assert videos == [SourceVideo(folder / '1.mp4', ''), SourceVideo(folder / '2.mp4', '')]


def test_continuing_takes_the_sizes_of_the_backbone(tmp_path: Path) -> None:
    model = parse_config(
        {'model': {'image_size': [48, 32], 'patch_size': 8, 'hidden_size': 64, 'num_layers': 2}}
    ).model
    torch.manual_seed(0)
    encoder = MaskedAutoencoder(model, decoder=False)
    save_backbone(
        tmp_path / 'run' / 'backbone', encoder.architecture, encoder_to_transformers(encoder)
    )
    given = {'preset': 'continue', 'init': str(tmp_path / 'run')}
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'], **given)
    take_sizes(cfg)
    config = parse_config(cfg.beast, (256, 256))
    sizes = ('image_size', 'patch_size', 'hidden_size', 'num_layers')
    assert [getattr(config.model, name) for name in sizes] == [[48, 32], 8, 64, 2]
    assert config.model.decoder_hidden_size == 64
    # what the user says takes precedence
    cfg, _ = _project(tmp_path / 'b', ['1.mp4'], **given, model={'image_size': 64})
    take_sizes(cfg)
    assert parse_config(cfg.beast).model.image_size == [64, 64]


@pytest.mark.parametrize('init', [None, 'random'])
def test_continuing_needs_a_backbone(tmp_path: Path, init: str | None) -> None:
    given = {} if init is None else {'init': init}
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'], preset='continue', **given)
    with pytest.raises(BeastError, match=r'set beast\.init to the output directory'):
        pretrain(cfg, tmp_path / 'out', tmp_path / 'status.json')
    assert not (tmp_path / 'out').exists()


def test_videos_may_be_at_home_and_must_be_somewhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'])
    monkeypatch.setenv('HOME', str(tmp_path / 'a'))
    cfg.data.video_dir = '~/videos'
    (video,) = gather_videos(cfg, parse_config(cfg.beast))
    assert video.path == tmp_path / 'a' / 'videos' / '1.mp4'
    cfg.data.video_dir = None
    with pytest.raises(BeastError, match='does not say where the videos are.* beast.videos'):
        gather_videos(cfg, parse_config(cfg.beast))


def test_the_videos_of_further_projects_come_with_their_project(tmp_path: Path) -> None:
    _, second = _project(tmp_path / 'b', ['1.mp4', '3.mp4'])
    _, third = _project(tmp_path / 'c', ['9.mp4'], videos='videos/9.mp4')
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'], projects=[str(second), str(third)])
    videos = gather_videos(cfg, parse_config(cfg.beast))
    assert [(str(video.path.relative_to(tmp_path)), video.project) for video in videos] == [
        ('a/videos/1.mp4', 'this project'),
        ('b/videos/1.mp4', str(second)),
        ('b/videos/3.mp4', str(second)),
        ('c/videos/9.mp4', str(third)),
    ]


def test_a_finished_run_serves_new_videos_but_no_other_settings(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'])
    files, status = RunFiles(tmp_path / 'out'), tmp_path / 'status.json'
    files.backbone.mkdir(parents=True)
    config = parse_config(cfg.beast)
    files.settings.write_text(settings_yaml(run_settings(config, gather_videos(cfg, config))))
    files.report.touch()
    with caplog.at_level('INFO', 'lightning_pose'):
        assert pretrain(cfg, tmp_path / 'out', status, reuse=True) == files.backbone
        assert 'other videos' not in caplog.text
        (tmp_path / 'a' / 'videos' / '2.mp4').touch()
        assert pretrain(cfg, tmp_path / 'out', status, reuse=True) == files.backbone
        assert 'saw other videos than the project has now' in caplog.text
    cfg.beast.seed = 1
    with pytest.raises(BeastError, match='beast.seed was 0 and is now 1.* to pretrain anew'):
        pretrain(cfg, tmp_path / 'out', status, reuse=True)


def test_a_finished_run_with_a_retired_setting_is_used_with_a_warning(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'])
    files, status = RunFiles(tmp_path / 'out'), tmp_path / 'status.json'
    config = parse_config(cfg.beast)
    settings = run_settings(config, gather_videos(cfg, config))
    settings['beast']['augmentation']['flip_vertical'] = 0.5
    files.backbone.mkdir(parents=True)
    files.settings.write_text(settings_yaml(settings))
    files.report.touch()
    (tmp_path / 'a' / 'videos' / '2.mp4').touch()
    with caplog.at_level('INFO', 'lightning_pose'):
        assert pretrain(cfg, tmp_path / 'out', status, reuse=True) == files.backbone
    assert 'no longer exists (beast.augmentation.flip_vertical was 0.5 and' in caplog.text
    assert 'saw other videos' in caplog.text
    cfg.beast.seed = 1
    with pytest.raises(BeastError, match='beast.seed was 0 and is now 1.* to pretrain anew'):
        pretrain(cfg, tmp_path / 'out', status, reuse=True)


def test_projects_may_be_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    _, second = _project(tmp_path / 'b', ['1.mp4'])
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'], projects=['~/b/config.yaml'])
    videos = gather_videos(cfg, parse_config(cfg.beast))
    assert [video.project for video in videos] == ['this project', str(second)]


def test_projects_that_cannot_be_balanced_are_refused(tmp_path: Path) -> None:
    _, second = _project(tmp_path / 'b', ['1.mp4'], videos=str(tmp_path / 'a' / 'videos'))
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'], projects=[str(second)])
    with pytest.raises(BeastError, match='1.mp4 belongs to .*b/config.yaml'):
        gather_videos(cfg, parse_config(cfg.beast))
    cfg.beast.projects = ['nowhere.yaml']
    with pytest.raises(BeastError, match='nowhere.yaml, where there is no config'):
        gather_videos(cfg, parse_config(cfg.beast))


def test_labels_are_read_where_they_are_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'])
    assert labelled_frames(cfg, parse_config({})) is None
    asked = parse_config({'probe': {'every_epochs': 5}})
    frames = labelled_frames(cfg, asked)
    assert frames is not None
    assert frames.keypoints == ['nose'] and frames.positions.tolist() == [[[1.0, 2.0]]]
    # the stage says how many are too few for the choice of the weight
    tuned = labelled_frames(cfg, parse_config({'tune': [0.0, 0.1]}))
    assert tuned is not None and len(tuned.images) == 1
    # the probe that nobody asked for takes what there is
    table = tmp_path / 'a' / 'labels.csv'
    one = table.read_text()
    table.write_text(one + one.splitlines()[-1].join(['', '\n']) * 9)
    frames = labelled_frames(cfg, parse_config({}))
    assert frames is not None and len(frames.images) == 10
    assert labelled_frames(cfg, parse_config({'probe': {'every_epochs': 0}})) is None
    table.write_text(one.replace('img0', 'lost'))
    assert labelled_frames(cfg, parse_config({})) is None
    assert 'goes without the probe: 1 of the 1 labelled images are missing' in caplog.text
    with pytest.raises(BeastError, match='are missing'):
        labelled_frames(cfg, asked)
    cfg.data.csv_file = 'none.csv'
    assert labelled_frames(cfg, parse_config({})) is None
    assert labelled_frames(cfg, parse_config({'tune': [0.0, 0.1]})) is None
    with pytest.raises(BeastError, match='none.csv cannot be read'):
        labelled_frames(cfg, asked)
    cfg.data.csv_file = None
    with pytest.raises(BeastError, match='no data.csv_file'):
        labelled_frames(cfg, asked)


@pytest.mark.parametrize('reuse', [False, True])
def test_a_run_that_was_cut_off_before_its_report_writes_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reuse: bool,
) -> None:
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'])
    files = RunFiles(tmp_path / 'out')
    files.backbone.mkdir(parents=True)
    files.windows.mkdir()
    (files.windows / INDEX_NAME).touch()
    videos = [tmp_path / 'a' / 'videos' / '1.mp4']
    files.settings.write_text(settings_yaml(run_settings(parse_config({}), videos)))
    monkeypatch.setattr(
        'beast_lp.reports.pretraining_run.write_report',
        lambda out, command: RunFiles(out).report.touch(),
    )

    def run() -> Path:
        return pretrain(cfg, files.directory, tmp_path / 'status.json', reuse)

    assert run() == files.backbone
    assert files.is_finished
    if reuse:
        assert run() == files.backbone
    else:
        with pytest.raises(BeastError, match='already holds a finished pretraining run'):
            run()
    # the report of another run is not written
    files.report.unlink()
    cfg.beast.seed = 7
    with pytest.raises(BeastError, match='seed was 0 and is now 7.; restore that setting'):
        run()
    assert not files.report.exists()


@pytest.mark.parametrize('init', ['random', 'weights'])
def test_the_first_frame_is_read_before_torch_is_imported(
    init: str,
    tmp_path: Path,
    write_video: Callable[..., Path],
) -> None:
    """Torch, Lightning and the host's models take seconds; nothing of the scan needs them."""
    from beast_lp.pretraining.trainer import build_module
    from beast_lp.vit.save import encoder_to_transformers, save_backbone

    draw = np.random.default_rng(0)
    write_video('videos/a.mp4', draw.integers(0, 256, (30, 64, 64, 3), np.uint8))
    model = build_module(parse_config({'preset': 'laptop'}), resume=True).model
    save_backbone(tmp_path / 'weights', model.architecture, encoder_to_transformers(model))
    config = tmp_path / 'c.yaml'
    config.write_text(
        f'data: {{data_dir: {tmp_path}, video_dir: videos}}\n'
        f'beast: {{preset: laptop, init: {init}}}\n'
    )
    code = """
import os, sys
from beast_lp.video import scan

class FirstFrame(scan.FrameReader):
    def frames(self, *args, **kwargs):
        heavy = {'torch', 'lightning', 'transformers', 'matplotlib'} & set(sys.modules)
        os.write(1, f'imported: {sorted(heavy)}'.encode())
        os._exit(0)

    __iter__ = __next__ = frames

scan.FrameReader = FirstFrame
from lightning_pose.cli.main import main
main()
"""
    words = ['pretrain', str(config), '--output_dir', str(tmp_path / 'out')]
    out = subprocess.run(
        [sys.executable, '-c', code, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'HF_HUB_OFFLINE': '1'},
    )
    assert out.stdout.endswith('imported: []'), out.stdout + out.stderr
    status = json.loads((tmp_path / 'out' / 'train_status.json').read_text())
    assert status['status'] == 'TRAINING'
    assert status['progress']['completed'] < status['progress']['total']


def test_a_finished_run_without_its_windows_and_report_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cfg, _ = _project(tmp_path / 'a', ['1.mp4'])
    files, status = RunFiles(tmp_path / 'out'), tmp_path / 'status.json'
    config = parse_config(cfg.beast)
    settings = run_settings(config, gather_videos(cfg, config))
    files.backbone.mkdir(parents=True)
    files.settings.write_text(settings_yaml(settings))
    made, written = [], []

    def prepare(config: object, videos: object, output_dir: Path) -> None:
        made.append(output_dir)
        files.windows.mkdir(exist_ok=True)
        (files.windows / INDEX_NAME).touch()

    def report(output_dir: Path, command: str) -> None:
        if not (files.windows / INDEX_NAME).exists():
            raise BeastError('the windows are gone; make them')
        written.append(output_dir)

    monkeypatch.setattr('beast_lp.pretraining.stage._prepare', prepare)
    monkeypatch.setattr('beast_lp.reports.pretraining_run.write_report', report)
    # the same videos: what the report shows is made again
    assert pretrain(cfg, files.directory, status, reuse=True) == files.backbone
    assert made == written == [files.directory]
    # other videos by now: there is nothing to make it from, and the backbone serves all the same
    shutil.rmtree(files.windows)
    (tmp_path / 'a' / 'videos' / '2.mp4').touch()
    with caplog.at_level('WARNING', 'lightning_pose'):
        assert pretrain(cfg, files.directory, status, reuse=True) == files.backbone
    assert len(made) == len(written) == 1
    assert 'gets no report, because the windows are gone' in caplog.text
