"""A training run: what it refuses, and what it records."""

import json
from collections.abc import Callable
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
from beast_lp.segmentation.prediction import load_trained
from beast_lp.segmentation.training import run_training
from beast_lp.segmentation.videos import Inputs

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


def test_an_interrupted_ensemble_is_not_resumed_on_other_labels(
    inputs: Inputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, labels, out = under_test.fit_segmenter, tmp_path / 'labels', tmp_path / 'run'

    def killed(*arguments: object) -> object:
        if 'model 2' in str(arguments[6]):
            raise KeyboardInterrupt
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(under_test, 'fit_segmenter', killed)
    with pytest.raises(KeyboardInterrupt):
        _train(inputs, out, _config())
    monkeypatch.setattr(under_test, 'fit_segmenter', original)
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
