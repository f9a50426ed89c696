"""A training run: what it refuses, and what it records."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import beast_lp.segmentation.training as under_test
from beast_lp.config import BeastConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.features.info import FeatureInfo
from beast_lp.features.store import INFO_NAME
from beast_lp.segmentation.outcome import Outcome
from beast_lp.segmentation.prediction import load_trained, predict_video
from beast_lp.segmentation.training import run_training
from beast_lp.segmentation.videos import Inputs, open_videos

FRAMES = 700


@pytest.fixture
def inputs(tmp_path: Path, save_store: Callable[..., None]) -> Inputs:
    """Return four embedded videos, the last of which nobody has scored."""
    (tmp_path / 'labels').mkdir()
    videos = [tmp_path / f'{name}.mp4' for name in 'abcd']
    for number, video in enumerate(videos):
        video.write_bytes(video.name.encode())
        info = FeatureInfo(video.name, 'x', 'vit', 'abc', 2, frames=FRAMES, fps=20)
        values = np.random.default_rng(number).normal(size=(FRAMES, 2))
        save_store(
            tmp_path / 'features' / video.stem,
            info,
            cls=values,
            frame=np.arange(FRAMES),
            time=np.arange(FRAMES) / 20,
        )
    for video in videos[:3]:
        _score(tmp_path / 'labels' / f'{video.stem}.csv')
    return Inputs(videos, [], tmp_path / 'labels', None, tmp_path / 'features', None)


def _score(path: Path, wide: int = FRAMES // 2) -> None:
    walks = np.arange(FRAMES) < wide
    pd.DataFrame({'rest': ~walks, 'walk': walks}).astype(int).to_csv(path)


def _config(**changes: Any) -> BeastConfig:
    return parse_config(
        {
            'segmentation': {
                'features': 'cls',
                'features_dir': 'features',
                'head': {'hidden_size': 8, 'blocks': 1, 'lags': 1},
                'fitting': {'epochs': 1, 'ensemble': 2},
                **changes,
            }
        }
    )


def _no_source(name: str) -> Any:
    pytest.fail(f'opened {name}')


def _train(inputs: Inputs, output_dir: Path, config: BeastConfig) -> Outcome:
    return run_training(config, inputs, output_dir, _no_source, _no_source)


def _train_until_killed(
    inputs: Inputs,
    output_dir: Path,
    config: BeastConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Interrupt a training as its second model begins."""
    original = under_test.fit_segmenter

    def killed(*arguments: object) -> object:
        if 'model 2' in str(arguments[6]):
            raise KeyboardInterrupt
        return original(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(under_test, 'fit_segmenter', killed)
        with pytest.raises(KeyboardInterrupt):
            _train(inputs, output_dir, config)


def test_an_interrupted_ensemble_is_not_resumed_on_other_labels(
    inputs: Inputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels, out = tmp_path / 'labels', tmp_path / 'run'
    _train_until_killed(inputs, out, _config(), monkeypatch)
    # the split would be redrawn: what is held out now was trained on before
    _score(labels / 'd.csv')
    with pytest.raises(BeastError, match='unfinished run with other settings or labels'):
        _train(inputs, out, _config())
    (labels / 'd.csv').unlink()
    _score(labels / 'a.csv', 5)
    with pytest.raises(BeastError, match='unfinished run with other settings or labels'):
        _train(inputs, out, _config())
    _score(labels / 'a.csv')
    # another video under the same name, embedded by the same backbone
    info = tmp_path / 'features' / 'a' / INFO_NAME
    before = info.read_text()
    info.write_text(json.dumps({**json.loads(before), 'video_key': 'of another'}))
    with pytest.raises(BeastError, match='unfinished run with other settings or labels'):
        _train(inputs, out, _config())
    info.write_text(before)
    assert len(_train(inputs, out, _config()).history) == 2


def test_patches_beside_keypoints_go_the_whole_way(
    inputs: Inputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_video: Callable[..., Path],
    save_store: Callable[..., None],
) -> None:
    points, videos = tmp_path / 'kp', []
    points.mkdir()
    for seed, old in enumerate(inputs.videos):
        rng = np.random.default_rng(seed)
        shade = np.full((16, 16, 3), 40 * seed, np.uint8)
        videos.append(write_video(old.name, [shade] * FRAMES, fps=20))
        info = FeatureInfo(
            old.name, 'x', 'vit', 'abc', 2, frames=FRAMES, fps=20, grid=(1, 2), patch_dim=3
        )
        save_store(
            tmp_path / 'patches' / old.stem,
            info,
            cls=np.zeros((FRAMES, 2)),
            frame=np.arange(FRAMES),
            time=np.arange(FRAMES) / 20,
            patches=rng.normal(size=(FRAMES, 2, 3)),
        )
        xy = rng.normal([100, 300], 20, (FRAMES, 2))
        xy[rng.random(FRAMES) < 0.1] = np.nan
        columns = pd.MultiIndex.from_product(
            [['m'], ['nose'], ['x', 'y']], names=['scorer', 'bodyparts', 'coords']
        )
        pd.DataFrame(xy, columns=columns).to_csv(points / f'{old.stem}.csv')
    given = replace(inputs, videos=videos, features_dir=tmp_path / 'patches', keypoints_dir=points)
    config = _config(features=['patches', 'keypoints'], keypoints_dir='kp')
    out = tmp_path / 'run'
    _train_until_killed(given, out, config, monkeypatch)
    # a keypoint that was moved is another recording
    table = points / 'a.csv'
    before = table.read_text()
    table.write_text(before.replace('\n7,', '\n7,1'))
    assert table.read_text() != before
    with pytest.raises(BeastError, match='unfinished run with other settings or labels'):
        _train(given, out, config)
    table.write_text(before)
    outcome = _train(given, out, config)
    assert outcome.summary['size of a frame'] == '2 x 3 + 2'
    assert outcome.summary['features'] == 'patches of x + keypoints'

    trained = load_trained(out, _no_source, _no_source)
    (video,) = open_videos(videos[3:], trained.config, given, tmp_path, None)
    prediction = predict_video(trained, video)
    assert prediction.probabilities.shape == (FRAMES, 2)
    assert np.isfinite(prediction.probabilities).all()
    # the order in which they are named says nothing
    assert _config(features=['keypoints', 'patches'], keypoints_dir='kp') == config
    # features of one kind do not serve a model of two
    alone = replace(trained.config, features='patches')
    (video,) = open_videos(videos[3:], alone, given, tmp_path, None)
    with pytest.raises(BeastError, match=r'd .patches of x: .* are not like .* \+ 1 keypoints'):
        predict_video(trained, video)


def test_a_run_knows_the_videos_that_it_was_trained_on(inputs: Inputs, tmp_path: Path) -> None:
    outcome = _train(inputs, tmp_path / 'run', _config())
    (held_out,) = {part.video for part in outcome.held_out}
    trained = load_trained(tmp_path / 'run', _no_source, _no_source)
    seen = {video.stem for video in inputs.videos if trained.has_seen(video)}
    assert seen == {'a', 'b', 'c'} - {held_out}
    # of blocks of frames, some are learned in every video
    _train(inputs, tmp_path / 'blocks', _config(split={'by': 'block', 'folds': 2}))
    trained = load_trained(tmp_path / 'blocks', _no_source, _no_source)
    copy = inputs.videos[0].rename(tmp_path / 'moved.mp4')
    assert trained.has_seen(copy) and not trained.has_seen(inputs.videos[3])
