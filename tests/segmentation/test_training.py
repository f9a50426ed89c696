"""What is refused before and in a segmentation run."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import beast_lp.segmentation.training as under_test
from beast_lp.config import SegmentationConfig
from beast_lp.config.segmentation import FittingConfig, HeadConfig
from beast_lp.errors import BeastError
from beast_lp.features.store import INFO_NAME, FeatureInfo
from beast_lp.segmentation.outputs import Outcome
from beast_lp.segmentation.prediction import load_trained
from beast_lp.segmentation.run_files import (
    Description,
    SegmentationFiles,
    check_output_dir,
    settings_yaml,
)
from beast_lp.segmentation.sessions import Inputs
from beast_lp.segmentation.training import run_training

INPUTS = Inputs([Path('a.mp4')], [], Path('behavior'), None, None, None)
FRAMES = 12


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


def _config(**changes: object) -> SegmentationConfig:
    return replace(
        SegmentationConfig(
            features='cls',
            features_dir='features',
            head=HeadConfig(8, 2, 8, 1, 1),
            fitting=FittingConfig(epochs=1, ensemble=2),
        ),
        **changes,
    )


def _train(inputs: Inputs, output_dir: Path, config: SegmentationConfig) -> Outcome:
    return run_training(config, inputs, output_dir, lambda name: pytest.fail('opened a source'))


def test_an_interrupted_ensemble_is_not_gone_on_with_on_other_labels(
    inputs: Inputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, labels, out = under_test.train_segmenter, tmp_path / 'labels', tmp_path / 'run'

    def killed(*arguments: object) -> object:
        if 'model 2' in str(arguments[6]):
            raise KeyboardInterrupt
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(under_test, 'train_segmenter', killed)
    with pytest.raises(KeyboardInterrupt):
        _train(inputs, out, _config())
    monkeypatch.setattr(under_test, 'train_segmenter', original)
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
    trained = load_trained(tmp_path / 'run', lambda name: pytest.fail('opened a source'))
    seen = {video.stem for video in inputs.videos if trained.has_seen(video)}
    assert seen == {'a', 'b', 'c'} - {held_out}
    # of blocks of frames, some are learned in every video
    blocks = replace(_config().split, by='block', block_frames=3, test_every=2, gap_frames=0)
    _train(inputs, tmp_path / 'blocks', _config(split=blocks))
    trained = load_trained(tmp_path / 'blocks', lambda name: pytest.fail('opened a source'))
    copy = inputs.videos[0].rename(tmp_path / 'moved.mp4')
    assert trained.has_seen(copy) and not trained.has_seen(inputs.videos[3])


def test_an_unfinished_run_with_other_settings_is_not_continued(tmp_path: Path) -> None:
    files, config = SegmentationFiles(tmp_path), SegmentationConfig()
    check_output_dir(files, config, INPUTS)
    files.settings.write_text(settings_yaml(config, INPUTS))
    often = FittingConfig(checkpoint_minutes=1)
    check_output_dir(files, replace(config, fitting=often), INPUTS)
    for changed, inputs, words in (
        (
            replace(config, fitting=FittingConfig(epochs=3)),
            INPUTS,
            'segmentation.fitting.epochs was 200 and is now 3',
        ),
        (
            config,
            replace(INPUTS, videos=[Path('a.mp4'), Path('b.mp4')]),
            r"videos was .'a.mp4'. and is now .'a.mp4', 'b.mp4'.",
        ),
    ):
        with pytest.raises(BeastError, match=words):
            check_output_dir(files, changed, inputs)


def test_the_description_of_the_models_survives_and_damage_is_said(tmp_path: Path) -> None:
    path = SegmentationFiles(tmp_path).model
    description = Description(
        ('walk', 'rest'), (4, 3), 'x', None, 'weights', (('fold_0', 0), ('fold_0', 1)), ('key',)
    )
    path.write_text(description.to_json())
    assert Description.read(path) == description
    for text in (
        '',
        '[]',
        '{}',
        description.to_json()[:-9],
        '{"classes": 3}',
        description.to_json().replace('"made_by"', '"maker"'),
    ):
        path.write_text(text)
        with pytest.raises(BeastError, match=r'segmenter.json does not describe .*train again'):
            load_trained(tmp_path, lambda name: pytest.fail('opened a source'))
