"""Segmentation on a backbone of the host, over folds, and what is left of an interrupted run."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from transformers import ViTConfig, ViTModel

from beast_lp.errors import BeastError
from beast_lp.host.jobs import segment
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.save import save_backbone
from beast_lp.vit.tensor_names import disk_name

WriteVideo = Callable[..., Path]

FRAMES = 6


@pytest.fixture
def project(write_video: WriteVideo, tmp_path: Path) -> DictConfig:
    """Return the config of three scored videos, half dark and half bright."""
    names = ('a', 'b', 'c')
    (tmp_path / 'labels').mkdir()
    for number, name in enumerate(names):
        bright = np.roll(np.arange(FRAMES) < FRAMES // 2, number)
        write_video(f'{name}.mp4', [np.full((32, 32, 3), 200 * b, np.uint8) for b in bright])
        pd.DataFrame({'dark': ~bright, 'bright': bright}).astype(int).to_csv(
            tmp_path / 'labels' / f'{name}.csv'
        )
    return OmegaConf.create(
        {
            'beast': {
                'segmentation': {
                    'source': 'resnet18',
                    'patch_grid': 2,
                    'labels': str(tmp_path / 'labels'),
                    'videos': [str(tmp_path / f'{name}.mp4') for name in names],
                    'split': {'by': 'folds', 'folds': 3},
                    'head': {'hidden_size': 8, 'blocks': 1, 'lags': 1},
                    'fitting': {'epochs': 3, 'learning_rate': 1e-2},
                }
            }
        }
    )


def test_a_backbone_of_the_host_is_segmented_over_folds(
    resnet_cache: dict[str, torch.Tensor],
    project: DictConfig,
    write_video: WriteVideo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcome = segment.train(project, tmp_path / 'run')
    # every video is held out once, and of every frame there is a prediction
    assert sorted(part.video for part in outcome.held_out) == ['a', 'b', 'c']
    assert outcome.scores is not None
    # two floors, three models, their mean and spread, and the ensemble
    assert outcome.scores.summary['frames'].tolist() == [3 * FRAMES] * 8
    assert set(outcome.history['fold']) == {'fold_0', 'fold_1', 'fold_2'}
    assert np.load(tmp_path / 'run' / 'features' / 'a' / 'patches.npy').shape == (FRAMES, 4, 512)

    # cut off before its report, a run writes that alone
    page = tmp_path / 'run' / 'report.html'
    page.unlink()
    again = segment.train(project, tmp_path / 'run')
    pd.testing.assert_frame_equal(again.history, outcome.history)
    assert page.exists()
    with pytest.raises(BeastError, match='already holds a finished segmentation run'):
        segment.train(project, tmp_path / 'run')

    # the second video fails; the same command goes on, another is turned away
    original, seen = segment.predict_video, []

    def fails(trained: object, video: segment.OpenVideo) -> object:
        seen.append(video.name)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return original(trained, video)  # type: ignore[arg-type]

    monkeypatch.setattr(segment, 'predict_video', fails)
    out, videos = tmp_path / 'out', [tmp_path / 'a.mp4', tmp_path / 'b.mp4']
    with pytest.raises(KeyboardInterrupt):
        segment.predict(project, tmp_path / 'run', out, videos)
    with pytest.raises(BeastError, match="action was 'predict' and is now 'evaluate'"):
        segment.evaluate(project, tmp_path / 'run', out, videos)
    before = (out / 'features' / 'b' / 'patches.npy').stat().st_mtime_ns
    segment.predict(project, tmp_path / 'run', out, videos)
    assert (out / 'features' / 'b' / 'patches.npy').stat().st_mtime_ns == before
    assert set(pd.read_csv(out / 'bouts.csv')['video']) == {'a', 'b'}
    assert (out / 'report.html').exists()
    with pytest.raises(BeastError, match='already holds a finished segmentation run'):
        segment.predict(project, tmp_path / 'run', out, videos)

    # a config that says no more than how to decode; the labels are where they were in training
    viterbi = OmegaConf.create({'beast': {'segmentation': {'decoding': {'method': 'viterbi'}}}})
    scored = segment.evaluate(viterbi, tmp_path / 'run', tmp_path / 'scored', videos)
    assert scored.summary['decoding'] == 'viterbi'
    assert sorted(part.video for part in scored.held_out) == ['a', 'b']
    # each was held out from one of the models only
    assert scored.summary['trained on'].startswith('frames of a, b, so that')
    assert 'was trained on frames of a.mp4, b.mp4, so that its scores' in caplog.text
    with pytest.raises(BeastError, match=r'every video .* .3 in all.* give others with --videos'):
        segment.evaluate(project, tmp_path / 'run', tmp_path / 'all')
    assert not (tmp_path / 'all').exists()
    new, bright = tmp_path / 'new.mp4', np.arange(FRAMES) < 2
    write_video(new.name, [np.full((32, 32, 3), 200 * b, np.uint8) for b in bright])
    (tmp_path / 'labels' / 'new.csv').write_bytes((tmp_path / 'labels' / 'a.csv').read_bytes())
    caplog.clear()
    scored = segment.evaluate(project, tmp_path / 'run', tmp_path / 'new', [new])
    assert 'trained on' not in scored.summary and 'was trained on' not in caplog.text
    project.beast.segmentation.videos = [str(new), *project.beast.segmentation.videos]
    scored = segment.evaluate(project, tmp_path / 'run', tmp_path / 'all')
    assert scored.summary['trained on'].startswith('frames of a, b, c, so that')

    # the cache now holds other weights
    file = next((tmp_path / 'hub' / 'checkpoints').iterdir())
    torch.save({**resnet_cache, 'bn1.weight': 2 * resnet_cache['bn1.weight']}, file)
    with pytest.raises(BeastError, match='holds other weights than the model'):
        segment.predict(project, tmp_path / 'run', tmp_path / 'other')


def test_a_backbone_that_moved_is_named_in_the_description_of_the_model(
    project: DictConfig,
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    architecture = Architecture(64, 1, 1, 64, 16, (32, 32))
    vit = ViTModel(ViTConfig(**architecture.transformers_config()), add_pooling_layer=False)
    state = {disk_name(name): value for name, value in vit.state_dict().items()}
    save_backbone(tmp_path / 'old' / 'backbone', architecture, state)
    OmegaConf.update(
        project,
        'beast.segmentation',
        {
            'source': str(tmp_path / 'old'),
            'features': 'cls',
            'split': {'by': 'none'},
        },
    )
    segment.train(project, tmp_path / 'run')
    (tmp_path / 'old').rename(tmp_path / 'new')
    with pytest.raises(BeastError, match='old'):
        segment.predict(project, tmp_path / 'run', tmp_path / 'out')
    described = tmp_path / 'run' / 'segmenter.json'
    described.write_text(
        described.read_text().replace(
            f'"source": "{tmp_path / "old"}"',
            f'"source": "{tmp_path / "new" / "backbone"}"',
        )
    )
    segment.predict(project, tmp_path / 'run', tmp_path / 'out')
    assert (tmp_path / 'out' / 'a_labels.csv').is_file()

    # of an older version, which did not record the files
    text = described.read_text()
    old = {name: value for name, value in json.loads(text).items() if name != 'source_files'}
    described.write_text(json.dumps(old))
    segment.predict(project, tmp_path / 'run', tmp_path / 'old_run')
    described.write_text(text)
    # whatever lies there now is not opened, so that it need not even be weights
    for name in ('model.safetensors', 'config.json'):
        file = tmp_path / 'new' / 'backbone' / name
        before = file.read_bytes()
        file.write_bytes(b'something else')
        with pytest.raises(BeastError, match='new/backbone holds other weights than the model'):
            segment.predict(project, tmp_path / 'run', tmp_path / 'other')
        file.write_bytes(before)


@pytest.mark.parametrize('package', ['pynwb', 'ndx_ethogram'])
def test_a_missing_package_is_named_before_the_work(
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # as if it were not installed
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BeastError, match='NWB files need two more packages'):
        segment.predict(OmegaConf.create(), tmp_path, tmp_path / 'out', nwb=True)
