"""Trained models, also those that an older version wrote."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from safetensors.numpy import save_file

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.features.store import FeatureInfo
from beast_lp.segmentation.prediction import load_trained, predict_video
from beast_lp.segmentation.videos import Inputs, open_videos

FRAMES, TOKENS, CHANNELS, HIDDEN, CLASSES = 40, 3, 5, 8, ('still', 'walk')
# shapes in the file of a model before any setting was retired
WEIGHTS = {
    'difference_gain': (),
    'pool.out.bias': (64,),
    'pool.out.weight': (64, 64),
    'pool.query': (64,),
    'pool.to_key.weight': (64, CHANNELS),
    'pool.to_query.bias': (64,),
    'pool.to_query.weight': (64, 64),
    'pool.to_value.bias': (64,),
    'pool.to_value.weight': (64, CHANNELS),
    'standardise.mean': (CHANNELS,),
    'standardise.scale': (CHANNELS,),
    'tcn.blocks.0.first.bias': (HIDDEN,),
    'tcn.blocks.0.first.parametrizations.weight.original0': (HIDDEN, 1, 1),
    'tcn.blocks.0.first.parametrizations.weight.original1': (HIDDEN, 128, 9),
    'tcn.blocks.0.second.bias': (HIDDEN,),
    'tcn.blocks.0.second.parametrizations.weight.original0': (HIDDEN, 1, 1),
    'tcn.blocks.0.second.parametrizations.weight.original1': (HIDDEN, HIDDEN, 9),
    'tcn.blocks.0.skip.bias': (HIDDEN,),
    'tcn.blocks.0.skip.weight': (HIDDEN, 128, 1),
    'tcn.classify.bias': (2,),
    'tcn.classify.weight': (2, HIDDEN, 1),
}
MADE_BY = 'weights abc, images None, patches (1, 3), basis None'


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """Return the directory of a run that an older version trained."""
    run = tmp_path / 'run'
    for number in range(2):
        member = run / 'models' / 'all' / f'seed_{number}'
        member.mkdir(parents=True)
        rng = np.random.default_rng(number)
        weights = {name: rng.normal(0, 0.3, shape) for name, shape in WEIGHTS.items()}
        save_file(
            {name: np.asarray(value, np.float32) for name, value in weights.items()},
            member / 'model.safetensors',
        )
    OmegaConf.save(
        {
            'segmentation': {
                'labels': 'behavior',
                'label_format': 'auto',
                'features': 'patches',
                'features_dir': str(tmp_path / 'features'),
                'patch_dim': None,
                'split': {'by': 'video', 'block_frames': 150, 'test_every': 4, 'gap_frames': 15},
                'head': {
                    'pooled_size': 64,
                    'heads': 8,
                    'hidden_size': HIDDEN,
                    'blocks': 1,
                    'lags': 4,
                    'dropout': 0.3,
                },
                'fitting': {'epochs': 2, 'weight_decay': 0.1, 'unfreeze_layers': 0},
                'decoding': {'method': 'viterbi', 'stay': 0.95, 'min_bout_frames': 1},
                'seed': 4,
            },
            'videos': ['/lab/a.mp4'],
            'source': None,
        },
        run / 'segmentation.yaml',
    )
    description = {
        'classes': CLASSES,
        'shape': [TOKENS, CHANNELS],
        'source': None,
        'source_hash': None,
        'made_by': MADE_BY,
        'members': [['all', 0], ['all', 1]],
    }
    (run / 'segmenter.json').write_text(json.dumps(description))
    return run


def _no_source(name: str) -> None:
    pytest.fail(f'opened {name}')


def test_a_segmenter_of_an_older_version_predicts(
    old_run: Path,
    tmp_path: Path,
    save_store: Callable[..., None],
) -> None:
    trained = load_trained(old_run, _no_source)  # type: ignore[arg-type]
    assert trained.classes == CLASSES and len(trained.models) == 2
    assert trained.config.decoding.method == 'viterbi'
    video = tmp_path / 'b.mp4'
    video.write_bytes(b'b')
    assert not trained.has_seen(video)
    rng = np.random.default_rng(0)
    save_store(
        tmp_path / 'features' / 'b',
        FeatureInfo('b.mp4', 'x', 'vit', 'abc', 2, grid=(1, 3), patch_dim=CHANNELS, fps=20),
        cls=np.zeros((FRAMES, 2)),
        frame=np.arange(FRAMES),
        time=np.arange(FRAMES) / 20,
        patches=rng.normal(size=(FRAMES, TOKENS, CHANNELS)),
    )
    inputs = Inputs([video], [], tmp_path, None, tmp_path / 'features', None)
    (opened,) = open_videos([video], trained.config, inputs, tmp_path, None)
    prediction = predict_video(trained, opened)
    assert prediction.probabilities.shape == (FRAMES, 2)
    np.testing.assert_allclose(prediction.probabilities.sum(axis=1), 1, atol=1e-5)
    # computed by the code that wrote such runs
    np.testing.assert_allclose(
        prediction.probabilities[[0, 20, 39], 0], [0.3592, 0.4137, 0.4071], atol=1e-4
    )


def test_a_run_that_has_not_finished_or_is_none_gets_a_sentence(
    old_run: Path,
    tmp_path: Path,
) -> None:
    (old_run / 'segmenter.json').unlink()
    with pytest.raises(BeastError, match='has not finished; run the same'):
        load_trained(old_run, _no_source)  # type: ignore[arg-type]
    with pytest.raises(BeastError, match='is none; give the --output_dir'):
        load_trained(tmp_path / 'other', _no_source)  # type: ignore[arg-type]


def test_features_of_another_kind_are_refused(
    old_run: Path,
    tmp_path: Path,
    save_store: Callable[..., None],
) -> None:
    trained = load_trained(old_run, _no_source)  # type: ignore[arg-type]
    video = tmp_path / 'b.mp4'
    video.write_bytes(b'b')
    rows = {'cls': np.zeros((4, 2)), 'frame': np.arange(4), 'time': np.arange(4.0)}
    save_store(tmp_path / 'features' / 'b', FeatureInfo('b.mp4', 'x', 'vit', 'abc', 2), **rows)
    inputs = Inputs([video], [], tmp_path, None, tmp_path / 'features', None)
    config = SegmentationConfig(features='cls')
    (opened,) = open_videos([video], config, inputs, tmp_path, None)
    with pytest.raises(BeastError, match=r'the features of b .* are not like those .* trained on'):
        predict_video(trained, opened)
